// Watches a picture develop: saves each preview as it comes, and the finished picture.
import { connect } from "@imagegen/client";

await using client = connect();

await using stream = client.stream("sandbox/scene", "a harbour at dawn", {
  options: { size: { width: 512, height: 384 }, previewCount: 3 },
});
for await (const event of stream) {
  if (event.type === "preview") console.log("wrote", await event.image.save(`preview-${event.number}`));
}
const result = await stream.result();

console.log("wrote", await result.image.save("harbour"));
