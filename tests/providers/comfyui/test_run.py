"""The provider as the engine runs it, on a fake of the server in three versions: pictures, previews and progress."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed
from imagegen_server.domain.events import Finished, ImageFinished, LogEvent, Phase, PreviewShown, Progress
from imagegen_server.domain.result import AttemptOutcome, WarningReason
from imagegen_server.providers.comfyui.settings import WorkflowSettings
from PIL import Image

from tests.support.comfyui_api import FakeComfyUI, Version
from tests.support.comfyui_nodes import CHECKPOINTS
from tests.support.comfyui_provider import MODEL, comfyui_workshop, graph_of, workflow, written
from tests.support.generation import drawing, editing
from tests.support.pictures import encoded, png

VERSIONS = pytest.mark.parametrize("version", ["old", "v0.3.64", "2026"])


def steps_of(events: list[LogEvent]) -> list[tuple[int | None, int | None]]:
    """List the steps that were told."""
    return [(event.step, event.steps) for event in events if isinstance(event, Progress) and event.steps]


def previews_of(events: list[LogEvent]) -> list[dict[str, Any]]:
    """List what was told of each preview."""
    return [dict(event.metadata["comfyui"]) for event in events if isinstance(event, PreviewShown)]


def graph_sent(fake: FakeComfyUI) -> dict[str, Any]:
    """Read the graph that was queued last."""
    graph: dict[str, Any] = fake.queued[-1].json["prompt"]
    return graph


@VERSIONS
async def test_a_picture_is_drawn(version: Version) -> None:
    """By the built-in graph: words, size, seed and params stand where its nodes read them; the server's id is kept."""
    async with comfyui_workshop(version) as made:
        wish = drawing(MODEL, seed=7, negative_prompt="rain", params={"comfyui": {"steps": 3, "cfg": 2.5}})
        result = await made.workshop.result(wish)
        graph, body = graph_sent(made.fake), made.fake.queued[0].json
        prompt_id = next(iter(made.fake.queue.history))

    assert (graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"]) == ("a boat", "rain")
    assert graph["4"]["inputs"]["ckpt_name"] == CHECKPOINTS[0]
    assert graph["5"]["inputs"] == {"width": 1024, "height": 1024, "batch_size": 1}
    sampler = {name: graph["3"]["inputs"][name] for name in ("seed", "steps", "cfg", "denoise", "sampler_name")}
    assert sampler == {"seed": 7, "steps": 3, "cfg": 2.5, "denoise": 1.0, "sampler_name": "euler"}
    assert body["client_id"] == body["prompt_id"]
    assert body["extra_data"] == {"preview_method": "none"}
    (image,) = result.images
    assert (image.seed, image.image.facts.media_type) == (7, "image/png")
    assert image.metadata["comfyui"] == {
        "node": "9",
        "filename": "imagegen_00001_.png",
        "subfolder": "",
        "type": "output",
    }
    assert result.metadata["comfyui"] == {"prompt_id": prompt_id, "execution_seconds": 0.5}
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (1, None)
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == prompt_id


@VERSIONS
async def test_previews_are_spread_over_the_steps(version: Version) -> None:
    """As many as are wanted, of the whole way; the server is asked for them, or makes them as it was started."""
    async with comfyui_workshop(version) as made:
        made.fake.queue.preview_method = "none" if version == "2026" else "auto"
        events = await made.workshop.run(drawing(MODEL, preview_count=3))

    assert made.fake.queued[0].json["extra_data"] == {"preview_method": "auto"}
    assert [told["step"] for told in previews_of(events)] == [5, 10, 15]
    assert {(told["node"], told["steps"]) for told in previews_of(events)} == {("3", 20)}
    shown = [event for event in events if isinstance(event, PreviewShown)]
    assert {event.facts.media_type for event in shown} == {"image/jpeg"}
    assert len({event.data for event in shown}) == 3


async def test_more_previews_than_steps_are_all_there_are() -> None:
    """Each of the two steps shows one."""
    async with comfyui_workshop() as made:
        events = await made.workshop.run(drawing(MODEL, preview_count=9, params={"comfyui": {"steps": 2}}))

    assert [told["step"] for told in previews_of(events)] == [1, 2]


async def test_previews_of_two_samplers_are_spread_over_both() -> None:
    """The second begins where the first has left off."""
    async with comfyui_workshop(workflows={"castle": workflow("refining")}) as made:
        events = await made.workshop.run(drawing("comfyui/castle", preview_count=3))

    assert [(told["node"], told["step"]) for told in previews_of(events)] == [("3", 3), ("3", 6), ("20", 3)]


async def test_an_old_server_that_was_started_without_previews_shows_none() -> None:
    """And draws all the same."""
    async with comfyui_workshop("v0.3.64") as made:
        events = await made.workshop.run(drawing(MODEL, preview_count=3))

    assert previews_of(events) == []
    assert isinstance(events[-1], Finished)


@VERSIONS
async def test_progress_is_told_by_node_and_step(version: Version) -> None:
    """Each step once; the fraction of all only grows, and most of it is the drawing itself."""
    async with comfyui_workshop(version) as made:
        events = await made.workshop.run(drawing(MODEL, params={"comfyui": {"steps": 4}}))
    told = [event for event in events if isinstance(event, Progress)]
    nodes = list(dict.fromkeys(event.message for event in told if event.message))
    fractions = [event.fraction for event in told if event.fraction is not None]

    assert steps_of(events) == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert nodes == [
        *("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage"),
    ]
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1
    assert {event.phase for event in told} == {Phase.GENERATING}


async def test_several_are_one_batch() -> None:
    """With one seed; each says which of the batch it is. Beyond the table's number they are several prompts."""
    async with comfyui_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=6, seed=7))
    batches = sorted(call.json["prompt"]["5"]["inputs"]["batch_size"] for call in made.fake.queued)

    assert batches == [2, 4]
    assert [image.seed for image in result.images] == [7, 7, 7, 7, 11, 11]
    told = [image.metadata["comfyui"] for image in result.images]
    assert [(one["batch_index"], one["batch_size"]) for one in told] == [*((n, 4) for n in range(4)), (0, 2), (1, 2)]


async def test_with_previews_each_is_a_prompt_of_its_own() -> None:
    """The server makes previews of the first picture of a batch alone."""
    async with comfyui_workshop() as made:
        events = await made.workshop.run(drawing(MODEL, count=3, preview_count=1))

    assert len(made.fake.queued) == 3
    assert sorted(event.index for event in events if isinstance(event, PreviewShown)) == [0, 1, 2]


async def test_a_seed_is_always_told() -> None:
    """One that was chosen here is below 2**53, and another each time; one in params is the one that counts."""
    async with comfyui_workshop() as made:
        chosen = [(await made.workshop.result(drawing(MODEL))).images[0].seed for _ in range(2)]
        params = {"comfyui": {"3.inputs.seed": 99}}
        directly = (await made.workshop.result(drawing(MODEL, params=params))).images[0].seed

    assert chosen == [call.json["prompt"]["3"]["inputs"]["seed"] for call in made.fake.queued[:2]]
    assert all(seed is not None and 0 <= seed < 2**53 for seed in chosen)
    assert chosen[0] != chosen[1]
    assert directly == 99


async def test_everything_cached_is_the_same_picture() -> None:
    """The server runs nothing the second time, and its history tells the picture of the first."""
    async with comfyui_workshop() as made:
        events = [await made.workshop.run(drawing(MODEL, seed=7, preview_count=2)) for _ in range(2)]
        first, second = (next(event for event in run if isinstance(event, ImageFinished)) for run in events)

    assert first.data == second.data
    assert second.generated.metadata == first.generated.metadata
    assert previews_of(events[1]) == []
    assert len(made.fake.queue.history) == 2


async def test_a_picture_is_changed() -> None:
    """It is uploaded as it is, under a name that its bytes make; the built-in graph keeps its size."""
    picture = png(64, 48)
    async with comfyui_workshop() as made:
        wish = editing(picture, model=MODEL)
        wish = replace(wish, options=replace(wish.options, count=2))
        await made.workshop.result(wish)
        result = await made.workshop.result(wish)
        files = {place: data for place, data in made.fake.queue.files.items() if place[0] == "input"}
        graph = graph_sent(made.fake)

    ((_, subfolder, name),) = files
    assert files["input", subfolder, name] == picture
    assert subfolder == "imagegen"
    assert graph["10"]["inputs"]["image"] == f"imagegen/{name}"
    assert graph["14"] == {"class_type": "RepeatLatentBatch", "inputs": {"samples": ["11", 0], "amount": 2}}
    assert graph["3"]["inputs"]["denoise"] == 0.75
    assert "5" not in graph
    assert len(result.images) == 2


def half(side: int = 64) -> bytes:
    """Draw a mask whose left half may change."""
    image = Image.new("RGBA", (side, side), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, side // 2, side))
    return encoded(image, "PNG")


def left_and_right(data: bytes, channel: str) -> tuple[int, int]:
    """Look at a pixel of each half."""
    image = Image.open(io.BytesIO(data))
    part = image.getchannel("A") if channel == "alpha" else image.convert("L")
    left, right = part.getpixel((10, 10)), part.getpixel((50, 10))
    assert isinstance(left, int)
    assert isinstance(right, int)
    return left, right


async def test_a_part_of_a_picture_is_changed() -> None:
    """By the built-in graph: the mask is white where the picture may change, and it is drawn anew there."""
    async with comfyui_workshop() as made:
        await made.workshop.result(editing(png(64, 64), mask=half(), model=MODEL))
        graph, uploads = graph_sent(made.fake), [call for call in made.fake.requests if "/upload/" in call.path]

    assert left_and_right(uploads[1].files[0].data, "white") == (255, 0)
    assert graph["12"]["inputs"]["channel"] == "red"
    assert graph["3"]["inputs"]["denoise"] == 1.0


@pytest.mark.parametrize(
    ("name", "channel", "expected"),
    [("mask-file", "alpha", (0, 255)), ("mask-file", "red", (255, 0)), ("mask-file", "blue", (255, 0))],
)
async def test_a_mask_has_the_polarity_that_its_node_reads(
    name: str, channel: str, expected: tuple[int, int], tmp_path: Any
) -> None:
    """LoadImageMask takes what is transparent in the channel alpha, and what is white in the others."""
    graph = graph_of(name)
    graph["12"]["inputs"]["channel"] = channel
    told = WorkflowSettings(written(tmp_path / "w.json", graph))
    async with comfyui_workshop(workflows={"castle": told}) as made:
        await made.workshop.result(editing(png(64, 64), mask=half(), model="comfyui/castle"))
        uploads = [call for call in made.fake.requests if "/upload/" in call.path]

    assert left_and_right(uploads[1].files[0].data, "alpha" if channel == "alpha" else "white") == expected


async def test_a_mask_may_be_the_transparency_of_the_picture() -> None:
    """Where LoadImage gives both, the server puts them together, and the picture keeps its colours."""
    picture = encoded(Image.new("RGB", (64, 64), (200, 10, 10)), "PNG")
    async with comfyui_workshop(workflows={"castle": workflow("inpainting")}) as made:
        await made.workshop.result(editing(picture, mask=half(), model="comfyui/castle"))
        name = graph_sent(made.fake)["10"]["inputs"]["image"].rpartition("/")[2]
        drawn_on = made.fake.queue.files["input", "imagegen", name]

    assert [call.path for call in made.fake.requests][:2] == ["/upload/image", "/upload/mask"]
    assert left_and_right(drawn_on, "alpha") == (0, 255)
    assert Image.open(io.BytesIO(drawn_on)).convert("RGB").getpixel((10, 10)) == (200, 10, 10)


async def test_an_old_server_renames_what_it_has_already() -> None:
    """The name that it answers is the one that counts."""
    async with comfyui_workshop("old") as made:
        for _ in range(2):
            await made.workshop.result(editing(png(64, 64), model=MODEL))

    assert graph_sent(made.fake)["10"]["inputs"]["image"].endswith(" (1).png")


async def test_a_workflow_is_a_model() -> None:
    """Its own nodes stay as they are but for the fields that it has; `params` change any input."""
    async with comfyui_workshop(workflows={"castle": workflow("flux")}, checkpoints=False) as made:
        params = {"comfyui": {"scheduler": "karras", "26.inputs.guidance": 2.0, "front": True}}
        result = await made.workshop.result(drawing("comfyui/castle", seed=7, count=2, params=params))
        body, graph = made.fake.queued[0].json, graph_sent(made.fake)
    expected = graph_of("flux")
    expected["6"]["inputs"]["text"] = "a boat"
    expected["25"]["inputs"]["noise_seed"] = 7
    expected["27"]["inputs"]["batch_size"] = 2
    expected["17"]["inputs"]["scheduler"] = "karras"
    expected["26"]["inputs"]["guidance"] = 2.0

    assert graph == expected
    assert body["front"] is True
    assert [image.seed for image in result.images] == [7, 7]
    assert result.warnings == ()


async def test_a_workflow_without_a_model_works() -> None:
    """It takes a picture and no words; a prompt is warned about."""
    async with comfyui_workshop(workflows={"invert": workflow("inverting")}) as made:
        result = await made.workshop.result(editing(png(64, 64), model="comfyui/invert"))
        without = await made.workshop.result(editing(png(64, 64), model="comfyui/invert", prompt=""))

    assert [(note.field, note.reason) for note in result.warnings] == [("input.prompt", WarningReason.IGNORED)]
    assert without.warnings == ()
    assert result.images[0].seed is None


async def test_pictures_may_be_pushed() -> None:
    """By SaveImageWebsocket, as previews are: they are the result, and nothing is left on the server."""
    for version in ("old", "2026"):
        async with comfyui_workshop(version, workflows={"castle": workflow("pushing")}) as made:
            made.fake.queue.preview_method = "auto"
            events = await made.workshop.run(drawing("comfyui/castle", count=1, preview_count=2))
            result = await made.workshop.result(drawing("comfyui/castle", count=2))
            params = {"comfyui": {"5.inputs.batch_size": 3}}
            more = await made.workshop.result(drawing("comfyui/castle", params=params))

        (image,) = [event for event in events if isinstance(event, ImageFinished)]
        assert image.generated.image.facts.media_type == "image/png"
        assert len(previews_of(events)) == 2
        assert len({one.image.sha256 for one in result.images}) == 2
        assert (len(more.images), more.metadata["comfyui"]["pictures_left"]) == (1, 2)
        assert made.fake.queue.files == {}


async def test_the_node_whose_pictures_are_meant_can_be_said(tmp_path: Any) -> None:
    """By `output`; else the first of those to keep is taken, and the result says that there are more."""
    graph = graph_of("drawing")
    graph["30"] = {**graph["9"], "inputs": {"filename_prefix": "second", "images": ["8", 0]}}
    path = written(tmp_path / "w.json", graph)
    settings = {"any": WorkflowSettings(path), "second": WorkflowSettings(path, output="30")}
    async with comfyui_workshop(workflows=settings) as made:
        first = await made.workshop.result(drawing("comfyui/any"))
        second = await made.workshop.result(drawing("comfyui/second"))

    assert first.images[0].metadata["comfyui"]["node"] == "9"
    assert first.metadata["comfyui"]["pictures_left"] == 1
    assert second.images[0].metadata["comfyui"]["node"] == "30"
    assert "pictures_left" not in second.metadata["comfyui"]


@pytest.mark.parametrize(
    ("settings", "look", "expected"),
    [
        ({"save_images": False}, lambda graph: graph["9"]["class_type"], "PreviewImage"),
        ({"defaults": {"steps": 5}}, lambda graph: graph["3"]["inputs"]["steps"], 5),
        ({"defaults": {"width": 512}}, lambda graph: graph["5"]["inputs"]["width"], 512),
    ],
)
async def test_the_table_changes_the_built_in_graphs(
    settings: dict[str, Any], look: Callable[[dict[str, Any]], object], expected: object
) -> None:
    """Where pictures are left, and what is drawn with unless asked."""
    async with comfyui_workshop(**settings) as made:
        result = await made.workshop.result(drawing(MODEL))

    assert look(graph_sent(made.fake)) == expected
    assert result.images[0].metadata["comfyui"]["type"] == ("output" if "save_images" not in settings else "temp")
