"""Errors as callers see them: exact, complete, and for that call alone."""

import asyncio
import json
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen_server.config import ServerTable
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call
from imagegen_server.rpc.status import CODES
from imagegen_server.telemetry.logs import configure_logs
from pydantic import ByteSize

from tests.support.calls import edit, generate, refusal, watch
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server


async def test_all_violations_at_once_and_nothing_spent() -> None:
    """Everything wrong with a request is named by field in one answer, the model included."""
    provider = ScriptedProvider()
    request = generate(
        "nowhere/model",
        "",
        options={"count": 0, "size": {"width": 1, "height": 0}, "aspectRatio": "1:1", "compression": 101},
        params={"nobody": {"x": 1}, "test": {"prompt": "mine", "big": 2**53 + 1, "deep": [{"nan": "kept"}]}},
        requestId="a b",
        onDisconnect=9,
        retry={"fallbackModels": [""]},
    )
    (deep,) = request.params["test"].fields["deep"].list_value.values
    deep.struct_value.fields["nan"].number_value = float("nan")
    async with running_server(as_config("test", provider)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(request)

        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "no")
        assert set(told.violations) == {
            "model",
            "input.prompt",
            "options.count",
            "options.size",
            "options.aspect_ratio",
            "options.compression",
            "params.nobody",
            "params.test.big",
            "params.test.deep[0].nan",
            "request_id",
            "on_disconnect",
            "retry.fallback_models[0]",
        }
        assert provider.tasks == []


async def test_what_is_wrong_with_an_edit() -> None:
    """Bytes that are no image, a mask of another size and inputs of a later version are named by field."""
    request = edit(png(8, 8), b"hello", mask=png(9, 8))
    request.input.images.add(url="https://example.com/a.png")
    request.input.images.add(image_id="img_1")
    request.input.images.add()
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Edit(request)
        with pytest.raises(grpc.aio.AioRpcError) as empty:
            await server.images.Edit(edit())

        assert set(refusal(caught.value).violations) == {
            "input.images",
            "input.images[1].data",
            "input.images[2].url",
            "input.images[3].image_id",
            "input.images[4]",
            "input.mask",
        }
        assert set(refusal(empty.value).violations) == {"input.images"}


@pytest.mark.parametrize(
    ("model", "code", "reason"),
    [
        ("typo", grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        ("nowhere/model", grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_CONFIGURED"),
    ],
)
async def test_a_wrong_model_alone_has_its_own_reason(model: str, code: grpc.StatusCode, reason: str) -> None:
    """If nothing but the model is wrong, the reason says which way it is."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(model))

        assert (caught.value.code(), refusal(caught.value).reason) == (code, reason)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("reason", [reason.name for reason in Reason])
async def test_every_reason_has_its_code_on_the_wire(reason: str, streaming: bool) -> None:
    """The sandbox fails with any reason, and code, trailers and details are those of the contract in both forms."""
    request = generate(
        "sandbox/scene", params={"sandbox": {"fail": reason}}, options={"size": {"width": 32, "height": 32}}
    )
    async with running_server(sandbox=True) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (watch(server.images.StreamGenerate(request)) if streaming else server.images.Generate(request))

        told = refusal(caught.value)
        assert told.reason == reason
        if reason == "NETWORK_ERROR":
            assert (told.code is grpc.StatusCode.UNAVAILABLE) == (told.billed == "no")
        else:
            assert told.code is CODES[Reason[reason]]
        assert told.failure is not None


async def test_a_fault_in_an_adapter_is_one_failed_call(capfd: pytest.CaptureFixture[str]) -> None:
    """An adapter that raises ends its own call as INTERNAL_ERROR; its text, which may hold a prompt, is kept inside."""

    async def broken(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        raise ZeroDivisionError(f"secret {task.prompt}")
        yield

    fine = ScriptedProvider()
    async with running_server(as_config("test", ScriptedProvider(script=broken)), as_config("fine", fine)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(prompt="my words"))
        after = await server.images.Generate(generate("fine/any"))

    assert refusal(caught.value).reason == "INTERNAL_ERROR"
    out, err = capfd.readouterr()
    assert "ZeroDivisionError" in out + err
    assert "my words" not in out + err + str(caught.value)
    assert len(after.images) == 1


async def test_a_body_over_the_limit_is_refused_by_the_transport() -> None:
    """A request larger than the server reads costs that call alone."""
    async with running_server(
        as_config("test", ScriptedProvider()), server=ServerTable(max_receive_bytes=ByteSize(100_000))
    ) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Edit(edit(png(8, 8) + b"\0" * 200_000))

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await server.images.Generate(generate())).images


async def test_garbage_on_the_port_hurts_nobody() -> None:
    """Bytes that are no HTTP/2 end their own connection; the next call is served."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01" + bytes(range(256)) * 40)
        await writer.drain()
        await reader.read()
        writer.close()

        assert (await server.images.Generate(generate())).images


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x12\x04\x0a\x02\xff\xfe"])
async def test_a_request_that_is_no_message_is_refused_by_name(garbage: bytes) -> None:
    """Bytes that do not parse, and text that is no UTF-8, are INVALID_REQUEST and cost nothing."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        method = "/imagegen.v1.ImageService/Generate"
        raw: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = server.channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(garbage)

        assert (refusal(caught.value).reason, refusal(caught.value).billed) == ("INVALID_REQUEST", "no")
        assert (await server.images.Generate(generate())).images


async def test_megabytes_that_are_no_image_are_refused_before_they_are_parsed() -> None:
    """Tens of megabytes of tiny or unknown fields are refused at once; the same of image bytes are taken."""
    provider = ScriptedProvider()
    async with running_server(as_config("test", provider)) as server:
        request = edit(png(8, 8))
        request.MergeFromString(b"\x9a\x06\x00" * 8_000_000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Edit(request)

        assert refusal(caught.value).reason == "INVALID_REQUEST"
        assert provider.tasks == []
        assert (await server.images.Edit(edit(noisy_png(1500, 1500)))).images


async def test_the_log_has_one_line_a_call_without_prompt_or_bytes(capfd: pytest.CaptureFixture[str]) -> None:
    """A call's line has method, code, ids, sizes and times as JSON, and neither prompt nor picture."""
    configure_logs(json=True)
    async with running_server(as_config("test", ScriptedProvider())) as server:
        result = await server.images.Generate(generate(prompt="my secret words"))

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "call"]
    assert line["method"] == "/imagegen.v1.ImageService/Generate"
    assert (line["code"], line["generation_id"], line["model"]) == ("OK", result.generation_id, "test/any")
    assert line["image_bytes"] == result.images[0].image.size_bytes
    assert line["seconds"] >= 0
    assert "my secret words" not in json.dumps(lines)
