"""The pictures: the same for the same request, different for another, and of the form asked for."""

import asyncio
import io
import re
import time
from typing import Any

import numpy as np
import pytest
from imagegen_server.domain.events import Complete
from imagegen_server.domain.task import PixelSize
from imagegen_server.images.facts import read_facts
from imagegen_server.providers.sandbox.drawing import Drawing
from imagegen_server.providers.sandbox.order import Order
from imagegen_server.providers.sandbox.painting.frame import Frame
from imagegen_server.providers.sandbox.painting.noise import Noise, stream
from imagegen_server.providers.sandbox.painting.words import LEXICON, Motif, read_mood
from imagegen_server.providers.sandbox.workers import Stop
from PIL import Image

from tests.unit.providers.sandbox.kit import Seen, pixels, run, running, task, watch


async def test_the_same_request_gives_the_same_bytes() -> None:
    """Also while others draw, in whatever thread."""
    wanted = task(seed=7, count=2, preview_count=1)
    first = await run(wanted)
    async with running() as provider:
        seen = [Seen() for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            group.create_task(watch(provider, wanted, seen[0]))
            group.create_task(watch(provider, task(prompt="a storm at sea"), seen[1]))
            group.create_task(watch(provider, wanted, seen[2]))

    assert first.events == seen[0].events == seen[2].events
    assert first.image != seen[1].image if len(first.images) == 1 else first.images[0] != seen[1].image


@pytest.mark.parametrize("change", [{"seed": 8}, {"prompt": "a zorble at dawn"}, {"prompt": "a blarg at dawn"}])
async def test_another_request_gives_another_picture(change: dict[str, Any]) -> None:
    """Seed and words both count, known or not."""
    same = {"prompt": "a harbour at dawn", "seed": 7}

    assert (await run(task(**same))).image != (await run(task(**same | change))).image  # type: ignore[arg-type]


async def test_each_picture_of_a_batch_has_the_next_seed() -> None:
    """Image i of a batch is the single picture of seed + i, and says so."""
    batch = await run(task(seed=40, count=3))
    single = await run(task(seed=42))

    assert [event.seed for event in batch.of(Complete)] == [40, 41, 42]
    assert batch.images[2] == single.image
    assert len(set(batch.images)) == 3


@pytest.mark.parametrize(("seed", "second"), [(-(2**63), -(2**63) + 1), (2**63 - 1, -(2**63)), (-1, 0)])
async def test_any_int64_is_a_seed(seed: int, second: int) -> None:
    """Behind the largest comes the smallest; no two of them draw the same."""
    seen = await run(task(seed=seed, count=2))

    assert [seed, second] == [event.seed for event in seen.of(Complete)]
    assert len(set(seen.images)) == 2


async def test_a_seed_that_was_not_given_is_told() -> None:
    """It follows from the prompt, and asking for it gives the same picture."""
    seen = await run(task())
    (complete,) = seen.of(Complete)

    assert complete.seed is not None
    assert seen.image == (await run(task(seed=complete.seed))).image


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(64, 48), (16, 16), (17, 33), (400, 16)])
async def test_type_and_size_are_as_asked(file_format: str, size: tuple[int, int]) -> None:
    """In every format, also where the sides are odd or far apart."""
    facts = read_facts((await run(task(format=file_format, size=PixelSize(*size)))).image)
    assert facts is not None

    assert (f"image/{file_format}", *size) == (facts.media_type, facts.width, facts.height)


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
async def test_compression_is_the_quality(file_format: str) -> None:
    """A higher number makes a larger file."""
    low, high = [await run(task(format=file_format, compression=value)) for value in (10, 95)]

    assert len(low.image) < len(high.image)


async def test_quality_changes_the_detail() -> None:
    """Low, medium and high draw the same scene with ever more in it."""
    size = PixelSize(160, 120)
    low, medium, high = [
        pixels((await run(task(quality=name, size=size, seed=3))).image) for name in ("low", "medium", "high")
    ]

    assert np.abs(low - medium).mean() < 12
    assert np.abs(medium - high).mean() < 12
    assert np.abs(np.diff(low, axis=1)).mean() < np.abs(np.diff(medium, axis=1)).mean()
    assert (medium != high).any()


async def test_a_transparent_background_has_no_sky() -> None:
    """The upper edge is clear, the water at the lower edge is not."""
    seen = await run(task(background="transparent"))
    alpha = pixels(seen.image)[..., 3]

    assert (alpha[0] == 0).all()
    assert (alpha[-1] == 255).all()


async def test_metadata_tells_what_was_understood() -> None:
    """The words that the sandbox knows, and the size."""
    (complete,) = (await run(task(prompt="Stars over quiet Mountains, xyzzy"))).of(Complete)

    assert complete.metadata == {
        "media_type": "image/png",
        "width": 64,
        "height": 48,
        "words": ["star", "quiet", "mountain"],
    }


def test_negative_words_take_things_out() -> None:
    """What the prompt wants and the negative prompt does not is not drawn."""
    mood = read_mood("a harbour with boats and birds", "no boats")

    assert Motif.BOATS not in mood.motifs
    assert {Motif.BIRDS, Motif.WATER} <= mood.motifs - {Motif.BOATS} | {Motif.WATER}


async def test_a_negative_prompt_changes_the_picture() -> None:
    """It reaches the drawing."""
    one, other = await run(task(seed=1)), await run(task(seed=1, negative_prompt="lighthouse"))

    assert one.image != other.image


def test_at_least_thirty_words_are_known() -> None:
    """The table is what the documentation promises, each word in one row only."""
    words = [word for row in LEXICON for word in row.split()]

    assert len(words) >= 30
    assert sorted(set(words)) == sorted(words)


def _draw(prompt: str, **changes: object) -> bytes:
    order = Order(
        prompt=prompt,
        negative_prompt="",
        size=PixelSize(48, 48),
        seed=5,
        quality="medium",
        transparent=False,
        format="png",
        compression=None,
        size_bytes=None,
    )
    for name, value in changes.items():
        object.__setattr__(order, name, value)
    return Drawing(order, order.seed).final(Stop())


@pytest.mark.parametrize("row", LEXICON)
def test_every_word_draws_something_of_its_own(row: str) -> None:
    """Every row of the table can be drawn, and makes a difference to some prompt without it."""
    word = row.split(maxsplit=1)[0]

    assert any(_draw(f"{word} {others}") != _draw(others) for others in ("night sea", "day desert", "storm lake"))


def test_many_words_at_once_are_drawn() -> None:
    """Whatever meets in one prompt."""
    everything = " ".join(row.split()[0] for row in LEXICON)

    assert read_facts(_draw(everything)) is not None
    assert read_facts(_draw(everything, transparent=True)) is not None


@pytest.mark.parametrize("prompt", ["", "🎨", "\0", "夜の港", "a" * 5000])
def test_any_prompt_is_drawn(prompt: str) -> None:
    """Also one without a word in it."""
    assert read_facts(_draw(prompt)) is not None


def test_prompts_of_unknown_words_look_different() -> None:
    """Every one of many is another picture, also on the same seed."""
    assert len({_draw(f"word{number}") for number in range(12)}) == 12


def test_nobody_elses_random_numbers_are_touched() -> None:
    """The global generators of numpy and Python stay where they are."""
    import random  # noqa: PLC0415 - only here

    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index] # noqa: NPY002
    _draw("a storm in the city with lightning")

    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index] # noqa: NPY002


def test_noise_is_the_same_at_every_resolution() -> None:
    """A place has the same value in a small picture and in a large one: previews show the same forms."""
    noise = Noise(stream(1, "test"))
    places = np.linspace(-3, 300, 50, dtype=np.float32)
    crossed = noise.grid(places[:7], places, 3)

    assert np.allclose(noise.line(places, 4)[::5], noise.line(places[::5], 4))
    assert np.allclose(crossed[:, ::5], noise.grid(places[:7], places[::5], 3))
    assert np.allclose(crossed, noise.field(*np.meshgrid(places[:7], places, indexing="ij"), octaves=3), atol=1e-5)
    assert np.abs(crossed).max() <= 1


def test_gradients_show_no_steps() -> None:
    """Grain breaks up what would be bands of one colour in a large soft sky."""
    with Image.open(io.BytesIO(_draw("clear evening sky", size=PixelSize(320, 200)))) as image:
        sky = np.asarray(image)[:60]
    same = (sky[:, 1:] == sky[:, :-1]).all(axis=2)
    longest = max(len(match.group()) for row in same for match in re.finditer(b"\1+", row.astype(np.uint8).tobytes()))

    assert longest < 24


def test_a_large_picture_is_cheap() -> None:
    """1024x1024 costs about 0.3 s of one core; five times that is an error even on a slow machine."""
    start = time.thread_time()
    _draw("a harbour at dawn", size=PixelSize(1024, 1024))

    assert time.thread_time() - start < 1.5


def test_detail_fits_the_pixels() -> None:
    """Noise finer than a pixel is left out, but for the first octave."""
    assert [Frame(side, side, 1.0, 6).octaves(32, 4) for side in (16, 128, 1024)] == [1, 2, 4]
