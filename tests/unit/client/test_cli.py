"""The command: what it asks for, what it writes, how it ends."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import click
import grpc
import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format
from imagegen import (
    Complete,
    Cost,
    Failed,
    GeneratedImage,
    Image,
    ImageFailure,
    ImageGenError,
    ImageResult,
    ImageUsage,
    ImageWarning,
    Preview,
    Progress,
    Reason,
    Started,
)
from imagegen.cli._app import app
from imagegen.cli._draw import draw
from imagegen.cli._failure import EXIT_CODES, describe, exit_code
from imagegen.cli._report import LiveReport
from imagegen.v1 import error_reason_pb2, image_pb2, image_service_pb2, model_service_pb2
from PIL import Image as Pillow
from rich.console import Console

from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    StreamScript,
    Wish,
    complete,
    error_info,
    facts,
    failure,
    picture,
    play,
    preview,
    progress,
    result,
    started,
    status_trailer,
    whole_stream,
)

Run = Callable[..., Result]


@pytest.fixture
def run(thread_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command against `thread_server` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEGEN_ADDRESS", thread_server.address)

    def call(*arguments: str, input: bytes | str | None = None) -> Result:  # noqa: A002 - as CliRunner has it
        return CliRunner().invoke(app, arguments, input=input)

    return call


def generated(server: FakeServer) -> image_service_pb2.GenerateRequest:
    """The last request for new pictures."""
    return cast("image_service_pb2.GenerateRequest", server.last.request)


def failing(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> StreamScript:
    """A script that fails with a reason."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        await context.abort(code, message, (status_trailer(code, message, error_info(reason, **metadata)),))
        yield started()

    return script


def png(width: int = 64, height: int = 48) -> bytes:
    """A real image."""
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def test_generate_writes_the_file(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """The image is saved, and standard error tells how it went; nothing is on standard output."""
    thread_server.stream = play(started(), progress(0.5), progress(0.5), *complete(picture()), result(picture()))

    done = run("generate", "--model", "sandbox/scene", "a harbour at dawn", "-o", "out.png")

    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "out.png").read_bytes() == picture()
    assert done.stderr.splitlines() == [
        "started gen_1 with sandbox/scene",
        "generating, 50%",
        "image 1 saved as out.png (image/png, 640x480, 1000 bytes)",
    ]


def test_all_options_reach_the_request(run: Run, thread_server: FakeServer) -> None:
    """Each option is the wish of its name."""
    done = run(
        *("generate", "--model", "m/x", "a cat", "-o", "out.png", "--size", "640x480", "--seed", "-7"),
        *("--aspect-ratio", "4:3", "--resolution", "2K", "--quality", "high", "--background", "opaque"),
        *("--format", "png", "--compression", "9", "--negative-prompt", "rain", "--previews", "3", "--strict"),
        *("--param", "m.style=ink", "--param", "m.n=2", "--param", 'm.deep.key={"a": [1]}', "--timeout", "20"),
    )

    assert done.exit_code == 0
    asked = generated(thread_server)
    assert asked.model == "m/x"
    assert asked.input.prompt == "a cat"
    assert asked.strict
    assert asked.options == image_pb2.ImageOptions(
        size=image_pb2.PixelSize(width=640, height=480),
        aspect_ratio="4:3",
        resolution="2K",
        quality="high",
        background="opaque",
        format="png",
        compression=9,
        seed=-7,
        negative_prompt="rain",
        preview_count=3,
    )
    assert json_format.MessageToDict(asked.params["m"]) == {"style": "ink", "n": 2, "deep.key": {"a": [1]}}
    assert thread_server.last.time_remaining == pytest.approx(20, abs=2)


def test_previews_are_not_paid_for_unless_wanted(run: Run, thread_server: FakeServer) -> None:
    """Where previews can be neither shown nor saved, none are asked for; saving them asks for the server's number."""
    run("generate", "--model", "m/x", "a cat", "-o", "a.png")
    assert generated(thread_server).options.preview_count == 0
    assert generated(thread_server).options.HasField("preview_count")

    run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--save-previews", "early")
    assert not generated(thread_server).options.HasField("preview_count")


def test_several_images_are_numbered(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """Each of several images has its number in its name; a name without suffix gets the right one."""
    thread_server.stream = play(*whole_stream(picture(), picture(salt=1)))

    done = run("generate", "--model", "m/x", "a cat", "-o", "out", "--count", "2")

    assert done.exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out-1.png", "out-2.png"]
    assert (tmp_path / "out-2.png").read_bytes() == picture(salt=1)


def test_without_a_name_it_is_the_generation(run: Run, tmp_path: Path) -> None:
    """Without -o the file is called by the id of the generation, which is never used twice."""
    assert run("generate", "--model", "m/x", "a cat").exit_code == 0
    assert (tmp_path / "gen_1.png").read_bytes() == picture()


def test_previews_are_saved(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """--save-previews keeps each preview under a name of its own."""
    thread_server.stream = play(
        started(), *preview(b"one"), *preview(b"two", number=2), *complete(picture()), result(picture())
    )

    done = run("generate", "--model", "m/x", "a cat", "-o", "out.png", "--save-previews", "early/ones")

    assert done.exit_code == 0
    folder = tmp_path / "early" / "ones"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "image-1-preview-1.png": b"one",
        "image-1-preview-2.png": b"two",
    }


def test_bytes_to_standard_output(run: Run) -> None:
    """-o - gives the bytes of the image and nothing else on standard output."""
    done = run("generate", "--model", "m/x", "a cat", "-o", "-")

    assert (done.exit_code, done.stdout_bytes) == (0, picture())
    assert "written to standard output" in done.stderr


def test_prompt_from_standard_input(run: Run, thread_server: FakeServer) -> None:
    """A prompt of - is read from standard input, without its last line end."""
    assert run("generate", "--model", "m/x", "-", "-o", "a.png", input="ein Hafen, früh\n").exit_code == 0
    assert generated(thread_server).input.prompt == "ein Hafen, früh"


def test_params_from_a_file(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """--params-json takes a file or standard input; --param goes over it."""
    (tmp_path / "p.json").write_text('{"m": {"a": 1, "b": "x"}}')

    run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--params-json", "p.json", "--param", "m.a=2")
    assert dict(generated(thread_server).params["m"]) == {"a": 2, "b": "x"}

    run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--params-json", "-", input='{"m": {"c": true}}')
    assert dict(generated(thread_server).params["m"]) == {"c": True}


def test_edit_sends_image_and_mask(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """Edit takes files, and - for the image on standard input."""
    (tmp_path / "photo.png").write_bytes(b"photo")
    (tmp_path / "mask.png").write_bytes(b"mask")

    assert run("edit", "photo.png", "--mask", "mask.png", "add", "--model", "m/x", "-o", "a.png").exit_code == 0
    asked = cast("image_service_pb2.EditRequest", thread_server.last.request)
    assert (asked.input.images[0].data, asked.input.mask.data, asked.input.prompt) == (b"photo", b"mask", "add")
    assert asked.input.images[0].media_type == "image/png"

    assert run("edit", "-", "add", "--model", "m/x", "-o", "a.png", input=b"\x89piped").exit_code == 0
    asked = cast("image_service_pb2.EditRequest", thread_server.last.request)
    assert asked.input.images[0].data == b"\x89piped"


def test_json_lines(run: Run, thread_server: FakeServer) -> None:
    """--json gives one object for each event, with facts and file names and without bytes."""
    thread_server.stream = play(
        started(),
        progress(0.0),
        *preview(b"early"),
        *complete(picture()),
        Event(failure=failure(1)),
        result(picture(), failures=[failure(1)]),
    )

    done = run("generate", "--model", "m/x", "a cat", "-o", "out.png", "--count", "2", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.exit_code == 8
    assert [line["event"] for line in lines] == ["started", "progress", "preview", "complete", "failure", "result"]
    assert lines[1] == {"event": "progress", "phase": "generating", "fraction": 0.0}
    assert lines[2]["image"] == {"media_type": "image/png", "size_bytes": 5}
    assert (lines[3]["index"], lines[3]["file"], lines[3]["image"]["seed"]) == (0, "out-1.png", 7)
    assert (lines[4]["index"], lines[4]["reason"], lines[4]["billed"]) == (1, "CONTENT_FILTERED", "no")
    assert lines[5]["usage"] == {"images_generated": 1}
    assert "data" not in done.stdout
    assert done.stderr == ""


def test_json_error_is_the_last_line(run: Run, thread_server: FakeServer) -> None:
    """A failure is also told to scripts, as an event."""
    thread_server.stream = failing(grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_FILTERED", "no", billed="no")

    done = run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--json")

    assert done.exit_code == 3
    assert json.loads(done.stdout) == {
        "event": "error",
        "code": "INVALID_ARGUMENT",
        "reason": "CONTENT_FILTERED",
        "message": "no",
        "billed": "no",
        "metadata": {"billed": "no"},
    }


def test_partial_success(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """The images that came are saved; that others failed is told by a line and the exit code."""
    thread_server.stream = play(
        started(), Event(failure=failure(1)), *complete(picture()), result(picture(), failures=[failure(1)])
    )

    done = run("generate", "--model", "m/x", "a cat", "-o", "out.png", "--count", "2")

    assert done.exit_code == 8
    assert (tmp_path / "out-1.png").exists()
    assert "image 2 failed: CONTENT_FILTERED: refused" in done.stderr


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.INTERNAL, "PROVIDER_ERROR", 1),
        (grpc.StatusCode.INTERNAL, "SOLAR_FLARE", 1),
        (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", 2),
        (grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_FILTERED", 3),
        (grpc.StatusCode.FAILED_PRECONDITION, "AUTHENTICATION_FAILED", 4),
        (grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_CONFIGURED", 4),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", 5),
        (grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE", 6),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "TIMEOUT", 7),
        (grpc.StatusCode.CANCELLED, "CANCELLED", 130),
    ],
)
def test_exit_codes(run: Run, thread_server: FakeServer, code: grpc.StatusCode, reason: str, expected: int) -> None:
    """Each kind of failure has its exit code, and one clear line instead of a traceback."""
    thread_server.stream = failing(code, reason, "because", provider="openai", billed="no")

    done = run("generate", "--model", "m/x", "a cat", "-o", "a.png")

    assert done.exit_code == expected
    assert done.stderr.startswith(f"imagegen: {reason}: because.")
    assert len(done.stderr.splitlines()) == 1


def test_every_reason_has_an_exit_code_that_help_knows() -> None:
    """No reason of the API ends in a code that nobody explains."""
    explained = {int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, flags=re.MULTILINE)}

    assert {exit_code(ImageGenError("", reason=reason)) for reason in Reason} | {0, 8} == explained


def test_error_line_says_all_that_helps() -> None:
    """Reason, message, fields, what to do, money, ids; control sequences of a provider do not reach the terminal."""
    error = ImageGenError(
        "too\nfast \x1b[31mred",
        reason=Reason.RATE_LIMITED,
        retry_delay=12.0,
        generation_id="gen_1",
        request_id="req_1",
        provider="openai",
        metadata={"provider_request_id": "req_x"},
    )

    assert describe(error, "host:1") == (
        "RATE_LIMITED: too fast  [31mred. Try again in 12 s. It may have been billed. "
        "[generation gen_1, request req_1, provider openai, provider request req_x]"
    )
    assert "It was billed." in describe(ImageGenError("x", billed="yes"), "host:1")


def test_no_server(run: Run) -> None:
    """Where nobody listens, the line says where, and what to do about it."""
    done = run("generate", "--model", "m/x", "a cat", "-o", "a.png", "--address", "127.0.0.1:1")

    assert done.exit_code == 6
    assert "Is a server running at 127.0.0.1:1?" in done.stderr
    assert "billed" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate", "a cat"], "--model"),
        (["generate", "--model", "m/x", "a cat", "-o", "nowhere/a.png"], "no folder nowhere"),
        (["generate", "--model", "m/x", "a cat", "-o", "."], "is a folder"),
        (["generate", "--model", "m/x", "a cat", "-o", "-", "--count", "2"], "one image"),
        (["generate", "--model", "m/x", "a cat", "-o", "-", "--json"], "both want standard output"),
        (["generate", "--model", "m/x", "a cat", "--size", "big"], "options.size"),
        (["generate", "--model", "m/x", "a cat", "--seed", str(2**63)], "options.seed"),
        (["generate", "--model", "m/x", "a cat", "--param", "style=ink"], "PROVIDER.KEY=VALUE"),
        (["generate", "--model", "m/x", "a cat", "--param", "m.n=9007199254740992"], "params.m.n"),
        (["generate", "--model", "m/x", "a cat", "--param", "m.n=NaN"], "params.m.n"),
        (["generate", "--model", "m/x", "a cat", "--params-json", "list.json"], "PROVIDER"),
        (["generate", "--model", "m/x", "a cat", "--params-json", "text"], "not JSON"),
        (["generate", "--model", "m/x", "a cat", "--params-json", "absent"], "cannot be read"),
        (["generate", "--model", "m/x", "-", "--params-json", "-"], "read once"),
        (["edit", "-", "-", "--model", "m/x"], "read once"),
        (["edit", "absent.png", "x", "--model", "m/x"], "absent.png: No such file"),
        (["edit", "empty", "x", "--model", "m/x"], "cannot be empty"),
        (["generate", "--model", "m/x", "a cat", "--save-previews", "text"], "cannot be made"),
        (["generate", "--model", "m/x", "a cat", "--token-env", "NOT_SET"], "holds no token"),
        (["generate", "--model", "m/x", "a cat", "--token-env", "A", "--token-file", "B"], "exclude"),
        (["generate", "--model", "m/x", "a cat", "--address", "http://h:1"], "not a URL"),
        (["generate", "--model", "m/x", "a cat", "--ca", "absent"], "absent"),
        (["models", "a/b", "--provider", "a"], "exclude"),
        (["read", "img_1"], "--output"),
        (["read", "", "-o", "a.png"], "image id"),
    ],
)
def test_wrong_usage(run: Run, thread_server: FakeServer, tmp_path: Path, arguments: list[str], says: str) -> None:
    """What is wrong with the command line is told before the server hears of it, with exit code 2."""
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text").write_text("not json")
    (tmp_path / "empty").write_bytes(b"")

    done = run(*arguments)

    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert thread_server.calls == []


def test_token_from_file_and_environment(
    run: Run, thread_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes to the server and nowhere else."""
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("MY_TOKEN", "from-env")

    for option, value, expected in (
        ("--token-file", "token", "from-file"),
        ("--token-env", "MY_TOKEN", "from-env"),
    ):
        done = run("generate", "--model", "m/x", "a cat", "-o", "a.png", option, value)
        assert thread_server.last.metadata["authorization"] == f"Bearer {expected}"
        assert expected not in done.output

    refused = run("generate", "--model", "m/x", "a", "--token-env", "MY_TOKEN", "--address", "example.com:1")
    assert refused.exit_code == 2
    assert "from-env" not in refused.output


def test_image_that_cannot_be_written_is_not_lost(
    run: Run, thread_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full after the money is spent, the line says how to get the image all the same."""

    def full(_self: Image, _path: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image, "save", full)
    done = run("generate", "--model", "m/x", "a cat", "-o", "a.png")

    assert done.exit_code == 1
    assert f"imagegen read {facts(picture()).image_id} -o FILE" in done.stderr
    assert thread_server.calls
    assert list(tmp_path.iterdir()) == []


def test_read(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """Read writes an image by its id to a file or standard output."""

    async def script(
        request: image_service_pb2.ReadImageRequest, _context: Context
    ) -> AsyncIterator[image_service_pb2.ReadImageResponse]:
        assert request.image_id == "img_1"
        yield image_service_pb2.ReadImageResponse(image=facts(picture()), data=picture())

    thread_server.read = script

    to_file = run("read", "img_1", "-o", "again")
    assert (to_file.exit_code, to_file.stdout) == (0, "again.png\n")
    assert (tmp_path / "again.png").read_bytes() == picture()
    assert run("read", "img_1", "-o", "-").stdout_bytes == picture()


async def _models(
    _request: model_service_pb2.ListModelsRequest, _context: Context
) -> model_service_pb2.ListModelsResponse:
    told = model_service_pb2.ModelCapabilities(generate=True, edit=False, max_images=4)
    return model_service_pb2.ListModelsResponse(
        models=[
            model_service_pb2.Model(name="sandbox/scene", provider="sandbox", aliases=["draft"], capabilities=told),
            model_service_pb2.Model(name="sandbox/new", provider="sandbox"),
        ],
        unreachable=[
            model_service_pb2.UnreachableProvider(
                provider="local", reason=error_reason_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
            )
        ],
    )


def test_models_as_a_table(run: Run, thread_server: FakeServer) -> None:
    """The list says yes, no, or that it does not know; a provider that is missing is told."""
    thread_server.list_models = _models

    done = run("models", "--provider", "sandbox")

    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[1] == ["sandbox/scene", "yes", "no", "?", "?", "4", "draft"]
    assert lines[2] == ["sandbox/new", "?", "?", "?", "?", "?"]
    assert done.stderr == "imagegen: the models of local could not be listed: PROVIDER_UNAVAILABLE\n"
    assert cast("model_service_pb2.ListModelsRequest", thread_server.last.request).provider == "sandbox"


def test_models_as_json(run: Run, thread_server: FakeServer) -> None:
    """One line for each model; what is unknown is absent."""
    thread_server.list_models = _models

    lines = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]

    assert lines[0]["name"] == "sandbox/scene"
    assert lines[0]["capabilities"] == {"generate": True, "edit": False, "max_images": 4, "previews": "unknown"}
    assert lines[1] == {
        "name": "sandbox/new",
        "provider": "sandbox",
        "known": False,
        "capabilities": {"previews": "unknown"},
    }


def test_one_model(run: Run, thread_server: FakeServer) -> None:
    """A model by name, with what it takes."""

    async def get(request: model_service_pb2.GetModelRequest, _context: Context) -> model_service_pb2.GetModelResponse:
        told = model_service_pb2.ModelCapabilities(sizes=["1024x1024", "512x512"])
        return model_service_pb2.GetModelResponse(model=model_service_pb2.Model(name=request.model, capabilities=told))

    thread_server.get_model = get

    done = run("models", "sandbox/scene")
    assert re.search(r"^sizes +1024x1024, 512x512 *$", done.stdout, flags=re.MULTILINE)
    assert json.loads(run("models", "sandbox/scene", "--json").stdout)["name"] == "sandbox/scene"


def test_help_tells_the_exit_codes() -> None:
    """Who writes a script finds the codes in --help."""
    assert "8    some images came and some failed" in CliRunner().invoke(app, ["--help"]).stdout


def test_pictures_fit_the_terminal() -> None:
    """A picture keeps its shape and leaves room; what is no picture is not drawn."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    drawn = draw(png(200, 100), columns=80, lines=24)

    assert drawn is not None
    lines = console.render_lines(drawn, pad=False)
    assert max(sum(segment.cell_length for segment in line) for line in lines) == 72
    assert len(lines) <= 20
    assert draw(b"no picture", columns=80, lines=24) is None
    assert draw(png()[:60], columns=80, lines=24) is None


def test_live_report_moves_a_bar_and_shows_pictures() -> None:
    """In a terminal there is a bar, previews are drawn, and what stays to be read is written."""
    text = io.StringIO()
    report = LiveReport(Console(file=text, force_terminal=True, color_system="truecolor", width=80), show=True)
    image = Image.from_bytes(png(), media_type="image/png")
    made = GeneratedImage(data=png(), media_type="image/png", size_bytes=10, width=64, height=48)
    odd = ImageWarning(field="options.seed", reason="IGNORED", message="not known here")
    cost = ImageUsage(cost=Cost(amount=0.25, currency="USD", estimated=True))
    why = ImageFailure(index=1, reason=Reason.CONTENT_FILTERED, message="refused", billed="no")

    report.event(Started(generation_id="g", request_id="r", model="m/x", warnings=(odd,)), None)
    report.event(
        Progress(phase="generating", fraction=0.5, index=0, step=1, steps=4, queue_position=2, remaining=3.0), None
    )
    report.event(Progress(phase="queued", message="soon"), None)
    report.event(Preview(index=0, number=1, image=image), None)
    report.event(Complete(image=made), "out.png")
    report.event(Failed(failure=why), None)
    report.result(
        ImageResult(generation_id="g", request_id="r", model="m/x", images=(made,), warnings=(odd,), usage=cost)
    )
    report.close()

    written = click.unstyle(text.getvalue())
    assert text.getvalue().count("\N{LOWER HALF BLOCK}") + text.getvalue().count("\N{UPPER HALF BLOCK}") > 100
    assert "warning: options.seed: not known here" in written
    assert "image 1 saved as out.png (image/png, 64x48, 10 bytes)" in written
    assert "image 2 failed: CONTENT_FILTERED: refused" in written
    assert "cost: 0.25 USD (estimated)" in written
