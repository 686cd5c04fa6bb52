// Draws a picture and saves it.
import { connect } from "@imagegen/client";

await using client = connect(); // the server at IMAGEGEN_ADDRESS, else 127.0.0.1:50051

const painter = client.image("sandbox/scene", { options: { size: { width: 512, height: 384 } } });
const result = await painter.generate("a harbour at dawn");

console.log("wrote", await result.image.save("harbour.png"));
