"""A server set up by the text of its configuration, as an operator writes it, with the fake of the vendor behind it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from imagegen.v1 import image_service_pb2_grpc, model_service_pb2_grpc
from imagegen_server.app import App
from imagegen_server.config.loading import load_config
from imagegen_server.generation.middleware import Middleware
from imagegen_server.generation.middleware_types import MiddlewareType
from imagegen_server.providers.openai import PROVIDER
from imagegen_server.rpc.image_service import DeliverySettings

from tests.parity.service import Service
from tests.support.openai_api import fake_openai
from tests.support.server import NoSettings, Running
from tests.support.settings import write
from tests.support.vendor import Answer, json_answer

FIRST_KEY, KEY = "sk-first", "sk-second"


@asynccontextmanager
async def configured_service(
    folder: Path,
    provider: str = "",
    *,
    tables: str = "",
    keys: Sequence[str] = (KEY,),
    api_key: str = "",
    middleware: Sequence[Middleware] = (),
    heartbeat: float = DeliverySettings().heartbeat,
) -> AsyncIterator[Service]:
    """Serve until the block ends.

    `provider` are further lines of [providers.openai], `tables` further tables. Of the `keys` the vendor knows the
    last; each is in its `key_file`, and `api_key` says so unless the test does. `middleware` has a table each, in this
    order. `heartbeat` is in seconds.
    """
    references = _key_files(folder, keys)
    async with fake_openai(keys[-1]) as fake:
        lines = ["[providers.openai]", f'base_url = "{fake.base_url}"', f"api_key = {api_key or references}"]
        lines += [provider, tables, *(f"[middleware.{one.name}]" for one in middleware)]
        config = load_config(
            {PROVIDER.name: PROVIDER},
            path=write(folder, "\n".join(lines)),
            middleware={one.name: _kind(one) for one in middleware},
            listen="127.0.0.1:0",
        )
        app = App(config, DeliverySettings(heartbeat=heartbeat))
        address = await app.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                images = image_service_pb2_grpc.ImageServiceStub(channel)
                models = model_service_pb2_grpc.ModelServiceStub(channel)
                yield Service(Running(app, address, channel, images, models), fake)
        finally:
            await app.stop(drain=0)


def key_file(folder: Path, place: int = 0) -> Path:
    """Tell where the key of a place is kept."""
    return folder / f"key-{place}"


def sent_keys(service: Service) -> list[str]:
    """List the keys that the vendor was shown, one for each request."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in service.fake.requests]


def limited(milliseconds: float | None = None, status: int = 429) -> Answer:
    """Refuse a request for now, and ask for a wait or for none."""
    codes = {429: "rate_limit_exceeded", 503: "overloaded"}
    headers = {} if milliseconds is None else {"retry-after-ms": f"{milliseconds:g}"}
    error = {"message": "not now", "type": codes[status], "code": codes[status]}
    answer = json_answer(status, {"error": error}, headers)
    answer.checks = False
    return answer


def _key_files(folder: Path, keys: Sequence[str]) -> str:
    for place, key in enumerate(keys):
        key_file(folder, place).write_text(key, encoding="utf-8")
    references = [f'{{file = "{key_file(folder, place)}"}}' for place in range(len(keys))]
    return references[0] if len(references) == 1 else f"[{', '.join(references)}]"


def _kind(one: Middleware) -> MiddlewareType[NoSettings]:
    return MiddlewareType(one.name, NoSettings, lambda _name, _settings: one)
