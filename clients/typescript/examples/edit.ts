// Changes the lower half of a picture, and shows what an error tells.
import { connect, Image, ImageGenError } from "@imagegen/client";

// A PNG of 256x192 pixels, black above and white below: what is white may change.
const mask = Image.fromBytes(
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAQAAAADAAQAAAADDloDLAAAAKUlEQVR42u3KoQEAAAgDoP3/tJ4wgxEyCQAAwJMpBEEQBEEQBEEQjmEBLmb0phWK15oAAAAASUVORK5CYII=",
    "base64",
  ),
);

await using client = connect();
const scene = client.image("sandbox/scene", { options: { size: { width: 256, height: 192 } } });

const { image } = await scene.generate("a harbour at dawn");
const edited = await scene.edit("the sea in a storm", { image, mask });
console.log("wrote", await edited.image.save("edited.png"));

try {
  await client.edit("sandbox/fail-rate-limited", "the sea in a storm", { image, mask });
} catch (error) {
  if (!(error instanceof ImageGenError)) throw error;
  console.log(error.reason, "- billed:", error.billed);
  if (error.retryDelayMs !== undefined) console.log("try again in", error.retryDelayMs / 1000, "s");
  for (const { field, description } of error.violations) console.log(field, description);
}
