"""The Python of docs/from-providerprotocol.md runs as written, and its tables name what there is."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import imagegen
import pytest
from imagegen_server.images.facts import read_facts
from PIL import Image

from tests.parity.service import Service, in_mid_stream, openai_service, recorded
from tests.support.pictures import encoded, png
from tests.support.tools import ROOT

PAGE = (ROOT / "docs" / "from-providerprotocol.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"### ([^\n]+)\n.*?```python\n(.*?)```", PAGE, re.DOTALL))
CODES = (
    "AUTHENTICATION_FAILED",
    "RATE_LIMITED",
    "CONTEXT_LENGTH_EXCEEDED",
    "MODEL_NOT_FOUND",
    "INVALID_REQUEST",
    "INVALID_RESPONSE",
    "CONTENT_FILTERED",
    "QUOTA_EXCEEDED",
    "PROVIDER_ERROR",
    "NETWORK_ERROR",
    "TIMEOUT",
    "CANCELLED",
)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Serve for the page's lines."""
    async with openai_service() as service:
        yield service


async def run(heading: str, service: Service, folder: Path) -> str:
    """Run a block of the page as it is, but against our server; returns what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        BLOCKS[heading],
        cwd=folder,
        env={**os.environ, "IMAGEGEN_ADDRESS": service.server.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


def facts_of(path: Path) -> tuple[str, int | None, int | None]:
    """Read what a file is."""
    facts = read_facts(path.read_bytes())
    assert facts is not None
    return facts.media_type, facts.width, facts.height


def test_every_block_is_run() -> None:
    """No Python stands on the page without a test here."""
    assert list(BLOCKS) == ["Draw", "Watch", "Edit", "Stop", "Fail", "Ask what a model can do"]
    assert PAGE.count("```python") == len(BLOCKS)


async def test_draw(service: Service, tmp_path: Path) -> None:
    """The picture is in its file, and options and params reach the vendor."""
    await run("Draw", service, tmp_path)

    assert facts_of(tmp_path / "harbour.png") == ("image/png", 1024, 1024)
    (sent,) = service.fake.requests
    assert (sent.json["size"], sent.json["quality"], sent.json["moderation"]) == ("1024x1024", "low", "low")


async def test_watch(service: Service, tmp_path: Path) -> None:
    """Both previews are in their files, and the usage is printed."""
    printed = await run("Watch", service, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["early-1.png", "early-2.png"]
    assert int(printed) > 0


async def test_edit(service: Service, tmp_path: Path) -> None:
    """Image and mask reach the vendor, and the changed picture is in its file."""
    mask = Image.new("RGBA", (16, 16), (0, 0, 0, 255))
    mask.putpixel((0, 0), (0, 0, 0, 0))
    (tmp_path / "harbour.png").write_bytes(png(16, 16))
    (tmp_path / "mask.png").write_bytes(encoded(mask, "PNG"))
    await run("Edit", service, tmp_path)

    assert facts_of(tmp_path / "boat.png") == ("image/png", 1024, 1024)
    (sent,) = service.fake.requests
    assert [part.name for part in sent.files] == ["image", "mask"]


async def test_stop(service: Service, tmp_path: Path) -> None:
    """The stream tells CANCELLED, and the vendor is hung up on."""
    answer = in_mid_stream(asyncio.Event())
    service.fake.answer_next(answer)
    printed = await run("Stop", service, tmp_path)

    assert printed.strip() == "CANCELLED"
    await asyncio.wait_for(answer.client_gone.wait(), 30)


async def test_fail(service: Service, tmp_path: Path) -> None:
    """The wait that the vendor told and the bill are printed."""
    service.fake.answer_next(recorded("rate_limit_seconds"))

    assert (await run("Fail", service, tmp_path)).strip() == "again in 20.0 s, billed: no"


async def test_ask(service: Service, tmp_path: Path) -> None:
    """What the model can do is printed."""
    assert (await run("Ask what a model can do", service, tmp_path)).startswith("10 ")


def test_all_twelve_codes_are_mapped_to_reasons_that_exist() -> None:
    """Each has a row of its own and is a reason of ours under the same name."""
    for code in CODES:
        assert PAGE.count(f"\n| `{code}` | the same") == 1
        assert code in imagegen.Reason.__members__


def test_every_reason_that_the_page_names_exists() -> None:
    """What stands in the table of errors is a reason of the client."""
    table = PAGE[PAGE.index("### Errors") : PAGE.index("### Configuration")]
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", table))

    assert len(named) > len(CODES)
    assert named <= set(imagegen.Reason.__members__)
