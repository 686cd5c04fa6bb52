"""The server as its users start it, in front of a fake of OpenAI: the command, plain stubs, and what the log tells."""

import asyncio
import io
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from imagegen.v1 import image_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from PIL import Image

from tests.support.calls import edit, generate, refusal, watch
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.pictures import encoded, png
from tests.support.process import BIN, ServerProcess, server_process
from tests.support.vendor import json_answer

KEY = "sk-proj-Never0Shown1Anywhere2"
PROMPT = "a lighthouse that nobody shall read about"


@dataclass(frozen=True)
class Service:
    """A server that was given a key, and the vendor that it believes in."""

    fake: FakeOpenAI
    server: ServerProcess
    channel: grpc.aio.Channel


@asynccontextmanager
async def served(directory: Path, *arguments: str) -> AsyncIterator[Service]:
    """Serve with a key and an address in the environment, and see at the end that the log shows neither secret."""
    async with fake_openai(KEY) as fake:
        settings = {"OPENAI_API_KEY": KEY, "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": fake.base_url}
        async with (
            server_process(directory, *arguments, **settings) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield Service(fake, server, channel)
        log = server.log.read_text()
    assert KEY not in log
    assert KEY[8:] not in log
    assert PROMPT not in log


async def command(service: Service, *arguments: str, cwd: Path) -> tuple[int, bytes, str]:
    """Run `imagegen` as a user does."""
    process = await asyncio.create_subprocess_exec(
        str(BIN / "imagegen"),
        *arguments,
        cwd=cwd,
        env={**os.environ, "IMAGEGEN_ADDRESS": service.server.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout, stderr.decode()


def opened(data: bytes) -> Image.Image:
    """Read a picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


async def test_the_command_draws_and_edits(tmp_path: Path) -> None:
    """A picture goes from the vendor into a file, and from there into an edit with a mask."""
    mask = Image.new("L", (768, 1024), 0)
    mask.paste(255, (0, 0, 384, 1024))
    (tmp_path / "mask.png").write_bytes(encoded(mask, "PNG"))
    async with served(tmp_path) as service:
        draw = ("generate", "--model", "openai/gpt-image-2", "--size", "768x1024", "--quality", "low", PROMPT)
        status, _, stderr = await command(service, *draw, "--param", "openai.moderation=low", "-o", "a", cwd=tmp_path)
        assert status == 0, stderr
        change = ("edit", "--model", "openai/gpt-image-2", "a.png", PROMPT, "--mask", "mask.png", "--format", "webp")
        status, _, stderr = await command(service, *change, "-o", "b", cwd=tmp_path)
        assert status == 0, stderr

    drawn, changed = service.fake.requests
    assert drawn.json.items() >= {"prompt": PROMPT, "size": "768x1024", "quality": "low", "moderation": "low"}.items()
    assert opened((tmp_path / "a.png").read_bytes()).size == (768, 1024)
    image, sent_mask = changed.files
    assert image.data == (tmp_path / "a.png").read_bytes()
    assert opened(sent_mask.data).getchannel("A").getpixel((0, 0)) == 0
    assert opened(sent_mask.data).getchannel("A").getpixel((767, 0)) == 255
    assert changed.fields["output_format"] == "webp"
    assert opened((tmp_path / "b.webp").read_bytes()).format == "WEBP"


async def test_the_command_lists_the_models(tmp_path: Path) -> None:
    """Those of the vendor stand beside those of the sandbox, without asking the vendor."""
    async with served(tmp_path) as service:
        status, stdout, stderr = await command(service, "models", cwd=tmp_path)

    assert status == 0, stderr
    assert b"openai/gpt-image-2" in stdout
    assert b"sandbox/scene" in stdout
    assert b"dall-e" not in stdout
    assert service.fake.requests == []


async def test_a_plain_stub_sees_the_picture_develop(tmp_path: Path) -> None:
    """Two previews come unasked, then the picture, its facts, the tokens, and no cost that nobody told."""
    async with served(tmp_path) as service:
        images = image_service_pb2_grpc.ImageServiceStub(service.channel)
        seen = await watch(images.StreamGenerate(generate("openai/gpt-image-2", PROMPT)))
        changed = await images.Edit(edit(png(16, 16), png(16, 16, shade=3), model="openai/gpt-image-2"))

    streamed, edited = service.fake.requests
    assert (streamed.json["stream"], streamed.json["partial_images"]) == (True, 2)
    assert [number for _, number, _ in seen.previews] == [1, 2]
    assert opened(seen.images[0]).size == (1024, 1024)
    result = seen.events[-1].result
    assert result.usage.output_tokens == 472
    assert not result.usage.HasField("cost")
    assert result.images[0].metadata["openai"]["quality"] == "high"
    assert result.attempts[0].provider_request_id.startswith("req_")
    assert "stream" not in edited.fields
    assert len(edited.files) == 2
    assert len(changed.images) == 1


async def test_prices_in_the_configuration_make_a_cost(tmp_path: Path) -> None:
    """The operator's own numbers, so the cost says that it is estimated."""
    config = tmp_path / "imagegen.toml"
    config.write_text('[prices]\n"openai/gpt-image-2" = {input_text = 5.0, input_image = 8.0, output_image = 30.0}\n')
    async with served(tmp_path, "--config", str(config)) as service:
        images = image_service_pb2_grpc.ImageServiceStub(service.channel)
        result = await images.Generate(generate("openai/gpt-image-2", PROMPT))

    assert result.usage.cost.estimated
    assert result.usage.cost.amount == pytest.approx((12 * 5.0 + 272 * 30.0) / 1_000_000)


async def test_an_error_of_the_vendor_reaches_the_caller(tmp_path: Path) -> None:
    """With its reason, its code and the bill; what the vendor repeats of the key and the prompt stays behind."""
    echo = f"Incorrect API key provided: {KEY}. Prompt: {PROMPT}"
    error = {"error": {"message": echo, "type": "invalid_request_error", "code": "invalid_api_key", "param": None}}
    async with served(tmp_path) as service:
        images = image_service_pb2_grpc.ImageServiceStub(service.channel)
        service.fake.answer_next(json_answer(401, error))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await images.Generate(generate("openai/gpt-image-2", PROMPT))

    told = refusal(raised.value)
    assert (told.reason, told.billed) == ("AUTHENTICATION_FAILED", "no")
    assert told.metadata["provider_code"] == "invalid_api_key"
    trailers = repr(raised.value.trailing_metadata()) + repr(raised.value)
    assert KEY not in trailers
    assert PROMPT not in trailers
    assert len(service.fake.requests) == 1


async def test_a_model_tells_its_end(tmp_path: Path) -> None:
    """GetModel names the day on which the vendor ends a model, and of an unknown one says that it is unknown."""
    async with served(tmp_path) as service:
        models = model_service_pb2_grpc.ModelServiceStub(service.channel)
        ending = await models.GetModel(model_service_pb2.GetModelRequest(model="openai/gpt-image-1-mini"))
        unknown = await models.GetModel(model_service_pb2.GetModelRequest(model="openai/gpt-image-7"))

    assert ending.model.retire_time.ToJsonString() == "2026-12-01T00:00:00Z"
    assert not unknown.model.known
    assert unknown.model.capabilities.generate
    assert service.fake.requests == []


async def test_without_a_key_there_is_no_such_provider(tmp_path: Path) -> None:
    """The sandbox alone; the refusal says what is configured."""
    async with (
        server_process(tmp_path, OPENAI_API_KEY="") as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await images.Generate(generate("openai/gpt-image-2", PROMPT))

    assert refusal(raised.value).reason == "PROVIDER_NOT_CONFIGURED"
    assert "configured: sandbox" in refusal(raised.value).message
