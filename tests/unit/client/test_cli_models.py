"""The command `imagegen models`."""

from __future__ import annotations

import json
import re
from typing import cast

import click
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imagegen.v1 import error_reason_pb2, model_service_pb2

from tests.unit.client.command import Run
from tests.unit.client.fake_server import Context, FakeServer


async def _models(
    _request: model_service_pb2.ListModelsRequest, _context: Context
) -> model_service_pb2.ListModelsResponse:
    told = model_service_pb2.ModelCapabilities(generate=True, edit=False, max_images=4)
    return model_service_pb2.ListModelsResponse(
        models=[
            model_service_pb2.Model(name="sandbox/scene", provider="sandbox", aliases=["draft"], capabilities=told),
            model_service_pb2.Model(name="sandbox/new", provider="sandbox"),
        ],
        unreachable=[
            model_service_pb2.UnreachableProvider(
                provider="local", reason=error_reason_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
            )
        ],
    )


def test_models_as_a_table(run: Run, thread_server: FakeServer) -> None:
    """The list says yes, no, or that it does not know; a provider that is missing is told."""
    thread_server.list_models = _models

    done = run("models", "--provider", "sandbox")

    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[1] == ["sandbox/scene", "yes", "no", "?", "?", "4", "draft"]
    assert lines[2] == ["sandbox/new", "?", "?", "?", "?", "?"]
    assert done.stderr == "imagegen: the models of local could not be listed: PROVIDER_UNAVAILABLE\n"
    assert cast("model_service_pb2.ListModelsRequest", thread_server.last.request).provider == "sandbox"


LONG_NAME = "openai/gpt-image-2.5-sunburst-2026-09-08"


async def _long(
    _request: model_service_pb2.ListModelsRequest, _context: Context
) -> model_service_pb2.ListModelsResponse:
    told = model_service_pb2.ModelCapabilities(generate=True, edit=True, mask=True, max_images=10)
    ends = Timestamp(seconds=1796083200)
    model = model_service_pb2.Model(name=LONG_NAME, provider="openai", capabilities=told, retire_time=ends)
    return model_service_pb2.ListModelsResponse(models=[model])


def test_a_long_name_stays_whole(run: Run, thread_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe a model is one line however narrow the terminal; in a narrow terminal its name goes on below."""
    thread_server.list_models = _long
    monkeypatch.setenv("COLUMNS", "60")

    head, line = run("models").stdout.splitlines()
    assert head.split() == ["model", "draws", "edits", "mask", "previews", "images", "ends"]
    assert line.split() == [LONG_NAME, "yes", "yes", "yes", "?", "10", "2026-12-01"]

    monkeypatch.setenv("FORCE_COLOR", "1")
    head, *lines = click.unstyle(run("models").stdout).splitlines()
    assert head.split() == ["model", "draws", "edits", "mask", "previews", "images", "ends"]
    assert "".join(line.split()[0] for line in lines) == LONG_NAME


def test_models_as_json(run: Run, thread_server: FakeServer) -> None:
    """One line for each model; what is unknown is absent."""
    thread_server.list_models = _models

    lines = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]

    assert lines[0]["name"] == "sandbox/scene"
    assert lines[0]["capabilities"] == {"generate": True, "edit": False, "max_images": 4, "previews": "unknown"}
    assert lines[1] == {
        "name": "sandbox/new",
        "provider": "sandbox",
        "known": False,
        "capabilities": {"previews": "unknown"},
    }


def test_one_model(run: Run, thread_server: FakeServer) -> None:
    """A model by name, with what it takes."""

    async def get(request: model_service_pb2.GetModelRequest, _context: Context) -> model_service_pb2.GetModelResponse:
        told = model_service_pb2.ModelCapabilities(sizes=["1024x1024", "512x512"])
        return model_service_pb2.GetModelResponse(model=model_service_pb2.Model(name=request.model, capabilities=told))

    thread_server.get_model = get

    done = run("models", "sandbox/scene")
    assert re.search(r"^sizes +1024x1024, 512x512 *$", done.stdout, flags=re.MULTILINE)
    assert json.loads(run("models", "sandbox/scene", "--json").stdout)["name"] == "sandbox/scene"
