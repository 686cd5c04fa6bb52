"""What is shown while a server works: of our own task alone, and only as long as its call is not answered."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from imagegen_server.domain.events import Finished, LogEvent, Phase, PreviewShown, Progress
from imagegen_server.domain.task import Wish
from imagegen_server.generation.generation import Generation
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.providers.sdapi import SdapiSettings
from imagegen_server.providers.sdapi.progress import of_server
from imagegen_server.providers.sdapi.watching import Pace

from tests.support.generation import drawing, events_of
from tests.support.http_server import PATIENCE
from tests.support.openai_wire import picture
from tests.support.recording import RecordedRequest
from tests.support.sdapi_api import STEPS, Flavor, preview
from tests.support.sdapi_provider import MODEL, SdapiWorkshop, sdapi_workshop
from tests.support.vendor import Answer, html_answer, json_answer

OURS_ALONE = SdapiSettings(shared=False)
TELLS_WHOSE = pytest.mark.parametrize("flavor", ["a1111", "forge"])
TELLS_NOT = pytest.mark.parametrize("flavor", ["sdnext", "koboldcpp"])


def previewed(count: int = 1) -> Wish:
    """Wish for a picture that is seen while it develops."""
    return drawing(MODEL, preview_count=count)


def shown(events: list[LogEvent]) -> list[bytes]:
    """List the previews."""
    return [event.data for event in events if isinstance(event, PreviewShown)]


def told(events: list[LogEvent]) -> list[Progress]:
    """List what the server told of the way; what the engine tells by itself has neither."""
    return [
        event
        for event in events
        if isinstance(event, Progress) and (event.fraction is not None or event.queue_position is not None)
    ]


async def held(made: SdapiWorkshop, wish: Wish, do: Callable[[Generation], Any]) -> list[LogEvent]:
    """Run a generation whose task does not end by itself; `do` something meanwhile."""
    made.fake.held = True
    async with asyncio.timeout(PATIENCE), made.workshop.opened(wish) as generation:
        made.workshop.engine.launch(generation)
        await do(generation)
        return await events_of(generation)


@TELLS_WHOSE
async def test_a_preview_is_that_of_our_task(flavor: Flavor) -> None:
    """By the id that was sent with it, which is also that of the attempt; the server is asked for previews."""
    async with sdapi_workshop(flavor) as made:
        events = await made.workshop.run(previewed())
        (sent,), (look, *_) = made.fake.makings, made.fake.looks
    last = events[-1]

    assert shown(events) == [picture((8, 8), "png", 100 + STEPS // 2)]
    assert [(event.phase, event.fraction, event.remaining) for event in told(events)] == [(Phase.GENERATING, 0.5, 10.0)]
    assert look.json == {"id_task": sent.json["force_task_id"], "id_live_preview": -1, "live_preview": True}
    assert sent.json["override_settings"] == {"live_previews_enable": True, "show_progress_every_n_steps": 1}
    assert sent.json["override_settings_restore_afterwards"] is True
    assert isinstance(last, Finished)
    assert last.result.attempts[0].provider_request_id == sent.json["force_task_id"]


@TELLS_WHOSE
async def test_the_same_preview_is_not_shown_twice(flavor: Flavor) -> None:
    """The server is told which one we have, and they are spread over the steps."""

    async def develops(_: Generation) -> None:
        for step in (1, 3, 6, 12, 19):
            await made.fake.until(lambda: made.fake.current)
            made.fake.at_work.step = step
            seen = len(made.fake.looks)
            await made.fake.until(lambda: len(made.fake.looks) > seen + 2)  # noqa: B023 - awaited at once
        made.fake.finish()

    async with sdapi_workshop(flavor) as made:
        events = await held(made, previewed(3), develops)
        ids = [look.json["id_live_preview"] for look in made.fake.looks]

    # Of three, the second is due after a third of the way, the last after two thirds.
    assert shown(events)[1:] == [picture((8, 8), "png", 100 + step) for step in (12, 19)]
    assert len(shown(events)) == 3
    assert {-1, 1, 3, 6, 12} <= set(ids)
    assert [event.fraction for event in told(events)][-5:] == [step / STEPS for step in (1, 3, 6, 12, 19)]


async def test_without_previews_none_is_asked_for() -> None:
    """The server makes none, and tells its progress all the same."""

    async def until_told(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 1)
        made.fake.finish()

    async with sdapi_workshop() as made:
        events = await held(made, drawing(MODEL), until_told)
        looks, (sent,) = made.fake.looks, made.fake.makings

    assert {look.json["live_preview"] for look in looks} == {False}
    assert "override_settings" not in sent.json
    assert shown(events) == []
    assert [event.fraction for event in told(events)] == [0.5]


@pytest.mark.parametrize("flavor", ["a1111", "forge", "sdnext", "koboldcpp"])
@pytest.mark.parametrize("settings", [SdapiSettings(), OURS_ALONE], ids=["shared", "alone"])
async def test_two_questions_are_never_asked_at_once(flavor: Flavor, settings: SdapiSettings) -> None:
    """However many pictures are waited for."""
    async with sdapi_workshop(flavor, settings) as made:
        await asyncio.gather(*(made.workshop.run(previewed()) for _ in range(5)))

    assert len(made.fake.makings) == 5
    assert made.fake.most_looking == 1


@TELLS_WHOSE
async def test_a_place_in_the_servers_queue_is_told(flavor: Flavor) -> None:
    """While somebody else's picture is made, of which nothing is shown."""

    async def behind(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 1)
        foreign.ended.set()
        await made.fake.until(lambda: made.fake.current is made.fake.jobs[-1])
        await made.fake.until(lambda: made.fake.jobs[-1].looks)
        made.fake.finish()

    async with sdapi_workshop(flavor) as made:
        foreign = made.fake.foreign()
        events = await held(made, previewed(), behind)
        last = events[-1]

    assert (told(events)[0].phase, told(events)[0].queue_position) == (Phase.QUEUED, 0)
    assert shown(events) in ([], [picture((8, 8), "png", 100 + STEPS // 2)])
    assert isinstance(last, Finished)


@TELLS_NOT
async def test_of_a_shared_server_that_does_not_tell_whose_work_it_does_nothing_is_shown(flavor: Flavor) -> None:
    """Nor is it asked again and again, and never for a picture: that might be somebody else's."""

    async def silent(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 1)
        made.fake.finish()

    async with sdapi_workshop(flavor) as made:
        events = await held(made, previewed(2), silent)
        looks = made.fake.looks

    assert (shown(events), told(events)) == ([], [])
    assert isinstance(events[-1], Finished)
    assert [(look.path, look.query) for look in looks[1:]] == [("/sdapi/v1/progress", "skip_current_image=true")]


@TELLS_NOT
async def test_of_a_server_of_ours_alone_what_runs_is_ours(flavor: Flavor) -> None:
    """Its preview and its steps are shown."""
    async with sdapi_workshop(flavor, OURS_ALONE) as made:
        events = await made.workshop.run(previewed())
    (progress, *_) = told(events)

    assert shown(events) == [picture((8, 8), "png", 100 + STEPS // 2)]
    assert (progress.fraction, progress.step, progress.steps) == (0.5, STEPS // 2, STEPS)


@TELLS_NOT
async def test_of_two_tasks_of_ours_nobody_knows_which_one_runs(flavor: Flavor) -> None:
    """Then nothing is shown of either."""
    async with sdapi_workshop(flavor, OURS_ALONE) as made:
        made.fake.held = True
        wishes = [asyncio.ensure_future(made.workshop.run(previewed())) for _ in range(2)]
        await made.fake.until(lambda: len(made.fake.jobs) == 2 and made.fake.current)
        before = len(made.fake.looks)
        await made.fake.until(lambda: len(made.fake.looks) > before + 2)
        pictured = [look for look in made.fake.looks[before + 1 :] if "false" in look.query]
        for job in made.fake.jobs:
            job.ended.set()
        await asyncio.gather(*wishes)

    assert pictured == []


async def test_a_server_that_tells_its_task_is_believed() -> None:
    """`current_task` is our id: it is ours, and shown; is another: it is not, though the server is ours alone."""
    for names, expected in (("ours", 1), ("another", 0)):
        async with sdapi_workshop("forge", SdapiSettings(shared=names == "ours")) as made:
            made.fake.names_task = True
            made.fake.look_says = without_task_route
            if names == "another":
                made.fake.old = True

            async def looked(_: Generation, made: SdapiWorkshop = made) -> None:
                await made.fake.until(lambda: made.fake.current)
                made.fake.at_work.task_id = made.fake.at_work.task_id or "task(another)"
                before = len(made.fake.looks)
                await made.fake.until(lambda: len(made.fake.looks) > before + 4)
                made.fake.finish()

            events = await held(made, previewed(), looked)

        assert len(shown(events)) == expected


def without_task_route(call: RecordedRequest) -> Answer | None:
    """Answer as a server that knows no tasks."""
    return json_answer(404, {"detail": "Not Found"}) if call.path == "/internal/progress" else None


@pytest.mark.parametrize("settings", [SdapiSettings(), OURS_ALONE], ids=["shared", "alone"])
async def test_an_old_server_that_knows_no_id_shows_what_can_only_be_ours(settings: SdapiSettings) -> None:
    """It has the route for tasks, and does not know ours."""

    async def looked(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 4)
        made.fake.finish()

    async with sdapi_workshop("a1111", settings) as made:
        made.fake.old = True
        events = await held(made, previewed(), looked)

    assert len(shown(events)) == (0 if settings.shared else 1)


async def test_the_picture_of_the_task_before_is_not_shown() -> None:
    """A server that tells what runs may still tell it."""

    async def looked(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 4)
        made.fake.looks.clear()
        made.fake.finish()

    async with sdapi_workshop("koboldcpp", OURS_ALONE) as made:
        made.fake.paint = lambda _: picture((8, 8), "png", 7)
        numbers = [len(shown(await held(made, previewed(2), looked))) for _ in range(2)]

    assert numbers == [1, 0]


@pytest.mark.parametrize(("step", "pictures"), [(0, 0), (1, 1)])
def test_before_the_first_step_there_is_no_picture(step: int, pictures: int) -> None:
    """What is told then is that of the task before."""
    encoded = EncodedImage(memoryview(preview(step).encode()))
    state = {"job_count": 1, "sampling_step": step, "sampling_steps": 20}
    seen = of_server({"progress": 0.01, "state": state, "current_image": encoded}, "ours")

    assert seen is not None
    assert bool(seen.picture) == bool(pictures)


async def test_a_server_without_routes_is_asked_once() -> None:
    """No previews is no error. The models tell it from then on, and wishes for them are warned about."""

    async def asked(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) == 2 and not made.fake.looking)
        made.fake.finish()

    async with sdapi_workshop("sd-server") as made:
        first = (await held(made, previewed(), asked))[-1]
        made.fake.held = False
        second = (await made.workshop.run(previewed()))[-1]
        paths = [look.path for look in made.fake.looks]

    assert paths == ["/internal/progress", "/sdapi/v1/progress"]
    assert isinstance(first, Finished)
    assert first.result.warnings == ()
    assert isinstance(second, Finished)
    assert [warning.field for warning in second.result.warnings] == ["options.preview_count"]


ODD = {
    "a page": html_answer(200),
    "garbage": Answer(200, {"content-type": "application/json"}, [bytes(range(256))]),
    "nothing": Answer(200, {"content-type": "application/json"}, [b""]),
    "a failure": html_answer(502),
    "cut": Answer(200, {"content-type": "application/json"}, [b"", b'{"active": tr'], breaks_off=True),
    "a huge one": Answer(200, {"content-type": "application/json"}, [b" " * (33 * 1024 * 1024)]),
    "odd values": json_answer(200, {"active": True, "queued": False, "progress": "x", "eta": [], "live_preview": 5}),
    "no picture": json_answer(200, {"active": True, "queued": False, "live_preview": "data:image/png;base64,AAAA"}),
    "not base64": json_answer(200, {"active": True, "queued": False, "live_preview": "!", "id_live_preview": {}}),
    "endless numbers": json_answer(200, {"active": True, "queued": False, "progress": 1e300, "eta": -1}),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("settings", [SdapiSettings(), OURS_ALONE], ids=["shared", "alone"])
async def test_an_odd_answer_to_a_question_costs_nobody_a_picture(name: str, settings: SdapiSettings) -> None:
    """Garbage, a page, a broken connection, what is no picture: the picture comes, and nothing odd is shown."""
    async with sdapi_workshop("forge", settings) as made:
        made.fake.look_says = lambda _: ODD[name]
        events = await made.workshop.run(previewed())

    assert isinstance(events[-1], Finished)
    assert shown(events) == []


async def test_a_question_that_hangs_holds_no_picture_up() -> None:
    """The main call alone tells the end."""

    async def finished(_: Generation) -> None:
        await made.fake.until(lambda: made.fake.looking)
        made.fake.finish()

    async with sdapi_workshop() as made:
        hanging = Answer(before=asyncio.Event())
        made.fake.look_says = lambda _: hanging
        events = await held(made, previewed(), finished)
        async with asyncio.timeout(PATIENCE):
            await hanging.client_gone.wait()

    assert isinstance(events[-1], Finished)


async def test_idle_is_not_the_end() -> None:
    """A server that looks idle, or says that our task has ended, may still be writing the picture."""

    async def ends(_: Generation) -> None:
        await made.fake.until(lambda: len(made.fake.looks) > 3)
        made.fake.finish()

    async with sdapi_workshop() as made:
        told_ended = {"active": False, "queued": False, "completed": True, "id_live_preview": -1}
        made.fake.look_says = lambda _: json_answer(200, told_ended)
        events = await held(made, previewed(), ends)

    assert isinstance(events[-1], Finished)


async def test_a_server_that_decodes_at_each_question_is_asked_less_often() -> None:
    """SD.Next makes a preview whenever it is asked, wanted or not; it is known by the id that it tells."""
    async with sdapi_workshop("sdnext", OURS_ALONE, pace=Pace(0.002, 0.002, costly=1e9)) as made:

        async def asked(_: Generation) -> None:
            await made.fake.until(lambda: len(made.fake.looks) == 2 and not made.fake.looking)
            made.fake.finish()

        await held(made, drawing(MODEL), asked)
        looks = made.fake.looks

    assert [look.path for look in looks] == ["/internal/progress", "/sdapi/v1/progress"]


async def test_several_at_once_are_asked_for_one_by_one_with_previews() -> None:
    """A preview of several would show them side by side."""
    async with sdapi_workshop(settings=SdapiSettings(batch_size=4)) as made:
        await made.workshop.run(drawing(MODEL, count=3))
        await made.workshop.run(drawing(MODEL, count=3, preview_count=1))
        sizes = [call.json.get("batch_size") for call in made.fake.makings]

    assert sizes == [3, None, None, None]


@pytest.mark.parametrize(
    ("steps", "settings"), [(0, None), (4, {"live_previews_enable": True, "show_progress_every_n_steps": 4})]
)
async def test_the_servers_own_settings_may_stay(steps: int, settings: dict[str, object] | None) -> None:
    """`preview_steps` says after how many steps a preview is made; 0 leaves it to the server."""
    async with sdapi_workshop(settings=SdapiSettings(preview_steps=steps)) as made:
        await made.workshop.run(previewed())
        (sent,) = made.fake.makings

    assert sent.json.get("override_settings") == settings
