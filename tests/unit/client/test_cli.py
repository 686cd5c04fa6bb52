"""The command: what it asks for and what it writes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from google.protobuf import json_format
from imagegen.v1 import image_pb2, image_service_pb2

from tests.unit.client.command import Run, generated
from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    complete,
    facts,
    failure,
    picture,
    play,
    preview,
    progress,
    result,
    started,
    whole_stream,
)


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


def test_partial_success(run: Run, thread_server: FakeServer, tmp_path: Path) -> None:
    """The images that came are saved; that others failed is told by a line and the exit code."""
    thread_server.stream = play(
        started(), Event(failure=failure(1)), *complete(picture()), result(picture(), failures=[failure(1)])
    )

    done = run("generate", "--model", "m/x", "a cat", "-o", "out.png", "--count", "2")

    assert done.exit_code == 8
    assert (tmp_path / "out-1.png").exists()
    assert "image 2 failed: CONTENT_FILTERED: refused" in done.stderr


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
