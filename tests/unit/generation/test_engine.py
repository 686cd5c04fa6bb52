"""Opening generations: what is refused, what is held, and what is given back."""

import asyncio
from collections.abc import Callable, Sequence
from inspect import isawaitable
from types import SimpleNamespace

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, ImageFinished, Preview, PreviewShown, Started
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import PixelSize, Task, Wish
from imagegen_server.generation import opening, readers
from imagegen_server.generation.admission import AdmissionSettings
from imagegen_server.generation.opening import SHORTEST_DEADLINE_SECONDS, Terms
from imagegen_server.generation.readers import ANSWER_SECONDS
from imagegen_server.generation.store import StoreSettings

from tests.support.generation import CALLER, Workshop, drawing, editing, events_of, until, workshop, wrong, yielding
from tests.support.pictures import noisy_png, png
from tests.support.provider import Script, draw_all, first_only, never

MIB = 1024 * 1024
SQUARE = PixelSize(1024, 1024)
"""Three MiB by estimate."""


async def refusal(shop: Workshop, wish: Wish | None = None, time_left: float | None = None) -> ImageError:
    """Return the error with which a generation is refused."""
    with pytest.raises(ImageError) as caught:
        await shop.open(wish, time_left)
    return caught.value


async def test_an_opened_generation_has_its_ids_and_has_started() -> None:
    """Before anything is spent it has ids of this process, and its log says so."""
    shop = workshop()

    generation = (await shop.open()).generation

    (started,) = generation.log.events
    assert isinstance(started, Started)
    assert (started.generation_id, started.request_id) == (generation.id, generation.request_id)
    assert (generation.id[:4], generation.request_id[:4]) == ("gen_", "req_")
    assert shop.provider.tasks == []


@pytest.mark.parametrize("left", [-5.0, 0.0, SHORTEST_DEADLINE_SECONDS - 0.001])
async def test_too_short_a_deadline_is_refused(left: float) -> None:
    """Less than a second is DEADLINE_TOO_SHORT; nothing is held afterwards."""
    shop = workshop()

    error = await refusal(shop, time_left=left)

    assert (error.reason, error.billed, error.metadata) == (Reason.DEADLINE_TOO_SHORT, Billed.NO, {"model": "test/any"})
    assert shop.in_hand == (0, 0, 0)


async def test_planning_uses_up_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left when the plan is ready counts: a mask may take a while to be looked at."""
    shop, clock = workshop(), SimpleNamespace(now=1000.0)
    prepare = shop.provider.prepare

    def slow_prepare(task: Task) -> tuple[Task, Sequence[Warning]]:
        clock.now += 5.0
        return prepare(task)

    for room in (readers, opening):
        monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(shop.provider, "prepare", slow_prepare)

    assert (await refusal(shop, time_left=5.5)).reason is Reason.DEADLINE_TOO_SHORT
    assert (await shop.open(time_left=6.5)).generation.deadline == clock.now - 5.0 + 6.5 - ANSWER_SECONDS


async def test_a_generation_ends_before_its_deadline() -> None:
    """It leaves time for the answer, and no deadline is none."""
    shop = workshop()
    now = asyncio.get_running_loop().time()

    reading = await shop.open(time_left=10.0)
    deadline = reading.generation.deadline

    assert deadline is not None
    assert 9.0 < deadline - now <= 10.0 - ANSWER_SECONDS + 1.0
    assert (await shop.open()).generation.deadline is None


async def test_the_estimate_is_held_until_the_images_are_there() -> None:
    """Admission and store hold input and estimate from the start, then what the images really take."""
    shop = workshop(first_only)
    wish = editing(png(), png())
    estimate = 16 * MIB
    async with shop.opened(wish) as generation:
        assert shop.in_hand == (1, wish.input_bytes + estimate, estimate)
        shop.engine.launch(generation)
        await until(generation, ImageFinished)
        assert shop.in_hand == (1, wish.input_bytes + len(png()), estimate - len(png()))
    await events_of(generation)
    assert shop.in_hand == (0, 0, 0)


async def test_a_failed_image_is_not_held_any_longer() -> None:
    """The estimate of an image that will not come is given back at once."""
    shop = workshop(yielding(Complete(0, b"garbage"), Complete(1, png())))
    async with shop.opened(drawing(count=2, size=SQUARE)) as generation:
        shop.engine.launch(generation)
        await events_of(generation)
        assert shop.in_hand == (1, len(png()), 0)
    assert shop.in_hand == (0, 0, 0)


async def test_previews_are_counted_while_they_are_there() -> None:
    """A preview in the log is held in bytes like an image."""
    data = noisy_png(64, 64)
    shop = workshop(yielding(Preview(0, data), Complete(0, png())))
    async with shop.opened(drawing(preview_count=1)) as generation:
        before = shop.admission.bytes_in_flight
        shop.engine.launch(generation)
        await until(generation, PreviewShown)
        await events_of(generation)
        assert shop.admission.bytes_in_flight == len(data) + len(png())
    assert before == 16 * MIB
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize(
    "settings",
    [{"admission": AdmissionSettings(max_bytes_in_flight=4 * MIB)}, {"store": StoreSettings(max_bytes=4 * MIB)}],
    ids=["in flight", "in the store"],
)
async def test_what_does_not_fit_is_refused_at_once(settings: dict[str, object]) -> None:
    """A second call over either byte budget is SERVER_BUSY with a wait; it fits when the first one has gone."""
    shop = workshop(**settings)  # type: ignore[arg-type]  # the names decide the types
    first = await shop.open(drawing(size=SQUARE))
    held = shop.in_hand

    error = await refusal(shop, drawing(size=SQUARE))

    assert (error.reason, error.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert error.retry_after is not None
    assert shop.in_hand == held
    await first.close()
    assert shop.in_hand == (0, 0, 0)
    await shop.open(drawing(size=SQUARE))


async def test_a_wish_that_is_wrong_holds_nothing() -> None:
    """Whatever refuses a wish, the budgets are as before."""
    shop = workshop()

    with pytest.raises(ImageError) as caught:
        await shop.engine.open(drawing(), CALLER, Terms(), [wrong("input.prompt")])

    assert caught.value.reason is Reason.INVALID_REQUEST
    assert shop.in_hand == (0, 0, 0)


SCRIPTS: list[tuple[str, Script]] = [
    ("all", draw_all),
    ("one", yielding(Complete(0, noisy_png(32, 32)))),
    ("none", yielding()),
    ("garbage", yielding(Complete(0, b"?"), Complete(1, png()[:-5]))),
    ("raises", yielding(ImageError(Reason.RATE_LIMITED, "slow down"), accepted=False)),
    ("crashes", yielding(RuntimeError("oops"))),
]


@pytest.mark.parametrize("script", [script for _, script in SCRIPTS], ids=[name for name, _ in SCRIPTS])
async def test_after_any_run_nothing_is_held(script: Script) -> None:
    """Success, failure and everything between give back calls, bytes in flight and room in the store."""
    shop = workshop(script)

    await shop.run(drawing(count=3, size=SQUARE))

    assert shop.in_hand == (0, 0, 0)
    assert shop.store.kept_bytes == sum(kept.image.size_bytes for kept in shop.store._kept.values())


async def test_images_are_kept_for_the_caller_alone() -> None:
    """What one caller made another one cannot read."""
    shop = workshop()
    image_id = (await shop.result()).images[0].image.image_id

    await shop.engine.readers.image(CALLER, image_id)
    with pytest.raises(ImageError) as caught:
        await shop.engine.readers.image(Caller("somebody else"), image_id)

    assert caught.value.reason is Reason.IMAGE_NOT_FOUND


async def test_reading_an_image_is_a_call_in_hand() -> None:
    """Readers count as calls while they read, and over the cap they are refused."""
    shop = workshop(admission=AdmissionSettings(max_calls=1))

    async with shop.engine.readers.counted(CALLER):
        assert shop.admission.calls == 1
        with pytest.raises(ImageError):
            async with shop.engine.readers.counted(CALLER):
                pass

    assert shop.admission.calls == 0


async def test_a_draining_engine_takes_no_new_work() -> None:
    """SHUTTING_DOWN, which is free, and what was finished can still be read."""
    shop = workshop()
    image_id = (await shop.result()).images[0].image.image_id
    shop.engine.readers.delivered(image_id)

    await shop.engine.drain(60.0)

    error = await refusal(shop)
    assert (error.reason, error.billed) == (Reason.SHUTTING_DOWN, Billed.NO)
    await shop.engine.readers.image(CALLER, image_id)


async def drained_by(shop: Workshop, *acts: Callable[[], object]) -> None:
    """Start to drain, see that it waits for each of these acts, and that the last one ends it."""
    drain = asyncio.create_task(shop.engine.drain(60.0))
    for act in acts:
        await asyncio.wait([drain], timeout=0.06)
        assert not drain.done()
        if isawaitable(begun := act()):
            await begun
    await drain


async def test_a_drain_waits_for_what_runs_and_for_readers() -> None:
    """It ends when the last image that nobody had read was delivered."""
    shop = workshop()
    result = await shop.result()
    reading = shop.engine.readers.counted(CALLER)
    await reading.__aenter__()

    await drained_by(
        shop,
        lambda: shop.engine.readers.delivered(result.images[0].image.image_id),
        lambda: reading.__aexit__(None, None, None),
    )


async def test_a_drain_stops_what_does_not_end() -> None:
    """After its time it stops what runs, and the readers are told."""
    shop = workshop(never)
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        await shop.engine.drain(0.0, last_readers=0.0)
        last = (await events_of(generation))[-1]

    assert isinstance(last, Broken)
    assert last.error.reason is Reason.CANCELLED
    assert shop.in_hand == (0, 0, 0)


async def test_a_result_of_which_a_part_is_gone_tells_how_to_get_the_rest() -> None:
    """Nobody is sent to buy again what is still there: by reference its id is told, and it can be read."""
    shop = workshop(yielding(Complete(0, noisy_png(100, 100)), Complete(1, noisy_png(100, 100))))
    events = await shop.run(drawing(count=2), request_id="mine")
    gone, there = (event.generated.image.image_id for event in events if isinstance(event, ImageFinished))
    shop.store._drop(gone)

    with pytest.raises(ImageError) as caught:
        await shop.open(drawing(count=2), request_id="mine")
    async with shop.opened(drawing(count=2), request_id="mine", with_bytes=False):
        await shop.engine.readers.image(CALLER, there)
    shop.store._drop(there)
    with pytest.raises(ImageError) as later:
        await shop.open(drawing(count=2), request_id="mine")

    assert caught.value.reason is later.value.reason is Reason.RESULT_EXPIRED
    assert "by reference" in caught.value.message
    assert "buy it again" in later.value.message
    assert shop.in_hand == (0, 0, 0)
