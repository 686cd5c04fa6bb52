"""Ctrl-C where a generation would run on without its reader."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from imagegen.v1 import image_service_pb2

from tests.unit.client.fake_server import Context, Event, FakeServer, error_info, started, status_trailer

Cancel = image_service_pb2.CancelRequest
COMMAND = [sys.executable, "-m", "imagegen.cli"]
GENERATE = [*COMMAND, "generate", "--model", "sandbox/scene", "a cat"]

PROGRAM = """
    import sys
    from imagegen import Client

    with Client(sys.argv[1]) as client:
        try:
            {call}
        except KeyboardInterrupt as interrupt:
            print(*getattr(interrupt, "__notes__", ()))
            sys.exit(77)
"""


@pytest.fixture
def asked(thread_server: FakeServer) -> threading.Event:
    """Set once a generation has started; none ends by itself."""
    begun = threading.Event()

    async def script(_request: Any, _context: Context) -> AsyncIterator[Event]:
        yield started()
        begun.set()
        await thread_server.hang()

    thread_server.stream = thread_server.resume = script
    return begun


def stopped_once(server: FakeServer) -> None:
    """One Cancel came, by the server's id or, if the interrupt was faster than that, by the request's own."""
    [cancel] = server.called("Cancel")
    named = {request.request_id for request in server.called("StreamGenerate") + server.called("StreamEdit")}
    assert cancel.generation_id == "gen_1" or cancel.request_id in named - {""}


@contextmanager
def running(command: list[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive its test."""
    with subprocess.Popen(command, text=True, **how) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str], asked: threading.Event) -> str:
    """What a program writes on standard output when it is interrupted, which it says by 77."""
    assert asked.wait(30)
    os.kill(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 77
    return told


@pytest.mark.parametrize(
    "call",
    [
        'client.generate("sandbox/scene", "a cat", request_id="mine")',
        'client.edit("sandbox/scene", "a cat", on_disconnect="detach")',
        'client.stream("sandbox/scene", "a cat", resumable=True).result()',
        'with client.stream("sandbox/scene", "a cat", request_id="mine", resumable=True) as stream: list(stream)',
        'client.resume("gen_1").result()',
    ],
)
def test_interrupt_in_a_call(thread_server: FakeServer, asked: threading.Event, call: str) -> None:
    """Ctrl-C in a synchronous call is a Cancel at the server, whatever leaving would have meant."""
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM.format(call=call)), thread_server.address]
    with running(program, stdout=subprocess.PIPE) as process:
        interrupted(process, asked)

    stopped_once(thread_server)


def test_interrupt_between_two_calls(thread_server: FakeServer, asked: threading.Event) -> None:
    """Ctrl-C in the program's own code stops the generation too, at the end of the stream's block."""
    call = """
            import time
            with client.stream("sandbox/scene", "a cat", request_id="mine") as stream:
                next(stream)
                print("here", flush=True)
                time.sleep(60)
    """.strip()
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM.format(call=call)), thread_server.address]
    with running(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        interrupted(process, asked)

    assert thread_server.called("Cancel") == [Cancel(generation_id="gen_1")]


def test_interrupt_that_could_not_be_told(thread_server: FakeServer, asked: threading.Event) -> None:
    """If the server does not take the Cancel, the interrupt says that money may go on being spent."""
    code = grpc.StatusCode.INTERNAL

    async def refuse(_request: Cancel, context: Context) -> image_service_pb2.CancelResponse:
        await context.abort(code, "no", (status_trailer(code, "no", error_info("INTERNAL_ERROR", billed="no")),))
        raise AssertionError

    thread_server.cancel = refuse
    call = 'client.generate("sandbox/scene", "a cat", request_id="mine")'
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM.format(call=call)), thread_server.address]
    with running(program, stdout=subprocess.PIPE) as process:
        told = interrupted(process, asked)

    assert told in (
        "the generation gen_1 may run on: INTERNAL_ERROR: no\n",
        "the generation mine may run on: INTERNAL_ERROR: no\n",
    )


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*GENERATE, "--resumable", "-o", "a.png"], id="resumable"),
        pytest.param([*GENERATE, "--request-id", "mine", "-o", "a.png"], id="request-id"),
        pytest.param([*COMMAND, "resume", "gen_1", "-o", "a.png"], id="resume"),
    ],
)
def test_interrupt_of_the_command(
    thread_server: FakeServer, asked: threading.Event, command: list[str], tmp_path: Path
) -> None:
    """Ctrl-C in the command calls Cancel and ends it with 130."""
    environment = {**os.environ, "IMAGEGEN_ADDRESS": thread_server.address}
    with running(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert asked.wait(30)
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert told.splitlines()[-1] == "imagegen: cancelled"
    stopped_once(thread_server)


def test_second_interrupt_of_the_command(thread_server: FakeServer, asked: threading.Event, tmp_path: Path) -> None:
    """A server that does not answer the Cancel holds up the first Ctrl-C, and not the second."""
    cancelling = threading.Event()

    async def stall(_request: Cancel, _context: Context) -> image_service_pb2.CancelResponse:
        cancelling.set()
        await asyncio.sleep(60)
        raise AssertionError

    thread_server.cancel = stall
    environment = {**os.environ, "IMAGEGEN_ADDRESS": thread_server.address}
    command = [*GENERATE, "--request-id", "mine", "-o", "a.png"]
    with running(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert asked.wait(30)
        os.kill(process.pid, signal.SIGINT)
        assert cancelling.wait(10)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(5) == 130


def test_interrupt_where_nothing_can_be_raised() -> None:
    """Ctrl-C that comes while a weak reference's callback runs, which swallows it, ends the command all the same."""
    program = """
        import signal, sys, time, weakref
        from imagegen.cli._app import app

        class Thing: ...

        @app.command()
        def lose():
            thing = Thing()
            weak = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
            del thing
            print("lost", flush=True)
            for _ in range(600):
                time.sleep(0.1)

        app(["lose"])
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        written, told = process.communicate(timeout=30)

    assert (written, told, process.returncode) == ("lost\n", "imagegen: cancelled\n", 130)
