"""The README's lines work as written."""

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from imagegen_server.images.facts import read_facts

from tests.support.docs_lines import block, blocks, calls, run_lines
from tests.support.openai_api import fake_openai
from tests.support.process import BIN, server_process
from tests.support.server import configured_server
from tests.support.tools import ROOT

PAGE = "README.md"
README = (ROOT / PAGE).read_text()
GRPCURL_EXIT = 64 + 3
"""grpcurl ends with 64 + the gRPC code; 3 is INVALID_ARGUMENT."""


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Serve for the README's lines."""
    async with configured_server() as address:
        yield address


def test_every_block_is_run() -> None:
    """No block with a call stands in the README without a test here."""
    assert len(calls(PAGE)) == 6


@pytest.mark.parametrize("tool", ["grpcurl", "buf curl"])
async def test_by_reference_then_into_a_file(tool: str, address: str, tmp_path: Path) -> None:
    """Facts are printed, and ReadImage gives the file byte for byte."""
    ran = await run_lines(block(PAGE, tool, "ReadImage"), address, tmp_path)

    assert ran.status == 0, ran.stderr
    image = json.loads(ran.stdout)["images"][0]["image"]
    data = (tmp_path / "city.png").read_bytes()
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    assert "data" not in image


async def test_a_stream_without_its_bytes(address: str, tmp_path: Path) -> None:
    """Every event is one line of JSON, previews among them."""
    ran = await run_lines(block(PAGE, "StreamGenerate", "del("), address, tmp_path)

    assert ran.status == 0, ran.stderr
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    kinds = [next(kind for kind in event if kind != "sequence") for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "result"
    assert kinds.count("preview") == 2
    assert not any("data" in event.get("chunk", {}) for event in events)


async def test_the_finished_picture_out_of_a_stream(address: str, tmp_path: Path) -> None:
    """Jq and base64 join the chunks to the file."""
    ran = await run_lines(block(PAGE, "StreamGenerate", "previewNumber"), address, tmp_path)

    assert ran.status == 0, ran.stderr
    facts = read_facts((tmp_path / "city.png").read_bytes())
    assert facts is not None
    assert (facts.media_type, facts.width, facts.height) == ("image/png", 1024, 1024)


async def test_an_error_with_its_details(address: str, tmp_path: Path) -> None:
    """Grpcurl prints reason, field and whether it was billed, and ends with its code for INVALID_ARGUMENT."""
    ran = await run_lines(block(PAGE, "count"), address, tmp_path)

    assert ran.status == GRPCURL_EXIT
    for word in ("InvalidArgument", "ERROR_REASON_INVALID_REQUEST", "options.count", '"billed": "no"'):
        assert word in ran.stdout + ran.stderr


async def test_with_a_real_model(tmp_path: Path) -> None:
    """The key as the README exports it is all that a server needs; both pictures are drawn by a fake of the vendor."""
    (start,) = [text for text in blocks(PAGE) if "OPENAI_API_KEY" in text]
    export, serve = start.splitlines()
    variable, _, key = export.removeprefix("export ").partition("=")
    assert serve == ".venv/bin/imagegen-server serve"
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    async with fake_openai(key) as fake:
        settings = {variable: key, "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": fake.base_url}
        async with server_process(tmp_path, **settings) as server:
            script = f"export IMAGEGEN_ADDRESS={server.address}\n" + block(PAGE, "gpt-image-2", "grpcurl")
            ran = await run_lines(script, server.address, tmp_path)

    assert ran.status == 0, ran.stderr
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
