"""What all tests of the client share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from imagegen import AsyncClient, Client
from imagegen.cli._app import app

from tests.unit.client.command import Run
from tests.unit.client.fake_server import FakeServer, in_thread


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """A scripted server in the test's own event loop."""
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AsyncClient]:
    """A client of `server`."""
    async with AsyncClient(server.address, timeout=30) as connected:
        yield connected


@pytest.fixture
def thread_server() -> Iterator[FakeServer]:
    """A scripted server in a thread of its own, for tests without an event loop."""
    with in_thread() as running:
        yield running


@pytest.fixture
def sync_client(thread_server: FakeServer) -> Iterator[Client]:
    """A synchronous client of `thread_server`."""
    with Client(thread_server.address, timeout=30) as connected:
        yield connected


@pytest.fixture
def run(thread_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command against `thread_server` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEGEN_ADDRESS", thread_server.address)

    def call(*arguments: str, input: bytes | str | None = None) -> Result:  # noqa: A002 - as CliRunner has it
        return CliRunner().invoke(app, arguments, input=input)

    return call
