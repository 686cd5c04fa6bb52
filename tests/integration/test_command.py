"""The command `imagegen` against a real server, as scripts use it."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from imagegen_server.images.facts import read_facts

from tests.support.calls import sha256
from tests.support.process import BIN, server_process


async def run(address: str, *arguments: str, stdin: bytes = b"", cwd: Path) -> tuple[int, bytes, str]:
    """Run the command as a user does."""
    process = await asyncio.create_subprocess_exec(
        str(BIN / "imagegen"),
        *arguments,
        cwd=cwd,
        env={**os.environ, "IMAGEGEN_ADDRESS": address},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, stdout, stderr.decode()


async def test_it_draws_edits_reads_and_pipes(tmp_path: Path) -> None:
    """A picture goes to a file, through stdin and stdout, and is read again by its id; models come as JSON."""
    async with server_process(tmp_path) as server:
        draw = ("generate", "--model", "sandbox/scene", "--size", "64x48", "a boat")
        status, stdout, stderr = await run(server.address, *draw, "--json", "-o", "a.png", cwd=tmp_path)
        assert status == 0, stderr
        told = str([json.loads(line) for line in stdout.splitlines()])
        picture = (tmp_path / "a.png").read_bytes()
        assert sha256(picture) in told

        edit = ("edit", "--model", "sandbox/scene", "-", "night", "-o", "-")
        status, edited, stderr = await run(server.address, *edit, stdin=picture, cwd=tmp_path)
        assert status == 0, stderr
        facts = read_facts(edited)
        assert facts is not None
        assert (facts.width, facts.height) == (64, 48)

        image_id = told[told.index("img_") :].split("'", maxsplit=1)[0]
        status, read, stderr = await run(server.address, "read", image_id, "-o", "-", cwd=tmp_path)
        assert (status, read) == (0, picture), stderr

        status, models, stderr = await run(server.address, "models", "--json", cwd=tmp_path)
        assert status == 0, stderr
        assert b"sandbox/scene" in models


async def test_it_ends_with_a_status_for_each_kind_of_failure(tmp_path: Path) -> None:
    """A script can tell refusals, limits and trouble apart by the exit status; the reason is printed, no traceback."""
    kinds = {
        "sandbox/fail-content-filtered": 3,
        "sandbox/fail-authentication-failed": 4,
        "sandbox/fail-quota-exceeded": 5,
        "sandbox/fail-provider-unavailable": 6,
        "sandbox/fail-timeout": 7,
        "sandbox/fail-provider-error": 1,
        "nowhere": 2,
    }
    async with server_process(tmp_path) as server:
        ended = {}
        for model in kinds:
            draw = ("generate", "--model", model, "a boat", "-o", "a.png")
            ended[model], _, stderr = await run(server.address, *draw, cwd=tmp_path)
            assert stderr.strip()
            assert "Traceback" not in stderr

        assert ended == kinds
        assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "arguments", [("generate", "--help"), ("edit", "--help"), ("models", "--help"), ("--version",)]
)
async def test_it_explains_itself_without_a_server(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Help and version need nothing."""
    status, stdout, _ = await run("127.0.0.1:1", *arguments, cwd=tmp_path)

    assert status == 0
    assert b"imagegen" in stdout
