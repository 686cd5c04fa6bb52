"""Results written to a directory: byte by byte, all or nothing, and never at a caller's cost."""

import asyncio
import hashlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.events import Complete, Preview, Progress
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.domain.task import Options
from imagegen_server.generation.middleware import Chain, Context
from imagegen_server.store import persist
from imagegen_server.store.persist import MIDDLEWARE, Persist, PersistSettings
from PIL import Image as Picture

from tests.support.middleware import LONG_AGO, broken, context_of, finished, generated, wish
from tests.support.pictures import encoded, png

ONE, TWO = png(), encoded(Picture.new("RGB", (5, 7), "teal"), "JPEG")


def persisting(directory: Path, *, prompts: bool = False) -> Chain:
    """Make the middleware as the configuration does."""
    return Chain([MIDDLEWARE.build("persist", PersistSettings(str(directory), prompts))])


def begun(**changes: Any) -> Context:
    """Begin a generation on a known day."""
    return context_of(**({"start_time": LONG_AGO} | changes))


async def run(chain: Chain, context: Context, *pictures: bytes, **told: Any) -> None:
    """Finish images and the generation, and wait for the disk."""
    for index, data in enumerate(pictures):
        await chain.event(context, Complete(index, data))
    images = [generated(index, data) for index, data in enumerate(pictures)]
    await chain.end(context, finished(*images, **told), aborted=False)
    await chain.close()


def files(directory: Path) -> list[str]:
    """List all files below, hidden ones too."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def record(directory: Path) -> Any:
    """Read the one result.json."""
    (path,) = directory.rglob("result.json")
    return json.loads(path.read_text())


async def test_images_are_written_byte_by_byte(tmp_path: Path) -> None:
    """By day and generation, under the type that the bytes tell, with the result beside them and nothing else."""
    target = tmp_path / "results" / "here"

    await run(persisting(target), begun(), ONE, TWO)

    folder = "2025-01-02/gen_abcdefgh_one"
    assert files(target) == [f"{folder}/0.png", f"{folder}/1.jpg", f"{folder}/result.json"]
    assert (target / folder / "0.png").read_bytes() == ONE
    assert (target / folder / "1.jpg").read_bytes() == TWO


async def test_the_result_tells_what_was_made_and_spent(tmp_path: Path) -> None:
    """Facts and hashes of the files, failures, usage and attempts; no prompt."""
    usage = Usage(images_generated=2, cost=Cost(0.04, "USD"))
    failure = Failure(3, ImageError(Reason.CONTENT_FILTERED, "a boat", billed=Billed.NO))

    await run(persisting(tmp_path), begun(), ONE, TWO, usage=usage, failures=(failure,))

    told = record(tmp_path)
    assert [told[key] for key in ("generation_id", "request_id", "caller", "model", "operation", "start_time")] == [
        "gen_abcdefgh_one",
        "order 7",
        "shop",
        "test/any",
        "generate",
        "2025-01-02T03:04:05+00:00",
    ]
    assert told["images"][1] == {
        "index": 1,
        "image_id": "img_1",
        "file": "1.jpg",
        "media_type": "image/jpeg",
        "width": 5,
        "height": 7,
        "alpha": False,
        "size_bytes": len(TWO),
        "sha256": hashlib.sha256(TWO).hexdigest(),
        "seed": None,
    }
    assert told["failures"] == [{"index": 3, "reason": "CONTENT_FILTERED", "billed": "no"}]
    assert told["usage"]["cost"] == {"amount": 0.04, "currency": "USD", "estimated": False}
    assert [(one["outcome"], one["billed"]) for one in told["attempts"]] == [("accepted", "yes")]
    assert "boat" not in json.dumps(told)


@pytest.mark.parametrize("prompts", [False, True])
async def test_prompts_are_written_only_if_asked(prompts: bool, tmp_path: Path) -> None:
    """The prompt, the negative one and the revised one, which repeats it."""
    chain = persisting(tmp_path, prompts=prompts)
    context = begun(asked=wish(prompt="a böat", options=Options(negative_prompt="a ship")))
    await chain.event(context, Complete(0, ONE))
    await chain.end(context, finished(generated(0, ONE, revised_prompt="a red boat")), aborted=False)
    await chain.close()

    told = record(tmp_path)
    said = [told.get("prompt"), told.get("negative_prompt"), told["images"][0].get("revised_prompt")]
    assert said == (["a böat", "a ship", "a red boat"] if prompts else [None, None, None])


async def test_previews_and_spoiled_images_are_no_results(tmp_path: Path) -> None:
    """What the caller does not get as an image is not written, and a failed generation leaves nothing."""
    chain, context = persisting(tmp_path), begun()
    for event in (Progress(), Preview(0, ONE), Complete(0, ONE[:-20]), Complete(1, b"no image")):
        assert await chain.event(context, event) == [event]
    await chain.end(context, broken(), aborted=False)
    await chain.close()

    assert files(tmp_path) == []


async def test_an_image_that_was_not_seen_is_told_without_a_file(tmp_path: Path) -> None:
    """The facts are those of the result then."""
    chain, context = persisting(tmp_path), begun()
    await chain.end(context, finished(), aborted=False)
    await chain.close()

    (image,) = record(tmp_path)["images"]
    assert (image["file"], image["sha256"], image["width"]) == (None, "ab", 8)


@pytest.mark.parametrize("generation_id", ["../../outside", "/etc", "..", "a/b", "", "a\x00b"])
async def test_no_name_leads_out_of_the_directory(generation_id: str, tmp_path: Path) -> None:
    """An id that is none of ours names no file; what callers wrote is never a name."""
    inside = tmp_path / "a" / "b"
    with structlog.testing.capture_logs() as logs:
        await run(persisting(inside), begun(generation_id=generation_id), ONE)
    await run(persisting(inside), begun(request_id="../../outside", caller="../x", model="../y"), ONE)

    assert [line["event"] for line in logs] == ["not persisted"] * 2
    assert all(name.startswith("a/b/2025-01-02/gen_abcdefgh_one/") for name in files(tmp_path))


async def test_a_disk_that_refuses_costs_nobody_an_image(tmp_path: Path) -> None:
    """The event goes on, the result stands, and the log names the trouble."""
    target = tmp_path / "results"
    chain, context = persisting(target), begun()
    target.write_text("a file where the directory should be")
    complete, outcome = Complete(0, ONE), finished(generated(0, ONE))

    with structlog.testing.capture_logs() as logs:
        assert await chain.event(context, complete) == [complete]
        assert await chain.end(context, outcome, aborted=False) == outcome
        await chain.close()

    assert [(line["event"], line["middleware"], line["problem"]) for line in logs] == [
        ("not persisted", "persist", "Not a directory")
    ] * 2
    assert files(tmp_path) == ["results"]


async def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written whole is not there at all; the rest is."""

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    chain, context = persisting(tmp_path), begun()
    monkeypatch.setattr(os, "fsync", refuse)
    with structlog.testing.capture_logs() as logs:
        await run(chain, context, ONE)

    assert files(tmp_path) == []
    assert [line["problem"] for line in logs] == ["No space left on device"] * 2


async def test_nobody_waits_for_a_slow_disk_and_what_waits_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events and the result go on while the disk hangs; what is too much to hold is left out and said."""
    go_on = threading.Event()
    write = persist._write

    def slowly(path: Path, data: bytes) -> None:
        assert go_on.wait(30)
        write(path, data)

    monkeypatch.setattr(persist, "_write", slowly)
    monkeypatch.setattr(persist, "MAX_WAITING_BYTES", len(ONE) * 2)
    chain, context = persisting(tmp_path), begun()
    outcome = finished(*(generated(index, ONE) for index in range(3)))

    with structlog.testing.capture_logs() as logs:
        for index in range(3):
            await chain.event(context, Complete(index, ONE))
        assert await chain.end(context, outcome, aborted=False) == outcome
        go_on.set()
        await chain.close()

    assert [(line["index"], line["problem"]) for line in logs] == [(2, "too many images wait for the disk")]
    assert [image["file"] for image in record(tmp_path)["images"]] == ["0.png", "1.png", None]


async def test_an_event_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """It only looks on, as does the end."""
    chain, context = persisting(tmp_path), begun()
    event = Complete(0, ONE, metadata={"mark": True})

    assert (await chain.event(context, event))[0] is event
    outcome = finished(generated(0, ONE), metadata={"test": {}})
    assert await chain.end(context, replace(outcome), aborted=False) == outcome
    await chain.close()


@pytest.mark.parametrize(
    ("directory", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("{here}/file", "is no directory"),
        ("{here}/file/below", "is no directory"),
    ],
)
def test_a_directory_that_is_none_is_refused(directory: str, problem: str, tmp_path: Path) -> None:
    """At the start, with the key that is wrong."""
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match=f"^directory: .*{problem}"):
        Persist("persist", PersistSettings(directory.format(here=tmp_path)))


def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is asked for the nearest directory that exists; nothing is made by asking."""
    asked: list[object] = []

    def refuse(path: object, mode: int) -> bool:
        asked.append((path, mode))
        return False

    monkeypatch.setattr(os, "access", refuse)

    with pytest.raises(ValueError, match="cannot be written to"):
        Persist("persist", PersistSettings(str(tmp_path / "below" / "this")))

    assert asked == [(tmp_path, os.W_OK | os.X_OK)]
    assert list(tmp_path.iterdir()) == []


async def test_closing_twice_and_without_work_is_nothing(tmp_path: Path) -> None:
    """It returns, also in a loop that never wrote."""
    middleware = Persist("persist", PersistSettings(str(tmp_path)))
    async with asyncio.timeout(30):
        await middleware.close()
        await middleware.close()
