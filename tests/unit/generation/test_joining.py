"""Many readers of one generation: joined by a request_id, resumed, cancelled, left alone."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Finished, ImageFinished, PreviewShown, Started
from imagegen_server.domain.image import UNREADABLE
from imagegen_server.domain.task import ImageReference, RetryWish, Wish
from imagegen_server.generation.admission import AdmissionSettings
from imagegen_server.generation.generation import BrokenGeneration, Generation
from imagegen_server.generation.opening import Terms
from imagegen_server.generation.reading import Reading
from imagegen_server.generation.store import StoreSettings

from tests.support.generation import CALLER, Workshop, drawing, editing, events_of, until, workshop, yielding
from tests.support.pictures import png
from tests.support.provider import draw_all, first_only, never

OTHER = Caller("somebody else")
REFERENCE = ImageReference("input.images[0]", 0, url="http://example.com/a.png")


async def refused(work: object) -> ImageError:
    """Return the error that something is refused with."""
    with pytest.raises(ImageError) as caught:
        await work  # type: ignore[misc]  # whatever can be awaited
    return caught.value


async def resumed(shop: Workshop, generation: Generation, after: int = 0) -> list[object]:
    """Read a generation on from a number."""
    async with await shop.engine.resume(CALLER, Terms(), generation_id=generation.id, after=after) as reading:
        return [*await events_of(reading.generation)]


async def started(shop: Workshop, wish: Wish | None = None, request_id: str = "mine", **terms: Any) -> Reading:
    """Begin a generation, or join it."""
    reading = await shop.open(wish, request_id=request_id, **terms)
    shop.engine.launch(reading.generation)
    return reading


async def test_the_same_request_joins_what_runs() -> None:
    """The second call reads the same log; the provider is asked once, and both come to the same end."""
    shop = workshop(first_only)
    first = await started(shop, drawing(count=2))
    second = await started(shop, drawing(count=2))
    await until(first.generation, ImageFinished)

    assert second.generation is first.generation
    assert len(shop.provider.tasks) == 1
    for reading in (first, second):
        await reading.close()


async def test_the_same_request_replays_what_has_ended() -> None:
    """After the end the same events come again, with the bytes, and nothing is bought."""
    shop = workshop()
    before = await shop.run(request_id="mine")

    again = await shop.run(request_id="mine")

    assert again == [event for event in before if isinstance(event, Started | ImageFinished | Finished)]
    assert len(shop.provider.tasks) == 1
    assert shop.in_hand == (0, 0, 0)


async def test_two_at_once_buy_once() -> None:
    """Of two requests in one moment, one opens and the other waits for it, also while the first is being planned."""
    shop = workshop()

    readings = await asyncio.gather(started(shop), started(shop), started(shop))

    assert len({reading.generation.id for reading in readings}) == 1
    await events_of(readings[0].generation)
    assert len(shop.provider.tasks) == 1
    for reading in readings:
        await reading.close()


async def test_one_that_is_opened_and_not_launched_leaves_the_id_free() -> None:
    """The one who waits buys in its place, and nothing is held for the first."""
    shop = workshop()
    first = await shop.open(request_id="mine")
    second = asyncio.create_task(started(shop))
    await asyncio.sleep(0)
    assert not second.done()

    await first.close()

    reading = await second
    assert reading.generation is not first.generation
    await events_of(reading.generation)
    await reading.close()
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        replace(drawing(), prompt="another"),
        drawing(seed=1),
        drawing(params={"test": {"style": 1}}),
        replace(drawing(), strict=True),
        replace(drawing(), retry=RetryWish(retry_ambiguous=True)),
        editing(png()),
        drawing("test/other"),
    ],
    ids=["prompt", "options", "params", "strict", "retry", "operation", "model"],
)
async def test_another_wish_under_the_same_id_is_refused(other: Wish) -> None:
    """What decides the picture, or what may be paid, makes it another wish."""
    shop = workshop()
    await shop.run(request_id="mine")

    error = await refused(shop.open(other, request_id="mine"))

    assert (error.reason, error.billed, error.metadata["request_id"]) == (Reason.REQUEST_ID_REUSED, Billed.NO, "mine")


@pytest.mark.parametrize(
    "other",
    [drawing(preview_count=3), replace(drawing(), preview_default=2), replace(drawing(), previews_shown=False)],
    ids=["previews", "stream form", "unary form"],
)
async def test_how_it_is_watched_does_not_make_another_wish(other: Wish) -> None:
    """Previews and the form of the call change nothing of what is bought."""
    shop = workshop()
    await shop.run(request_id="mine")

    await shop.run(other, request_id="mine")

    assert len(shop.provider.tasks) == 1


async def test_images_count_by_their_content() -> None:
    """The same bytes are the same input, given as they are or by the id of a stored image; others are not."""
    shop = workshop()
    data = png(9, 9)
    stored = await shop.store.put(
        CALLER.name, data, editing(data).images[0].facts, "0" * 64, await shop.store.reserve(1)
    )
    by_id = replace(
        editing(data),
        images=(UNREADABLE,),
        references=(replace(REFERENCE, url="", image_id=stored.image_id),),
    )
    await shop.run(by_id, request_id="mine")

    await shop.run(by_id, request_id="mine")
    other = await refused(shop.open(editing(png(8, 8)), request_id="mine"))

    assert other.reason is Reason.REQUEST_ID_REUSED
    assert len(shop.provider.tasks) == 1


async def test_ids_belong_to_their_caller() -> None:
    """Two callers may use the same request_id, and neither sees what the other has."""
    shop = workshop()
    await shop.run(request_id="mine")
    (generation,) = [shop.generations.find_request(CALLER.name, "mine")]
    assert generation is not None

    async with await shop.engine.open(drawing(), OTHER, Terms(request_id="mine")) as reading:
        assert reading.generation is not generation
    errors = [
        await refused(shop.engine.resume(OTHER, Terms(), generation_id=generation.id)),
        await refused(shop.engine.resume(OTHER, Terms(), request_id="mine")),
        await refused(shop.engine.cancel(OTHER, generation_id=generation.id)),
        await refused(shop.engine.cancel(OTHER, request_id="mine")),
    ]

    assert {error.reason for error in errors} == {Reason.GENERATION_NOT_FOUND}


async def test_a_free_failure_frees_the_id() -> None:
    """What cannot have been billed is bought anew by the same request; until then Resume still tells of it."""
    shop = workshop(yielding(ImageError(Reason.RATE_LIMITED, "later"), accepted=False))
    broken = (await shop.run(request_id="mine"))[-1]
    assert isinstance(broken, Broken)
    replayed = shop.generations.find_request(CALLER.name, "mine")
    assert replayed is not None
    assert (await resumed(shop, replayed))[-1] == broken

    shop.provider.script = draw_all
    assert isinstance((await shop.run(request_id="mine"))[-1], Finished)

    assert len(shop.provider.tasks) == 2


async def test_a_failure_that_may_have_cost_replays() -> None:
    """What may have been billed is told again, and not bought again, also when only its failure is left."""
    shop = workshop(yielding(ImageError(Reason.PROVIDER_ERROR, "broken")))
    broken = (await shop.run(request_id="mine"))[-1]
    assert isinstance(broken, Broken)

    assert (await shop.run(request_id="mine"))[-1] == broken
    shop.generations._drop(broken.failure.generation_id)
    with pytest.raises(BrokenGeneration) as caught:
        await shop.open(request_id="mine")
    with pytest.raises(BrokenGeneration):
        await shop.engine.resume(CALLER, Terms(), request_id="mine")

    assert caught.value.error.reason is Reason.PROVIDER_ERROR
    assert (caught.value.failure.generation_id, caught.value.failure.attempts) == (
        broken.failure.generation_id,
        broken.failure.attempts,
    )
    assert await shop.engine.cancel(CALLER, request_id="mine") == (broken.failure.generation_id, False)
    assert len(shop.provider.tasks) == 1


async def test_a_result_whose_images_are_gone_is_not_bought_again() -> None:
    """Evicted or expired, the id stands for what was served: RESULT_EXPIRED, also for Resume."""
    shop = workshop(store=StoreSettings(max_bytes=200_000))
    (image,) = [event for event in await shop.run(request_id="mine") if isinstance(event, ImageFinished)]
    shop.store.delivered(image.generated.image.image_id)
    reservation = await shop.store.reserve(10**6)
    errors = [
        await refused(shop.open(request_id="mine")),
        await refused(shop.engine.resume(CALLER, Terms(), request_id="mine")),
    ]
    facts_only = await shop.open(request_id="mine", with_bytes=False)
    generation = facts_only.generation
    await facts_only.close()
    behind = await shop.engine.resume(CALLER, Terms(), generation_id=generation.id, after=generation.log.sequence)
    await behind.close()
    shop.generations._drop(generation.id)
    errors.append(await refused(shop.open(request_id="mine")))

    assert {(error.reason, error.billed) for error in errors} == {(Reason.RESULT_EXPIRED, Billed.NO)}
    assert len(shop.provider.tasks) == 1
    reservation.release()
    assert shop.in_hand == (0, 0, 0)


async def test_a_request_that_is_refused_leaves_the_id_free() -> None:
    """A wish that is wrong claims nothing."""
    shop = workshop()

    error = await refused(shop.open(drawing("test/any", params={"nobody": {}}), request_id="mine"))

    assert error.reason is Reason.INVALID_REQUEST
    await shop.run(request_id="mine")


@pytest.mark.parametrize(("terms", "goes_on"), [({}, True), ({"detach": True}, True), ({"detach": False}, False)])
async def test_who_gives_an_id_may_leave(terms: dict[str, Any], goes_on: bool) -> None:
    """With a request_id leaving stops the reading alone, unless the caller says otherwise."""
    shop = workshop(never)
    reading = await started(shop, drawing(preview_count=1), **terms)
    generation = reading.generation

    await reading.close()

    assert (generation.stop_error is None) is goes_on
    assert shop.in_hand[0] == shop.engine.detached == 1
    generation.stop(ImageError(Reason.CANCELLED, "the test is over"))
    await generation.log.end()
    assert shop.engine.detached == 0


async def test_without_an_id_leaving_stops_it_unless_it_is_detached() -> None:
    """DETACH works without a request_id: the server's ids find it again."""
    shop = workshop(never)
    reading = await started(shop, request_id="", detach=True)
    await reading.close()
    assert reading.generation.stop_error is None

    again = await shop.engine.resume(CALLER, Terms(), request_id=reading.generation.request_id)
    await again.close()
    assert await shop.engine.cancel(CALLER, generation_id=reading.generation.id) == (reading.generation.id, True)
    await reading.generation.log.end()


async def test_a_join_can_detach_and_never_attach() -> None:
    """A CANCEL generation that somebody joins with DETACH goes on; a CANCEL join does not take that back."""
    shop = workshop(never)
    first = await started(shop, detach=False)
    second = await started(shop)
    third = await started(shop, detach=False)

    for reading in (second, third, first):
        await reading.close()

    assert first.generation.stop_error is None
    await shop.engine.cancel(CALLER, request_id="mine")
    await first.generation.log.end()


async def test_a_detached_one_has_no_readers_deadline() -> None:
    """Only readers of a generation that ends with them bring their deadlines, and the last one counts."""
    shop = workshop(never)
    detached = await shop.open(request_id="mine", time_left=10.0)
    first = await shop.open(request_id="other", detach=False, time_left=10.0)
    shop.engine.launch(first.generation)
    second = await shop.open(request_id="other", detach=False, time_left=100.0)

    assert detached.generation.deadline is None
    latest = first.generation.deadline
    assert latest is not None
    await second.close()
    earlier = first.generation.deadline
    assert earlier is not None
    assert 80 < latest - earlier < 100
    third = await shop.open(request_id="other", detach=False)
    assert first.generation.deadline is None
    for reading in (detached, first, third):
        await reading.close()


async def test_the_last_deadline_ends_it() -> None:
    """When the reader without one leaves, the deadline of the other counts again, and stops the generation."""
    shop = workshop(never)
    patient = await started(shop, detach=False)
    hasty = await shop.open(request_id="mine", detach=False, time_left=0.3)
    assert patient.generation.deadline is None

    await patient.close()

    last = await hasty.generation.log.end()
    assert isinstance(last, Broken)
    assert last.error.reason is Reason.TIMEOUT
    await hasty.close()


async def test_resume_begins_behind_what_was_seen() -> None:
    """From any number on the same events follow, and the last one always comes."""
    shop = workshop(yielding(Complete(0, png(300, 300)), Complete(1, png())))
    async with shop.opened(drawing(count=2)) as generation:
        shop.engine.launch(generation)
        whole = await events_of(generation)
        for after in range(generation.log.sequence + 1):
            assert (await resumed(shop, generation, after))[-1] == whole[-1]


async def test_resume_behind_the_end_is_refused() -> None:
    """A number that the log has not come to cannot have been seen."""
    shop = workshop()
    generation = await shop.ended()

    error = await refused(shop.engine.resume(CALLER, Terms(), generation_id=generation.id, after=99))

    assert (error.reason, [item.field for item in error.violations]) == (Reason.INVALID_REQUEST, ["after_sequence"])


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("nonsense", Reason.GENERATION_NOT_FOUND),
        ("gen_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Reason.WRONG_INSTANCE),
    ],
)
async def test_ids_of_elsewhere(id_: str, reason: Reason) -> None:
    """What is no id of ours is not found; one of another process says so."""
    shop = workshop()

    for work in (
        shop.engine.resume(CALLER, Terms(), generation_id=id_),
        shop.engine.cancel(CALLER, generation_id=id_),
        shop.engine.resume(CALLER, Terms(), request_id=id_),
    ):
        assert (await refused(work)).reason is reason


async def test_cancel_stops_once() -> None:
    """The first cancel stops a detached generation and closes the provider's call; a second one finds it stopped."""
    shop = workshop(never)
    reading = await started(shop, drawing(preview_count=1))
    await until(reading.generation, PreviewShown)
    await reading.close()

    first = await shop.engine.cancel(CALLER, request_id="mine")
    second = await shop.engine.cancel(CALLER, generation_id=reading.generation.id)

    last = await reading.generation.log.end()
    assert (first[1], second[1]) == (True, False)
    assert isinstance(last, Broken)
    assert last.error.reason is Reason.CANCELLED
    await shop.provider.closed.wait()


async def test_a_resting_generation_holds_nothing() -> None:
    """Nobody reading, its images are in the store alone; a reader wakes it, and it rests again."""
    shop = workshop()
    await shop.run(request_id="mine")
    generation = shop.generations.find_request(CALLER.name, "mine")
    assert generation is not None
    assert shop.in_hand == (0, 0, 0)
    assert generation.log.without_bytes(0) != []

    reading = await shop.open(request_id="mine")

    assert generation.log.without_bytes(0) == []
    assert shop.admission.bytes_in_flight == sum(
        image.generated.image.size_bytes for image in generation.log.events if isinstance(image, ImageFinished)
    )
    await reading.close()
    assert shop.in_hand == (0, 0, 0)


async def test_a_draining_engine_lets_readers_in() -> None:
    """While it stops, what is there can be joined, resumed and cancelled; only new work is refused."""
    shop = workshop(never)
    reading = await started(shop)
    drain = asyncio.create_task(shop.engine.drain(60.0))
    await asyncio.sleep(0)

    again = await shop.open(request_id="mine")
    error = await refused(shop.open(request_id="new"))

    assert again.generation is reading.generation
    assert error.reason is Reason.SHUTTING_DOWN
    await shop.engine.cancel(CALLER, request_id="mine")
    await events_of(again.generation)
    for one in (again, reading):
        await one.close()
    await drain


async def test_who_comes_back_has_the_place_of_the_generation() -> None:
    """With all places taken by detached generations each of them can be read, and a second reader finds none."""
    shop = workshop(never, admission=AdmissionSettings(max_calls=1))
    reading = await started(shop)
    await reading.close()

    again = await shop.engine.resume(CALLER, Terms(), request_id="mine")
    error = await refused(shop.engine.resume(CALLER, Terms(), request_id="mine"))

    assert error.reason is Reason.SERVER_BUSY
    assert shop.in_hand[0] == 1
    await shop.engine.cancel(CALLER, request_id="mine")
    await events_of(again.generation)
    await again.close()
    assert shop.in_hand == (0, 0, 0)


async def test_a_replay_is_one_call() -> None:
    """A resting generation that is woken takes the place of its reader alone."""
    shop = workshop(admission=AdmissionSettings(max_calls=1))
    await shop.run(request_id="mine")

    reading = await shop.open(request_id="mine")

    assert shop.in_hand[0] == 1
    await reading.close()
    assert shop.in_hand == (0, 0, 0)


async def test_nothing_is_fetched_for_a_model_that_may_not_be_used() -> None:
    """An input by URL waits until it is known that the caller may use the model at all."""
    shop = workshop()
    wish = replace(editing(png()), images=(UNREADABLE,), references=(replace(REFERENCE, url="http://127.0.0.1:1/"),))
    opening = shop.engine.open(wish, Caller("shop", models=("other/*",)), Terms())

    assert (await refused(opening)).reason is Reason.CALLER_NOT_ALLOWED
    assert (await refused(shop.open(replace(wish, model="nobody/x")))).reason is Reason.PROVIDER_NOT_CONFIGURED
    assert (await refused(shop.open(wish))).reason is Reason.INPUT_NOT_FETCHED
    assert shop.in_hand == (0, 0, 0)
