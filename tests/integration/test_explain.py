"""Explain over the wire: plain stubs, grpcurl as the docs have it, and a log that keeps no words."""

import hashlib
import json
import re
from pathlib import Path

import grpc
import pytest
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc

from tests.support.calls import edit, generate, refusal
from tests.support.docs_lines import block, run_lines
from tests.support.http_server import Exchange, HttpServer
from tests.support.openai_api import fake_openai
from tests.support.pictures import noisy_png, png
from tests.support.process import server_process
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server
from tests.support.tools import ROOT

KEY = "sk-proj-Never0Shown1Anywhere2"
PROMPT = "a lighthouse that nobody shall read about"
LARGE = noisy_png(700, 700)
"""More than a request may hold beside its images."""


async def test_the_lines_of_the_docs(tmp_path: Path) -> None:
    """Grpcurl prints what the page says, and the vendor is not asked."""
    script = block("docs/operations.md", "/Explain")
    section = (ROOT / "docs" / "operations.md").read_text().partition("\n## Explain\n")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    async with fake_openai(KEY) as fake:
        settings = {"OPENAI_API_KEY": KEY, "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": fake.base_url}
        async with server_process(tmp_path, **settings) as server:
            ran = await run_lines(script, server.address, tmp_path)

    assert ran.status == 0, ran.stderr
    assert json.loads(ran.stdout.replace(fake.base_url, "https://api.openai.com/v1")) == json.loads(shown)
    assert fake.requests == []


async def test_an_edit_that_is_large_and_asks_nobody(tmp_path: Path) -> None:
    """No connection is opened to the provider; the picture is its hash; no key shows, no prompt is logged."""
    assert len(LARGE) > 1024 * 1024
    async with HttpServer() as vendor:
        settings = {"OPENAI_API_KEY": KEY, "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": vendor.url}
        async with (
            server_process(tmp_path, **settings) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            request = edit(LARGE, model="openai/gpt-image-2", retry={"fallback_models": ["sandbox/scene"]})
            request.input.prompt = PROMPT
            stub = image_service_pb2_grpc.ImageServiceStub(channel)
            answer = await stub.Explain(image_service_pb2.ExplainRequest(edit=request))
            log = server.log.read_text()

        assert vendor.connections == 0
    first, second = answer.calls
    assert (second.model, second.method) == ("sandbox/scene", "")
    assert (first.model, first.method, first.url) == ("openai/gpt-image-2", "POST", f"{vendor.url}/images/edits")
    picture = (
        f"image=<sha256 {hashlib.sha256(LARGE).hexdigest()}, {len(LARGE)} bytes>; filename=image.png; type=image/png"
    )
    assert first.body.split("\n")[-1] == picture
    assert KEY[8:] not in str(answer)
    assert PROMPT in first.body
    assert PROMPT not in log
    assert "ImageService/Explain" in log


async def test_a_refusal_is_that_of_generate() -> None:
    """The same code, reason, message, fields and answer to "was it billed?"."""
    request = generate(strict=True, options={"background": "opaque"})
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as explained:
            await server.images.Explain(image_service_pb2.ExplainRequest(generate=request))
        with pytest.raises(grpc.aio.AioRpcError) as generated:
            await server.images.Generate(request)

    told, usual = refusal(explained.value), refusal(generated.value)
    assert (told.code, told.reason, told.billed) == (grpc.StatusCode.INVALID_ARGUMENT, "OPTION_NOT_SUPPORTED", "no")
    assert (told.message, told.violations) == (usual.message, usual.violations)


async def test_an_input_by_url_is_fetched(tmp_path: Path) -> None:
    """So that its hash and its faults are known; a picture on loopback has to be allowed."""

    async def show(exchange: Exchange) -> None:
        await exchange.answer(png(), "200 OK", "Content-Type: image/png")

    request = edit(model="sandbox/scene")
    async with HttpServer(show) as source:
        request.input.images.add(url=f"{source.url}/boat.png")
        async with (
            server_process(tmp_path, IMAGEGEN__FETCH__ALLOW='["127.0.0.1"]') as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = image_service_pb2_grpc.ImageServiceStub(channel)
            answer = await stub.Explain(image_service_pb2.ExplainRequest(edit=request))

        assert source.connections == 1
    (call,) = answer.calls
    assert (call.method, call.url) == ("", "")
    assert json.loads(call.body)["images"] == [f"<sha256 {hashlib.sha256(png()).hexdigest()}, {len(png())} bytes>"]
