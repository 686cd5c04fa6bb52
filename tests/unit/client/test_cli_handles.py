"""The command and generations that outlive it: resume, cancel, detach, upload, explain."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from imagegen import _backoff
from imagegen.v1 import image_pb2, image_service_pb2

from tests.unit.client.command import Run, generated
from tests.unit.client.fake_log import LARGE, SMALL, FakeLog, long_log, numbered
from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    complete,
    error_info,
    facts,
    picture,
    play,
    result,
    started,
    status_trailer,
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "DELAYS", (0.001,) * 3)


def test_resume_saves_the_images(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """All that a generation made is saved, and how it went is told, from its start."""
    log = FakeLog(thread_server, long_log(), [5])

    done = run("resume", "gen_1", "-o", "out.png")

    assert (done.exit_code, done.stdout) == (8, "")
    assert (tmp_path / "out.png").read_bytes() == LARGE
    assert (tmp_path / "out-2.png").read_bytes() == SMALL
    assert done.stderr.splitlines()[0] == "started gen_1 with sandbox/scene"
    assert len(log.resumed_after) == 2


def test_resume_by_request_id_to_standard_output(run: Run, thread_server: FakeServer) -> None:
    """One's own id does as well, and a pipe gets the bytes."""
    FakeLog(thread_server, numbered([started(), *complete(SMALL), result(SMALL)]), [])

    done = run("resume", "--request-id", "mine", "-o", "-")

    assert (done.exit_code, done.stdout_bytes) == (0, SMALL)
    assert thread_server.called("Resume")[0].request_id == "mine"


def test_second_image_does_not_fit_a_pipe(run: Run, thread_server: FakeServer) -> None:
    """Of several images a pipe takes the first; where the others are is told."""
    FakeLog(thread_server, numbered([started(), *complete(SMALL), *complete(LARGE, index=1)]), [])

    done = run("resume", "gen_1", "-o", "-")

    assert (done.exit_code, done.stdout_bytes) == (1, SMALL)
    assert "image 2 could not be written: standard output takes one image" in done.stderr
    assert "imagegen read img_" in done.stderr


def test_resume_that_fails(run: Run, thread_server: FakeServer) -> None:
    """A generation that is not there is a wrong request."""

    async def unknown(_request: Any, context: Context) -> Any:
        code = grpc.StatusCode.NOT_FOUND
        trailer = status_trailer(code, "no such", error_info("GENERATION_NOT_FOUND", billed="no"))
        await context.abort(code, "no such", (trailer,))
        yield Event()

    thread_server.resume = unknown

    done = run("resume", "gen_2", "-o", "a.png")

    assert done.exit_code == 2
    assert done.stderr.startswith("imagegen: GENERATION_NOT_FOUND: no such.")


@pytest.mark.parametrize("arguments", [(), ("gen_1", "--request-id", "mine")])
@pytest.mark.parametrize("command", ["resume", "cancel"])
def test_exactly_one_generation(run: Run, command: str, arguments: tuple[str, ...]) -> None:
    """Neither none nor two ids."""
    done = run(command, *arguments)

    assert done.exit_code == 2
    assert "say which generation" in done.stderr


def test_cancel(run: Run, thread_server: FakeServer) -> None:
    """What the server found is told; neither is a failure."""

    async def ended(_request: Any, _context: Context) -> image_service_pb2.CancelResponse:
        return image_service_pb2.CancelResponse(generation_id="gen_1", stopped=False)

    done = run("cancel", "gen_1")
    assert (done.exit_code, done.stdout) == (0, "stopped\n")
    thread_server.cancel = ended
    done = run("cancel", "--request-id", "mine")
    assert (done.exit_code, done.stdout) == (0, "it had ended already\n")
    assert thread_server.called("Cancel")[1].request_id == "mine"


def test_detach_tells_the_id_and_leaves(run: Run, thread_server: FakeServer) -> None:
    """A generation that is left running is named on standard output, and not cancelled."""

    async def script(_request: Any, _context: Context) -> Any:
        yield started()
        await thread_server.hang()

    thread_server.stream = script

    plain = run("generate", "--model", "m/x", "a cat", "--detach")
    as_json = run("generate", "--model", "m/x", "a cat", "--detach", "--json")

    assert (plain.exit_code, plain.stdout, plain.stderr) == (0, "gen_1\n", "")
    assert json.loads(as_json.stdout)["generation_id"] == "gen_1"
    assert generated(thread_server).on_disconnect == image_pb2.ON_DISCONNECT_DETACH
    assert thread_server.called("Cancel") == []


def test_detach_saves_nothing(run: Run) -> None:
    """A place for an image that is not waited for is a misunderstanding."""
    done = run("generate", "--model", "m/x", "a cat", "--detach", "-o", "a.png")

    assert done.exit_code == 2
    assert "imagegen resume" in done.stderr


def test_resumable_survives_a_break(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """--resumable is that of the library; --request-id goes as it is."""
    log = FakeLog(thread_server, numbered([started(), *complete(LARGE), result(LARGE)]), [3])

    done = run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--resumable", "--request-id", "mine")

    assert done.exit_code == 0
    assert (tmp_path / "a.png").read_bytes() == LARGE
    assert (log.bought, log.resumed_after) == ({"mine"}, [3])


def test_fallbacks_reach_the_request(run: Run, thread_server: FakeServer) -> None:
    """What may be done again or elsewhere; unsaid it is the server's."""
    arguments = ("generate", "--model", "m/x", "a cat", "-o", "a.png")
    run(*arguments)
    assert not generated(thread_server).HasField("retry")

    run(
        *(*arguments, "--fallback-model", "a/b", "--fallback-model", "c/d"),
        *("--fallback-on-content-filtered", "--retry-ambiguous"),
    )
    assert generated(thread_server).retry == image_pb2.RetryPolicy(
        fallback_models=["a/b", "c/d"], retry_ambiguous=True, fallback_on_content_filtered=True
    )


def test_upload_and_edit_by_id(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """An upload's id is written, and edit takes it, and a URL, in the place of a file."""

    async def take(request: Any, _context: Context) -> image_service_pb2.UploadImageResponse:
        whole = bool(request.data)
        return image_service_pb2.UploadImageResponse(
            committed_bytes=len(request.data), image=facts(picture(), image_id="img_up") if whole else None
        )

    thread_server.upload = take
    (tmp_path / "a.png").write_bytes(picture())

    done = run("upload", "a.png")
    assert (done.exit_code, done.stdout) == (0, "img_up\n")
    told = json.loads(run("upload", "a.png", "--json").stdout)
    assert (told["image_id"], told["width"]) == ("img_up", 640)
    assert run("upload", "https://example.com/a.png").exit_code == 2

    thread_server.stream = play(started(), *complete(SMALL), result(SMALL))
    for argument, source in (("id:img_up", "image_id"), ("https://example.com/a.png", "url")):
        assert run("edit", argument, "fog", "--model", "m/x", "-o", "b.png").exit_code == 0
        assert thread_server.last.request.input.images[0].WhichOneof("source") == source  # type: ignore[attr-defined]


def explaining(*calls: image_service_pb2.PlannedCall) -> Callable[[Any, Context], Any]:
    """A script that answers with these calls."""

    async def script(_request: Any, _context: Context) -> image_service_pb2.ExplainResponse:
        return image_service_pb2.ExplainResponse(calls=calls)

    return script


@pytest.mark.parametrize(
    ("milliseconds", "told"), [(271.734, "0.27"), (2717.34, "2.7"), (3000, "3"), (9960, "10"), (123_456, "123")]
)
def test_explain_rounds_what_is_about(run: Run, thread_server: FakeServer, milliseconds: float, told: str) -> None:
    """A duration is a guess, and is written like one; scripts get it as it came."""
    guess = timedelta(milliseconds=milliseconds)
    call = image_service_pb2.PlannedCall(model="a/b", requests=1)
    call.expected_duration.FromTimedelta(guess)
    thread_server.explain = explaining(call)

    assert run("explain", "a cat", "--model", "a/b").stdout.splitlines()[1] == f"takes about {told} s"
    assert (
        json.loads(run("explain", "a", "--model", "a/b", "--json").stdout)["expected_duration"] == guess.total_seconds()
    )


def test_explain(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """The calls in their order, with what would be dropped; nothing is guessed."""
    thread_server.explain = explaining(
        image_service_pb2.PlannedCall(
            model="a/b",
            method="POST",
            url="https://a.example/v1",
            body='{"prompt": "a cat"}',
            requests=2,
            warnings=[image_pb2.Warning(field="options.seed", message="no seeds here")],
            expected_cost=image_pb2.Cost(amount=0.5, currency="USD", estimated=True),
        ),
        image_service_pb2.PlannedCall(model="c/d", method="GRPC", url="e:1", requests=1),
        image_service_pb2.PlannedCall(model="sandbox/scene", requests=1),
    )

    done = run("explain", "a cat", "--model", "draft", "--seed", "1")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "1. a/b: POST https://a.example/v1, 2 requests",
        '{"prompt": "a cat"}',
        "warning: options.seed: no seeds here",
        "costs 0.5 USD (estimated)",
        "2. c/d: GRPC e:1",
        "3. sandbox/scene: in the server itself",
    ]
    assert thread_server.called("Explain")[0].generate.options.seed == 1

    (tmp_path / "a.png").write_bytes(b"photo")
    as_json = run("explain", "fog", "--model", "draft", "--image", "a.png", "--json")
    assert [json.loads(line)["model"] for line in as_json.stdout.splitlines()] == ["a/b", "c/d", "sandbox/scene"]
    assert thread_server.called("Explain")[1].edit.input.images[0].data == b"photo"
    assert run("explain", "fog", "--model", "draft", "--mask", "a.png").exit_code == 2
