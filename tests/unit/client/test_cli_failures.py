"""The command when something goes wrong: what it says and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from imagegen import Image, ImageGenError, Reason
from imagegen.cli._app import app
from imagegen.cli._failure import EXIT_CODES, describe, exit_code

from tests.unit.client.command import Run, failing
from tests.unit.client.fake_server import FakeServer, facts, picture


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


def test_help_tells_the_exit_codes() -> None:
    """Who writes a script finds the codes in --help."""
    assert "8    some images came and some failed" in CliRunner().invoke(app, ["--help"]).stdout


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

    assert describe(error, "host:1", tls=False) == (
        "RATE_LIMITED: too fast  [31mred. Try again in 12 s. It may have been billed. "
        "[generation gen_1, request req_1, provider openai, provider request req_x]"
    )
    assert "It was billed." in describe(ImageGenError("x", billed="yes"), "host:1", tls=False)


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
        (["generate", "--model", "m/x", "a cat", "--address", "http://h:1"], "asked for with --tls or --ca"),
        (["generate", "--model", "m/x", "a cat", "--address", "localhost"], "'localhost' has no port"),
        (["generate", "--model", "m/x", "a cat", "--ca", "absent"], "--ca: absent cannot be read: No such file"),
        (["generate", "--model", "m/x", "a cat", "--ca", "text"], "--ca: text holds no certificates"),
        (["generate", "--model", "m/x", "a cat", "--ca", "empty"], "--ca: empty holds no certificates"),
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
    assert "use --tls or --ca" in refused.output
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
