"""The README's lines work as written."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from imagegen_server.images.facts import read_facts

from tests.support.openai_api import fake_openai
from tests.support.process import BIN, server_process
from tests.support.tools import PATH, ROOT, require

README = (ROOT / "README.md").read_text()
SHELL: list[str] = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CALLS = [block for block in SHELL if "127.0.0.1:50051" in block]
GRPCURL_EXIT = 64 + 3
"""grpcurl ends with 64 + the gRPC code; 3 is INVALID_ARGUMENT."""


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Serve for the README's lines."""
    async with server_process(tmp_path) as server:
        yield server.address


async def run(script: str, address: str, directory: Path) -> tuple[int, str, str]:
    """Run a block of the README as it is, but against our address."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-o",
        "pipefail",
        "-ec",
        script.replace("127.0.0.1:50051", address),
        cwd=directory,
        env={**os.environ, "PATH": PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()


def block(*words: str) -> str:
    """Find the one block of the README that holds all the words, and see that its programs are there."""
    (found,) = [block for block in CALLS if all(word in block for word in words)]
    for program in ("grpcurl", "buf", "jq"):
        if re.search(rf"\b{program} ", found):
            require(program)
    return found


def test_every_block_is_run() -> None:
    """No block with a call stands in the README without a test here."""
    assert len(CALLS) == 6


@pytest.mark.parametrize("tool", ["grpcurl", "buf curl"])
async def test_by_reference_then_into_a_file(tool: str, address: str, tmp_path: Path) -> None:
    """Facts are printed, and ReadImage gives the file byte for byte."""
    status, stdout, stderr = await run(block(tool, "ReadImage"), address, tmp_path)

    assert status == 0, stderr
    image = json.loads(stdout)["images"][0]["image"]
    data = (tmp_path / "city.png").read_bytes()
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    assert "data" not in image


async def test_a_stream_without_its_bytes(address: str, tmp_path: Path) -> None:
    """Every event is one line of JSON, previews among them."""
    status, stdout, stderr = await run(block("StreamGenerate", "del("), address, tmp_path)

    assert status == 0, stderr
    events = [json.loads(line) for line in stdout.splitlines()]
    kinds = [next(kind for kind in event if kind != "sequence") for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "result"
    assert kinds.count("preview") == 2
    assert not any("data" in event.get("chunk", {}) for event in events)


async def test_the_finished_picture_out_of_a_stream(address: str, tmp_path: Path) -> None:
    """Jq and base64 join the chunks to the file."""
    status, _, stderr = await run(block("StreamGenerate", "previewNumber"), address, tmp_path)

    assert status == 0, stderr
    facts = read_facts((tmp_path / "city.png").read_bytes())
    assert facts is not None
    assert (facts.media_type, facts.width, facts.height) == ("image/png", 1024, 1024)


async def test_an_error_with_its_details(address: str, tmp_path: Path) -> None:
    """Grpcurl prints reason, field and whether it was billed, and ends with its code for INVALID_ARGUMENT."""
    status, stdout, stderr = await run(block("count"), address, tmp_path)

    assert status == GRPCURL_EXIT
    for word in ("InvalidArgument", "ERROR_REASON_INVALID_REQUEST", "options.count", '"billed": "no"'):
        assert word in stdout + stderr


async def test_with_a_real_model(tmp_path: Path) -> None:
    """The key as the README exports it is all that a server needs; both pictures are drawn by a fake of the vendor."""
    (start,) = [text for text in SHELL if "OPENAI_API_KEY" in text]
    export, serve = start.splitlines()
    variable, _, key = export.removeprefix("export ").partition("=")
    assert serve == ".venv/bin/imagegen-server serve"
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    async with fake_openai(key) as fake:
        settings = {variable: key, "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": fake.base_url}
        async with server_process(tmp_path, **settings) as server:
            script = f"export IMAGEGEN_ADDRESS={server.address}\n" + block("gpt-image-2", "grpcurl")
            status, _, stderr = await run(script, server.address, tmp_path)

    assert status == 0, stderr
    drawn = [read_facts((tmp_path / name).read_bytes()) for name in ("lighthouse.png", "lighthouse.jpg")]
    assert [facts and facts.media_type for facts in drawn] == ["image/png", "image/jpeg"]
    assert [request.json["model"] for request in fake.requests] == ["gpt-image-2"] * 2
    assert "stream" not in fake.requests[1].json


async def test_the_ten_lines_of_python(address: str, tmp_path: Path) -> None:
    """The Python of the README runs as written and leaves pictures behind."""
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, env={**os.environ, "IMAGEGEN_ADDRESS": address}
    )

    assert await process.wait() == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "preview-1.png",
        "preview-2.png",
        "lighthouse.png",
        "night.png",
    }
