"""What an operator sets has its effect, and what has none is refused."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import grpc
import pytest
from imagegen.v1 import image_stream_pb2
from imagegen_server.config import Config, ConfigError
from imagegen_server.config.loading import load_config
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.providers.openai import PROVIDER
from multidict import CIMultiDict
from structlog.testing import capture_logs

from tests.parity.configured import configured_service
from tests.parity.forms import FORMS, begin, call, failure_of, refused
from tests.parity.service import PATIENCE, change, draw, in_mid_stream
from tests.support.calls import refusal, watch
from tests.support.http_server import HttpServer
from tests.support.openai_api import fake_openai
from tests.support.recording import RecordedRequest
from tests.support.server import Running, running_server
from tests.support.settings import write
from tests.support.tools import ROOT

KEY = "sk-of-the-test"


def configured(folder: Path, text: str) -> Config:
    """Read a configuration as the server does."""
    return load_config({PROVIDER.name: PROVIDER}, path=write(folder, text))


@asynccontextmanager
async def serving(folder: Path, text: str) -> AsyncIterator[Running]:
    """Serve with the providers of a configuration."""
    async with running_server(*configured(folder, text).providers) as server:
        yield server


def all_values(request: RecordedRequest, header: str) -> list[str]:
    """List every value that was sent of one header."""
    return cast("CIMultiDict[str]", request.headers).getall(header)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


async def test_headers_are_compared_without_case(tmp_path: Path) -> None:
    """A header of the configuration replaces the server's own of the same name, however it is written."""
    async with fake_openai(key="sk-other") as fake:
        text = f"""
            [providers.openai]
            base_url = "{fake.base_url}"
            headers = {{ AUTHORIZATION = "Bearer sk-other", "x-Team" = "harbour" }}
        """
        async with serving(tmp_path, text) as server:
            await server.images.Generate(draw())
            await server.images.Edit(change())
            await watch(server.images.StreamGenerate(draw()))

    assert len(fake.requests) == 3
    for request in fake.requests:
        assert all_values(request, "authorization") == ["Bearer sk-other"]
        assert all_values(request, "X-TEAM") == ["harbour"]


@pytest.mark.parametrize("key", ["", "  "])
async def test_an_empty_key_is_no_key(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose key is empty is not set up: no request goes out with an empty key."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    async with serving(tmp_path, "") as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(draw())

    assert refusal(caught.value).reason == "PROVIDER_NOT_CONFIGURED"


def test_an_empty_key_beside_a_table_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table whose key turns out to be empty ends the start with the name of the setting."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("ANOTHER_KEY", KEY)
    reference = '{ env = "OPENAI_API_KEY" }'
    for line in ("", f"api_key = {reference}", f'api_key = [{{ env = "ANOTHER_KEY" }}, {reference}]'):
        text = f"[providers.openai]\n{line}"
        with pytest.raises(ConfigError, match=r"^providers\.openai\.api_key(\.1)?: "):
            configured(tmp_path, text)


async def test_organization_project_key_and_base_url_have_their_effect(tmp_path: Path) -> None:
    """Whom the vendor bills, with which key, and where the vendor is, hold for drawing, streaming and editing."""
    async with fake_openai(key=KEY) as fake:
        text = f"""
            [providers.openai]
            base_url = "{fake.base_url}/"
            organization = "org-1"
            project = "proj-1"
        """
        async with serving(tmp_path, text) as server:
            await server.images.Generate(draw())
            await server.images.Edit(change())
            await watch(server.images.StreamGenerate(draw()))
            await watch(server.images.StreamEdit(change()))

    paths = [request.path for request in fake.requests]
    assert paths == ["/v1/images/generations", "/v1/images/edits"] * 2
    for request in fake.requests:
        assert request.headers["OpenAI-Organization"] == "org-1"
        assert request.headers["OpenAI-Project"] == "proj-1"
        assert request.headers["Authorization"] == f"Bearer {KEY}"


async def test_the_proxy_has_its_effect(tmp_path: Path) -> None:
    """With a proxy the vendor is asked through it, in every form."""
    async with HttpServer() as proxy:
        text = f"""
            [providers.openai]
            base_url = "http://vendor.test/v1"
            proxy = "{proxy.url}"
        """
        async with serving(tmp_path, text) as server:
            with pytest.raises(grpc.aio.AioRpcError):
                await server.images.Generate(draw())
            with pytest.raises(grpc.aio.AioRpcError):
                await watch(server.images.StreamEdit(change()))

    assert [received.line for received in proxy.requests] == [
        "POST http://vendor.test/v1/images/generations HTTP/1.1",
        "POST http://vendor.test/v1/images/edits HTTP/1.1",
    ]


async def test_the_limits_of_a_provider_have_their_effect(tmp_path: Path) -> None:
    """At most so many requests at a time and a minute: the next one waits, or is refused where none may wait."""
    answer = in_mid_stream(asyncio.Event())
    async with configured_service(tmp_path, "concurrency = 1\nqueue = 0") as service:
        service.fake.answer_next(answer)
        first = begin(service, "StreamGenerate")
        await asyncio.wait_for(answer.begun.wait(), PATIENCE)
        for form in FORMS:
            assert await refused(begin(service, form)) == "SERVER_BUSY"
        first.cancel()
    async with configured_service(tmp_path, "requests_per_minute = 1\nqueue = 0") as service:
        await call(service, "Generate")
        told = await failure_of(begin(service, "Edit"))

        assert (told.reason, len(service.fake.requests)) == ("SERVER_BUSY", 1)
        assert told.retry_delay is not None


async def test_the_position_of_a_call_that_waits_is_told(tmp_path: Path) -> None:
    """With one request at a time and room to wait, the second call hears how many go before it, and then comes."""
    hold = asyncio.Event()
    answer = in_mid_stream(hold)
    async with configured_service(tmp_path, "concurrency = 1") as service:
        service.fake.answer_next(answer)
        first = begin(service, "StreamGenerate")
        await asyncio.wait_for(answer.begun.wait(), PATIENCE)
        positions = []
        async with asyncio.timeout(PATIENCE):
            async for event in begin(service, "StreamEdit"):
                if event.progress.phase == image_stream_pb2.PHASE_QUEUED and not hold.is_set():
                    positions.append(event.progress.queue_position)
                    hold.set()
        await watch(first)

        assert len(service.fake.requests) == 2
    assert positions == [0]


def test_what_stands_for_the_strategies_is_a_setting(tmp_path: Path) -> None:
    """Each line that the page for newcomers gives in place of a retry or key strategy is read, and as what it says."""
    page = (ROOT / "docs" / "from-providerprotocol.md").read_text(encoding="utf-8")
    read = {}
    for line in re.findall(r"`(retry = \{[a-z][^`]*\})`", page):
        (provider,) = configured(tmp_path, f"[providers.openai]\n{line}").providers
        read[line] = provider.upstream.retry
    for name in "ab":
        (tmp_path / name).write_text(KEY + name)
    (keys,) = re.findall(r"`(api_key = \[[^`]*weight[^`]*)` and `(key_strategy[^`]*)`", page)
    text = "\n".join(keys).replace('file = "', f'file = "{tmp_path}/')
    (provider,) = configured(tmp_path, f"[providers.openai]\n{text}").providers

    assert list(read.values()) == [
        RetrySettings("none"),
        RetrySettings(max_attempts=4),
        RetrySettings("exponential", max_attempts=4, base_delay=0.5, max_delay=10),
        RetrySettings("linear", max_attempts=4, base_delay=1),
        RetrySettings("retry_after", max_attempts=4, base_delay=5),
        RetrySettings("token_bucket", max_attempts=4, capacity=10, per_second=1),
    ]
    assert [key.weight for key in provider.upstream.keys] == [3, 1]
    assert provider.upstream.key_strategy == "weighted"


def test_a_setting_without_effect_is_refused(tmp_path: Path) -> None:
    """A key that no code reads is a fault at the start, by name; nothing is accepted and then ignored."""
    with pytest.raises(ConfigError, match=r"^providers\.openai\.api_version: is no such key"):
        configured(tmp_path, '[providers.openai]\napi_version = "2"')


@pytest.mark.parametrize(
    ("base_url", "warnings"),
    [("http://vendor.test/v1", 1), ("https://vendor.test/v1", 0), ("http://127.0.0.1:9/v1", 0), ("http://[::1]/v1", 0)],
)
async def test_an_insecure_address_is_warned_of_before_any_call(base_url: str, warnings: int, tmp_path: Path) -> None:
    """Clear text beyond this machine is warned of when the server starts, so whichever form is called later."""
    with capture_logs() as lines:
        async with serving(tmp_path, f'[providers.openai]\nbase_url = "{base_url}"'):
            pass

    insecure = [line for line in lines if "insecure" in line["event"]]
    assert [(line["log_level"], line["host"]) for line in insecure] == [("warning", "vendor.test")] * warnings
