"""The lines of the docs with grpcurl, buf curl and grpc_health_probe work as written; files come byte for byte."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.images.facts import read_facts

from tests.integration.test_vendor_lines import PAGES
from tests.support.docs_lines import block, calls, documents, run_lines
from tests.support.google_api import KEY as GOOGLE_KEY
from tests.support.google_api import fake_google
from tests.support.openai_api import fake_openai
from tests.support.openrouter_api import KEY as OPENROUTER_KEY
from tests.support.openrouter_api import fake_openrouter
from tests.support.pictures import png
from tests.support.server import configured_server
from tests.support.tools import ROOT, require
from tests.support.xai_api import KEY as XAI_KEY
from tests.support.xai_api import fake_xai

GENERATIONS, OPERATIONS, SANDBOX, OPENAI = (
    f"docs/{name}.md" for name in ("generations", "operations", "sandbox", "openai")
)
GRPCURL_EXIT = 64
"""grpcurl ends with 64 + the gRPC code."""
INVALID_ARGUMENT = 3

GOOGLE, XAI, OPENROUTER = "docs/google.md", "docs/xai.md", "docs/openrouter.md"

BLOCKS = {
    GENERATIONS: 4,
    OPERATIONS: 5,
    SANDBOX: 3,
    OPENAI: 1,
    GOOGLE: 1,
    XAI: 1,
    OPENROUTER: 1,
    **dict.fromkeys((f"docs/{name}.md" for name in PAGES), 1),
    "docs/imagegen.md": 1,
    "docs/releasing.md": 1,
}
"""Blocks with a call, by page. One of OPERATIONS, Explain's, is run by test_explain.py, that of the page on releases by
`make dist-check`, those of PAGES by test_vendor_lines.py, that of imagegen by its own tests, the others here."""


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Serve for the lines of a page."""
    async with configured_server() as address:
        yield address


def lines_of_json(text: str) -> list[dict[str, Any]]:
    """Read one JSON document a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_every_block_is_run() -> None:
    """No block with a call stands in docs/ without a test."""
    found = {f"docs/{page.name}": len(calls(f"docs/{page.name}")) for page in (ROOT / "docs").glob("*.md")}

    assert {page: number for page, number in found.items() if number} == BLOCKS


async def test_asked_again_cancelled_and_resumed(address: str, tmp_path: Path) -> None:
    """The page on generations, from top to bottom: the generation is one and the same."""
    asked = await run_lines(block(GENERATIONS, "StreamGenerate", "order-4711"), address, tmp_path)
    again = await run_lines(block(GENERATIONS, "StreamGenerate", "order-4711"), address, tmp_path)
    cancelled = await run_lines(block(GENERATIONS, "/Cancel"), address, tmp_path)
    resumed = await run_lines(block(GENERATIONS, "/Resume"), address, tmp_path)

    first, second, rest = (lines_of_json(ran.stdout) for ran in (asked, again, resumed))
    assert first[0]["started"]["requestId"] == "order-4711"
    assert second[-1]["result"] == first[-1]["result"]
    assert json.loads(cancelled.stdout) == {"generationId": first[0]["started"]["generationId"]}
    assert rest[-1]["result"] == first[-1]["result"]
    assert min(event["sequence"] for event in rest) > 7


@pytest.mark.parametrize("page", [GENERATIONS, SANDBOX])
async def test_an_attempt_that_is_repeated(page: str, address: str, tmp_path: Path) -> None:
    """The model `flaky` shows a wait, and both attempts."""
    ran = await run_lines(block(page, "sandbox/flaky"), address, tmp_path)

    events = lines_of_json(ran.stdout)
    assert any(event.get("progress", {}).get("phase") == "PHASE_RETRYING" for event in events)
    assert len(events[-1]["result"]["attempts"]) == 2


async def test_moderated_after_a_preview(address: str, tmp_path: Path) -> None:
    """Two previews, then CONTENT_FILTERED at the stage output."""
    ran = await run_lines(block(SANDBOX, "CONTENT_FILTERED"), address, tmp_path)

    assert ran.status == GRPCURL_EXIT + INVALID_ARGUMENT
    assert sum("preview" in event for event in lines_of_json(ran.stdout)) == 2
    assert all(word in ran.stderr for word in ("ERROR_REASON_CONTENT_FILTERED", '"stage": "output"'))


async def test_a_large_picture_and_a_slow_one(address: str, tmp_path: Path) -> None:
    """30 MB by reference; the minute is shortened to a second here."""
    script = block(SANDBOX, "30000000")
    assert '"duration": 60' in script
    ran = await run_lines(script.replace('"duration": 60', '"duration": 1'), address, tmp_path)

    assert ran.status == 0, ran.stderr
    large, *events = documents(ran.stdout)
    assert large["images"][0]["image"]["sizeBytes"] == 30_000_000
    assert "result" in events[-1]


async def test_health(address: str, tmp_path: Path) -> None:
    """Both programs say that server and provider serve."""
    ran = await run_lines(block(OPERATIONS, "grpc_health_probe"), address, tmp_path)

    assert ran.status == 0, ran.stderr
    assert (ran.stdout + ran.stderr).count("SERVING") == 3


async def test_reflection(address: str, tmp_path: Path) -> None:
    """Both programs find the API without its files."""
    ran = await run_lines(block(OPERATIONS, "list-methods"), address, tmp_path)

    assert ran.status == 0, ran.stderr
    assert {"imagegen.v1.ImageService", "imagegen.v1.ImageService/UploadImage"} <= set(ran.stdout.split())


async def test_an_upload_is_edited_and_read_back(address: str, tmp_path: Path) -> None:
    """What is read back is the file that was given, byte for byte."""
    (tmp_path / "cat.png").write_bytes(png(64, 48))
    ran = await run_lines(block(OPERATIONS, "UploadImage"), address, tmp_path)

    assert ran.status == 0, ran.stderr
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "cat.png").read_bytes()
    edited = read_facts((tmp_path / "boat.png").read_bytes())
    assert edited is not None
    assert (edited.media_type, edited.width, edited.height) == ("image/png", 64, 48)


async def test_an_input_by_url(address: str, tmp_path: Path) -> None:
    """There is no way to example.com here: the error names the field, and nothing was billed."""
    ran = await run_lines(block(OPERATIONS, "example.com"), address, tmp_path)

    assert ran.status == GRPCURL_EXIT + INVALID_ARGUMENT
    assert all(word in ran.stderr for word in ("ERROR_REASON_INPUT_NOT_FETCHED", "input.images[0].url"))


async def test_the_vendors_own_params(tmp_path: Path) -> None:
    """A fake of the vendor gets the params as the page has them."""
    async with fake_openai("sk-test") as fake:
        settings = {"OPENAI_API_KEY": "sk-test", "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": fake.base_url}
        async with configured_server(**settings) as address:
            await run_lines(block(OPENAI, "frame_count"), address, tmp_path)

    assert fake.requests[0].json["frame_count"] == 6
    assert fake.requests[0].json["safety_identifier"] == "customer-17"


async def test_buf_curl_ends_with_eight_times_the_code(address: str, tmp_path: Path) -> None:
    """Scripts that go by the status of `buf curl` see the gRPC code of the server's error."""
    require("buf")
    line = "buf curl --protocol grpc -d '{}' http://127.0.0.1:50051/imagegen.v1.ImageService/Generate"
    ran = await run_lines(line, address, tmp_path)

    assert ran.status == 8 * INVALID_ARGUMENT
    assert json.loads(ran.stderr)["code"] == "invalid_argument"


async def test_params_of_google(tmp_path: Path) -> None:
    """What the page says in the vendor's own words reaches the vendor, and a picture comes back."""
    require("grpcurl")
    async with (
        fake_google() as fake,
        configured_server(GEMINI_API_KEY=GOOGLE_KEY, IMAGEGEN__PROVIDERS__GOOGLE__BASE_URL=fake.base_url) as address,
    ):
        ran = await run_lines(block(GOOGLE, "StreamGenerate"), address, tmp_path)

    assert documents(ran.stdout)[-1]["result"]["images"]
    assert fake.requests[0].json["tools"] == [{"googleSearch": {}}]
    assert fake.requests[0].json["safetySettings"][0]["threshold"] == "BLOCK_ONLY_HIGH"


async def test_params_of_xai(tmp_path: Path) -> None:
    """As with google."""
    require("grpcurl")
    async with (
        fake_xai() as fake,
        configured_server(XAI_API_KEY=XAI_KEY, IMAGEGEN__PROVIDERS__XAI__BASE_URL=fake.base_url) as address,
    ):
        ran = await run_lines(block(XAI, "/Generate"), address, tmp_path)

    assert documents(ran.stdout)[-1]["images"]
    assert fake.requests[0].json["user"] == "customer-17"
    assert fake.requests[0].json["storage_options"] == {"filename": "boat.jpg"}


async def test_params_of_openrouter(tmp_path: Path) -> None:
    """As with google."""
    require("grpcurl")
    async with (
        fake_openrouter() as fake,
        configured_server(
            OPENROUTER_API_KEY=OPENROUTER_KEY, IMAGEGEN__PROVIDERS__OPENROUTER__BASE_URL=fake.base_url
        ) as address,
    ):
        ran = await run_lines(block(OPENROUTER, "/Generate"), address, tmp_path)
    [sent] = [request.json for request in fake.requests if request.method == "POST"]

    assert documents(ran.stdout)[-1]["images"]
    assert sent["provider"] == {"only": ["google-ai-studio"], "allow_fallbacks": False}
