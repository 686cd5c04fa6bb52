"""imagegen in a minute: a picture develops, is edited, and an error is shown as a caller sees it.

Starts a server of its own on a free loopback port; `make demo` runs it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imagegen
from PIL import Image as Picture
from PIL import ImageDraw

OUT = Path("out/demo")
MODEL = "sandbox/scene"
PROMPT = "a harbour at dawn, mountains behind, a sailing boat"
EDIT = "a starry night over the sea"
SIZE = "1024x768"


@contextmanager
def server() -> Iterator[str]:
    """Run a server until the block ends; gives its address."""
    log = (OUT / "server.log").open("w")
    command = [str(Path(sys.executable).with_name("imagegen-server")), "serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        # The one line that the server prints comes when it serves; its last word is the address.
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            sys.exit(f"the server did not start; see {log.name}")
        print(line.strip())
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait()
        log.close()


def watch(stream: imagegen.ImageStream, name: str, begin: float) -> imagegen.GeneratedImage:
    """Print a line for each event, and save previews and the picture."""
    for event in stream:
        line = f"  {time.monotonic() - begin:6.2f} s  {type(event).__name__.lower():9}"
        match event:
            case imagegen.Started(generation_id=generation_id):
                line += generation_id
            case imagegen.Progress(step=step, steps=steps, message=message):
                line += f"step {step} of {steps}  {message}" if steps else message
            case imagegen.Preview(number=number, image=image):
                line += f"saved {image.save(OUT / f'{name}-preview-{number}')}"
            case imagegen.Complete(image=image):
                line += f"saved {image.save(OUT / name)}  {image.width}x{image.height}  {image.size_bytes} bytes"
            case imagegen.Failed(failure=failure):
                line += f"{failure.reason} {failure.message}"
        print(line, flush=True)
    return stream.result().images[0]


def strip(names: list[str]) -> Path:
    """Put the pictures side by side, as they developed."""
    pictures = [Picture.open(OUT / name).convert("RGB").resize((400, 300)) for name in names]
    joined = Picture.new("RGB", (len(pictures) * 408 - 8, 300), "white")
    for position, picture in enumerate(pictures):
        joined.paste(picture, (position * 408, 0))
    path = OUT / "developing.png"
    joined.save(path)
    return path


def half_mask(width: int, height: int) -> imagegen.Image:
    """Make a mask that lets the right part change: white where the edit may draw, with a soft edge."""
    mask = Picture.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    edge = width // 8
    for x in range(width // 2 - edge, width):
        draw.line([(x, 0), (x, height)], fill=min(255, (x - width // 2 + edge) * 255 // (2 * edge)))
    path = OUT / "mask.png"
    mask.save(path)
    return imagegen.Image.from_path(path)


def main() -> None:
    """Run the demo."""
    OUT.mkdir(parents=True, exist_ok=True)
    with server() as address, imagegen.Client(address) as client:
        model = client.image(MODEL, options=imagegen.ImageOptions(size=SIZE, seed=7))

        print(f"\n1. {MODEL} draws: {PROMPT}")
        picture = watch(model.stream(PROMPT, preview_count=3), "picture", time.monotonic())
        names = [*(f"picture-preview-{number}.png" for number in (1, 2, 3)), "picture.png"]
        print(f"  side by side: {strip(names)}")

        print(f"\n2. edits its right side with a mask: {EDIT}")
        mask = half_mask(picture.width or 0, picture.height or 0)
        watch(model.stream_edit(EDIT, image=picture, mask=mask), "edited", time.monotonic())

        print("\n3. a mistake, as a caller sees it:")
        try:
            client.generate(MODEL, "", count=0, size="99999x1", params={"sandbux": {"seed": 1}})
        except imagegen.ImageGenError as error:
            print(f"  {error.code.name} {error.reason}, billed: {error.billed}")
            for violation in error.violations:
                print(f"    {violation.field}: {violation.description}")

    print(f"""
The pictures are in {OUT}/. To go on by hand:
  .venv/bin/imagegen-server serve &
  .venv/bin/imagegen generate --model {MODEL} "a city by night" -o city.png
  .venv/bin/buf curl --protocol grpc http://127.0.0.1:50051/imagegen.v1.ModelService/ListModels
README.md has more.""")


if __name__ == "__main__":
    main()
