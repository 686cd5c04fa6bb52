"""How another server is set up, and what proves who is who."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.app import build_providers
from imagegen_server.config import Config, ConfigError, ServerTable, load_config
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.providers.imagegen import PROVIDER, ImagegenSettings
from imagegen_server.providers.imagegen.connections import Connections

from tests.support.authority import issue
from tests.support.callers import TOKEN, Safe
from tests.support.imagegen_provider import chain, far_at
from tests.support.imagegen_told import Told, hear
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server
from tests.support.settings import complaint, write

TYPES = {PROVIDER.name: PROVIDER}


def read(folder: Path, *lines: str) -> Config:
    """Load the table of a server `far`."""
    return load_config(TYPES, path=write(folder, "\n".join(['[providers.far]\ntype = "imagegen"', *lines])))


def wish() -> image_service_pb2.GenerateRequest:
    """Wish for a picture."""
    return image_service_pb2.GenerateRequest(model="far/test/any", input=image_pb2.ImageInput(prompt="a boat"))


def test_a_table_sets_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address alone, or with all that there is; it is not reached by our HTTP client."""
    monkeypatch.setenv("FAR_TOKEN", TOKEN)
    (plain,) = read(tmp_path, 'address = "10.0.0.7:50051"').providers
    assert (plain.settings, plain.http, plain.upstream.keys) == (ImagegenSettings("10.0.0.7:50051"), None, ())

    (full,) = read(
        tmp_path,
        'address = "far.example:443"',
        "tls = true",
        'ca = "ca.pem"',
        'certificate = "me.pem"',
        'private_key = "me.key"',
        'api_key = {env = "FAR_TOKEN"}',
    ).providers
    assert full.settings == ImagegenSettings("far.example:443", True, "ca.pem", "me.pem", "me.key")  # noqa: FBT003
    assert [key.secret for key in full.upstream.keys] == [Secret(TOKEN)]


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ([], "providers.far.address"),
        (['address = "a:1"', 'certificate = "x.pem"'], "providers.far.certificate"),
        (['address = "a:1"', 'base_url = "http://a"'], "providers.far.base_url"),
        (['address = "a:1"', 'headers = {a = "b"}'], "providers.far.headers"),
        (['address = "a:1"', 'api_key = "t0ken"'], "providers.far.api_key"),
    ],
)
def test_what_leads_nowhere_is_refused(tmp_path: Path, lines: list[str], key: str) -> None:
    """With the name of the key."""
    (line,) = complaint(lambda: read(tmp_path, *lines))
    assert line.startswith(f"{key}:")


@pytest.mark.parametrize(
    "line", ['address = "https://far.example"', 'address = "far.example"', 'address = "a:1"\nca = "/none/ca.pem"']
)
def test_what_cannot_be_an_address_or_a_file_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    """When the provider is made, before anything is sent."""
    with pytest.raises(ConfigError, match=r"^providers\.far: cannot be set up"):
        build_providers(read(tmp_path, line))


def test_no_variable_of_the_environment_sets_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's IMAGEGEN_ADDRESS may well name this server."""
    monkeypatch.setenv("IMAGEGEN_ADDRESS", "127.0.0.1:50051")
    assert load_config(TYPES, path=write(tmp_path, "")).providers == ()


def test_a_token_is_not_sent_in_clear_text() -> None:
    """Beyond this machine without TLS the attempt is refused, and the message says what to set."""
    with pytest.raises(ImageError, match="TLS") as caught:
        Connections(ImagegenSettings("far.example:1")).with_token(Secret(TOKEN))
    assert (caught.value.reason, caught.value.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
    assert TOKEN not in caught.value.message


async def over_tls(folder: Path, token: str, **settings: Any) -> tuple[Told, ScriptedProvider]:
    """Draw through a server with TLS and callers."""
    safe, provider = Safe(folder), ScriptedProvider()
    table = ServerTable(tls=safe.tls(client_ca="certificate" in settings), tokens=safe.tokens())
    safe.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    if "certificate" in settings:
        pair = issue(safe.client_authority, "near.example")
        (folder / "me.pem").write_bytes(pair.chain)
        (folder / "me.key").write_bytes(pair.key)
    async with (
        running_server(as_config("test", provider), server=table) as far,
        running_server(far_at(far.address, token=token, ca=str(folder / "ca.pem"), **settings)) as near,
    ):
        return await hear(near, wish()), provider


async def test_the_token_goes_over_tls(tmp_path: Path) -> None:
    """To a server of our own authority, which takes us for its caller."""
    told, provider = await over_tls(tmp_path, TOKEN)

    assert told.error is None
    assert len(provider.tasks) == 1


async def test_a_certificate_of_our_own_is_shown(tmp_path: Path) -> None:
    """To a server that wants one of every client."""
    told, _ = await over_tls(
        tmp_path, TOKEN, certificate=str(tmp_path / "me.pem"), private_key=str(tmp_path / "me.key")
    )

    assert told.error is None


async def test_a_refused_token_is_our_operators_business(tmp_path: Path) -> None:
    """Our caller hears AUTHENTICATION_FAILED and not that its own token is wrong; nothing was done."""
    told, provider = await over_tls(tmp_path, "another")

    assert told.error is not None
    info = told.detail(error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["billed"]) == ("ERROR_REASON_AUTHENTICATION_FAILED", "no")
    assert not provider.tasks


@pytest.mark.parametrize("edit", [False, True])
async def test_explain_shows_what_would_be_sent(edit: bool) -> None:
    """The method, the address and the message as JSON; the far server gets just that, and now nothing."""
    provider = ScriptedProvider()
    options = image_pb2.ImageOptions(seed=2**60, size=image_pb2.PixelSize(width=64, height=64), count=2)
    asked: Any = wish()
    if edit:
        images = [image_pb2.ImageSource(data=png(64, 64))]
        asked = image_service_pb2.EditRequest(
            model="far/test/any", input=image_pb2.ImageEditInput(prompt="at night", images=images)
        )
    asked.options.CopyFrom(options)
    asked.params["far"].update({"test": {"depth": 3}})
    async with chain(provider) as servers:
        request = (
            image_service_pb2.ExplainRequest(edit=asked) if edit else image_service_pb2.ExplainRequest(generate=asked)
        )
        (call,) = (await servers.near.images.Explain(request)).calls
        assert not provider.tasks
        assert (await hear(servers.near, asked)).error is None
        address = servers.far.address

    method = "StreamEdit" if edit else "StreamGenerate"
    assert (call.method, call.url) == ("GRPC", f"http://{address}/imagegen.v1.ImageService/{method}")
    body = json.loads(call.body)
    if edit:
        assert body["input"].pop("images")[0]["data"].startswith("<sha256 ")
    message = image_service_pb2.EditRequest() if edit else image_service_pb2.GenerateRequest()
    json_format.ParseDict(body, message)
    task = provider.tasks[0]
    assert (message.model, message.input.prompt) == ("test/any", task.prompt)
    assert (message.options.seed, message.options.count) == (task.options.seed, 2)
    assert json_format.MessageToDict(message.params["test"]) == task.params == {"depth": 3}
