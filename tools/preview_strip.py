"""Makes the strips of previews in docs/images, by `python tools/preview_strip.py [PROVIDER ...]`.

Each strip is one generation as a client of the whole service gets it: the previews, then the picture. The server that
the service asks is the fake of the tests, and its pictures are painted by the sandbox: no model has drawn them.
"""

import argparse
import asyncio
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # tests.* is found from there

from imagegen import AsyncClient, Complete, Preview  # noqa: E402
from imagegen_server.domain.task import PixelSize  # noqa: E402
from imagegen_server.providers.sandbox.drawing import Drawing  # noqa: E402
from imagegen_server.providers.sandbox.order import Order  # noqa: E402
from imagegen_server.providers.sandbox.workers import Stop  # noqa: E402
from PIL import Image  # noqa: E402

from tests.support.comfyui_api import fake_comfyui  # noqa: E402
from tests.support.comfyui_nodes import CHECKPOINTS  # noqa: E402
from tests.support.process import server_process  # noqa: E402
from tests.support.sdapi_api import STEPS, FakeSdapi, fake_sdapi  # noqa: E402

PREVIEWS = 5
_SIZE = PixelSize(176, 120)
_PROMPT = "a bay with sailing boats at dusk"
_SEED = 11
_GAP = 4
_COLOURS = 256
_STATES = 64
"""As many states of a picture are told apart."""

Paint = Callable[[float], bytes]


def painter() -> Paint:
    """Make what paints the states of one picture, by how much of it is done."""
    order = Order(
        _PROMPT, "", _SIZE, _SEED, "medium", transparent=False, format="png", compression=None, size_bytes=None
    )
    drawing, stop = Drawing(order, _SEED), Stop()

    def paint(done: float) -> bytes:
        return drawing.final(stop) if done >= 1 else drawing.preview(max(round(done * _STATES), 1), _STATES, stop)

    return paint


@asynccontextmanager
async def sdapi(paint: Paint) -> AsyncIterator[Mapping[str, str]]:
    """Run Forge's fake, which takes its steps as it is looked at; tell how the service is configured for it."""
    async with fake_sdapi("forge") as fake:
        fake.paint, fake.held, fake.first_step = paint, True, 1
        steps = asyncio.ensure_future(_steps(fake))
        yield {"BASE_URL": fake.base_url, "POLL_SECONDS": "0.05"}
        await steps


async def _steps(fake: FakeSdapi) -> None:
    await fake.until(lambda: fake.current)
    for step in range(1, STEPS + 1):
        fake.at_work.step = step
        seen = len(fake.looks)
        await fake.until(lambda: len(fake.looks) > seen)  # noqa: B023 - awaited here
    fake.finish()


@asynccontextmanager
async def comfyui(paint: Paint) -> AsyncIterator[Mapping[str, str]]:
    """Run ComfyUI's fake, which pushes a preview after each step."""
    async with fake_comfyui() as fake:
        fake.queue.painter = lambda _graph, reached, _index: paint(reached)
        yield {"BASE_URL": fake.base_url}


PROVIDERS: Mapping[str, tuple[Callable[[Paint], AbstractAsyncContextManager[Mapping[str, str]]], str]] = {
    "comfyui": (comfyui, CHECKPOINTS[0]),
    "sdapi": (sdapi, "default"),
}
"""The fake of each provider, and a model that it has."""


async def frames(provider: str) -> list[bytes]:
    """Generate one picture, and keep what a client gets."""
    run, model = PROVIDERS[provider]
    with tempfile.TemporaryDirectory() as folder:
        async with run(painter()) as settings:
            table = {f"IMAGEGEN__PROVIDERS__LOCAL__{key}": value for key, value in settings.items()}
            environment = {"IMAGEGEN__PROVIDERS__LOCAL__TYPE": provider, **table}
            async with (
                server_process(Path(folder), **environment) as server,
                AsyncClient(server.address) as client,
                client.stream(f"local/{model}", _PROMPT, preview_count=PREVIEWS) as stream,
            ):
                shown = [event.image async for event in stream if isinstance(event, Preview | Complete)]
                return [image.bytes for image in shown]


def strip(pictures: Sequence[bytes]) -> bytes:
    """Put pictures side by side."""
    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    width, height = opened[0].size
    whole = Image.new("RGB", (len(opened) * (width + _GAP) - _GAP, height), "white")
    for number, picture in enumerate(opened):
        whole.paste(picture, (number * (width + _GAP), 0))
    file = io.BytesIO()
    whole.quantize(_COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> int:
    """Make the strips that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("providers", nargs="*", metavar="PROVIDER", choices=[*PROVIDERS, []], default=[])
    for provider in parser.parse_args().providers or PROVIDERS:
        made = asyncio.run(frames(provider))
        path = ROOT / "docs" / "images" / f"{provider}-previews.png"
        path.write_bytes(strip(made))
        print(f"{path.relative_to(ROOT)}: {len(made) - 1} previews and the picture, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
