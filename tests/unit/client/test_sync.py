"""The client for code without an event loop, from threads and under interrupts."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator

import pytest
from imagegen import Client, Complete, Image, ImageGenError, Preview, Reason, Started
from imagegen.v1 import image_service_pb2, model_service_pb2

from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    Wish,
    chunks,
    complete,
    facts,
    opening,
    picture,
    play,
    preview,
    result,
    started,
)

MODEL = "sandbox/scene"


def hang(server: FakeServer) -> threading.Event:
    """Let generations start and then wait to be cancelled; set once one was asked for."""
    asked = threading.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        yield started()
        asked.set()
        await server.hang()

    server.stream = script
    return asked


def test_generate_and_edit(thread_server: FakeServer, sync_client: Client) -> None:
    """The whole results of the core, from plain code."""
    whole = sync_client.generate(MODEL, "a cat", seed=1)
    sync_client.edit(MODEL, "a dog", image=whole.image, mask=Image.from_bytes(b"mask"))

    assert whole.image.bytes == picture()
    assert [call.method for call in thread_server.calls] == ["StreamGenerate", "StreamEdit"]


def test_stream_is_iterable(thread_server: FakeServer, sync_client: Client) -> None:
    """Events in a for loop, then the result; in a second loop nothing is left."""
    data = picture(400_000)
    thread_server.stream = play(started(), *preview(b"early"), *complete(data), result(data))

    with sync_client.stream(MODEL, "a cat") as stream:
        assert [type(event) for event in stream] == [Started, Preview, Complete]
        assert stream.result().image.bytes == data
        assert list(stream) == []
        assert stream.generation_id == "gen_1"


def test_model_object(thread_server: FakeServer, sync_client: Client) -> None:
    """A bound model with its properties and all four operations."""

    async def get(request: model_service_pb2.GetModelRequest, _context: Context) -> model_service_pb2.GetModelResponse:
        told = model_service_pb2.ModelCapabilities(generate=True)
        return model_service_pb2.GetModelResponse(model=model_service_pb2.Model(name=request.model, capabilities=told))

    thread_server.get_model = get
    model = sync_client.image(MODEL, params={"sandbox": {"fog": 1}}, quality="low")

    assert (model.model, model.params, model.options.quality) == (MODEL, {"sandbox": {"fog": 1}}, "low")
    assert model.capabilities is model.capabilities
    assert model.capabilities.generate is True
    assert model.generate("a cat").images
    assert model.edit("a cat", image=Image.from_bytes(b"x")).images
    assert model.stream("a cat").result().images
    assert model.stream_edit("a cat", image=Image.from_bytes(b"x")).result().images
    assert sync_client.stream_edit(MODEL, "a cat").result().images
    assert sync_client.model(MODEL).name == MODEL


def test_read_and_models(thread_server: FakeServer, sync_client: Client) -> None:
    """Bytes by id, and the list of models with those that could not be asked."""

    async def read(
        _request: image_service_pb2.ReadImageRequest, _context: Context
    ) -> AsyncIterator[image_service_pb2.ReadImageResponse]:
        yield image_service_pb2.ReadImageResponse(image=facts(b"abc"), data=b"abc")

    async def models(
        request: model_service_pb2.ListModelsRequest, _context: Context
    ) -> model_service_pb2.ListModelsResponse:
        return model_service_pb2.ListModelsResponse(
            models=[model_service_pb2.Model(name="a/b")],
            next_page_token="" if request.page_token else "next",
            unreachable=[model_service_pb2.UnreachableProvider(provider="local")],
        )

    thread_server.read, thread_server.list_models = read, models
    listing = sync_client.models()

    assert sync_client.read_image("img_1").bytes == b"abc"
    assert sync_client.read(Image.from_id("img_1")).bytes == b"abc"
    assert [model.name for model in listing] == ["a/b", "a/b"]
    assert [missing.provider for missing in listing.unreachable] == ["local"]
    assert next(iter(listing)).name == "a/b"


def test_errors_come_through(thread_server: FakeServer, sync_client: Client) -> None:
    """An error of the core is raised in the calling thread, as it is."""
    thread_server.stream = play(started())

    with pytest.raises(ImageGenError) as caught:
        sync_client.generate(MODEL, "a cat")
    assert caught.value.reason == Reason.INVALID_RESPONSE
    with pytest.raises(ValueError, match=r"params\.p\.n"):
        sync_client.stream(MODEL, "a cat", params={"p": {"n": 2**53}})


def test_abort_from_another_thread(thread_server: FakeServer, sync_client: Client) -> None:
    """One thread may end what another waits for."""
    asked = hang(thread_server)
    stream = sync_client.stream(MODEL, "a cat")

    def abort() -> None:
        asked.wait(10)
        stream.abort()

    aborting = threading.Thread(target=abort)
    aborting.start()

    with pytest.raises(ImageGenError) as caught:
        stream.result()
    aborting.join()

    assert caught.value.reason == Reason.CANCELLED
    assert thread_server.cancelled.wait(10)


def test_leaving_the_block_stops_the_generation(thread_server: FakeServer, sync_client: Client) -> None:
    """The end of `with` is a cancel if the generation still runs."""
    hang(thread_server)

    with sync_client.stream(MODEL, "a cat") as stream:
        assert isinstance(next(stream), Started)

    assert thread_server.cancelled.wait(10)


def test_dropping_the_stream_stops_the_generation(thread_server: FakeServer, sync_client: Client) -> None:
    """A loop that is left, with nothing that holds the stream, does not leave a generation running."""
    hang(thread_server)

    for _event in sync_client.stream(MODEL, "a cat"):
        break
    gc.collect()

    assert thread_server.cancelled.wait(10)


def test_closing_the_client_ends_its_calls(thread_server: FakeServer) -> None:
    """A call that another thread waits for ends when the client is closed; later calls say that it is."""
    asked = hang(thread_server)
    client = Client(thread_server.address)
    ends: list[BaseException] = []

    def call() -> None:
        try:
            client.generate(MODEL, "a cat")
        except ImageGenError as error:
            ends.append(error)

    waiting = threading.Thread(target=call)
    waiting.start()
    assert asked.wait(10)
    client.close()
    client.close()
    waiting.join(10)

    assert [type(end) for end in ends] == [ImageGenError]
    assert thread_server.cancelled.wait(10)
    with pytest.raises(RuntimeError, match="closed"):
        client.generate(MODEL, "a cat")


def test_many_threads_share_a_client(sync_client: Client) -> None:
    """Calls from several threads at once do not disturb each other."""
    sizes: list[int] = []

    def call() -> None:
        sizes.extend(sync_client.generate(MODEL, "a cat").image.size_bytes for _ in range(10))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == [1000] * 40


def test_no_thread_is_left(thread_server: FakeServer) -> None:
    """A closed client ends its thread, and so does one that was forgotten."""
    Client(thread_server.address).close()
    client = Client(thread_server.address)
    client.generate(MODEL, "a cat")
    del client
    gc.collect()

    assert "imagegen-client" not in [thread.name for thread in threading.enumerate()]


async def test_usable_inside_a_running_loop(thread_server: FakeServer) -> None:
    """In a notebook, where an event loop runs already, the synchronous client works."""
    with Client(thread_server.address) as client:
        assert client.generate(MODEL, "a cat").images


PROGRAM = """
    import sys
    from imagegen import Client

    with Client(sys.argv[1]) as client:
        try:
            {call}
        except KeyboardInterrupt:
            sys.exit(77)
"""


@pytest.mark.parametrize(
    "call",
    [
        pytest.param('client.generate("sandbox/scene", "a cat")', id="generate"),
        pytest.param('client.stream("sandbox/scene", "a cat").result()', id="result"),
        pytest.param('[print(event) for event in client.stream("sandbox/scene", "a cat")]', id="iteration"),
    ],
)
def test_interrupt_reaches_the_server(thread_server: FakeServer, call: str) -> None:
    """Ctrl-C in a call is a KeyboardInterrupt there and a cancelled generation at the server."""
    asked = hang(thread_server)
    program = textwrap.dedent(PROGRAM).format(call=call)
    with subprocess.Popen([sys.executable, "-c", program, thread_server.address], stdout=subprocess.DEVNULL) as process:
        assert asked.wait(30)
        os.kill(process.pid, signal.SIGINT)
        assert thread_server.cancelled.wait(10)
        assert process.wait(10) == 77


def test_interrupt_that_another_thread_took(thread_server: FakeServer) -> None:
    """A signal whose handler ran in another thread, so that it wakes nobody, still ends the call."""
    asked = hang(thread_server)
    program = """
        import signal, sys, threading
        from imagegen import Client

        def interrupt():
            sys.stdin.readline()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

        other = threading.Thread(target=interrupt)
        other.start()
        with Client(sys.argv[1]) as client:
            try:
                client.generate("sandbox/scene", "a cat")
            except KeyboardInterrupt:
                sys.exit(77)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), thread_server.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert asked.wait(30)
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
        try:
            assert thread_server.cancelled.wait(10)
            assert process.wait(10) == 77
        finally:
            process.kill()


def test_program_that_forgets_to_close_ends(thread_server: FakeServer) -> None:
    """A client that is open when the program ends keeps it neither waiting nor noisy, and its calls are cancelled."""
    hang(thread_server)
    program = (
        "import sys; from imagegen import Client; client = Client(sys.argv[1]); "
        "stream = client.stream('sandbox/scene', 'a cat'); next(stream)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, thread_server.address], check=True, capture_output=True, text=True, timeout=30
    )

    assert (done.stdout, done.stderr) == ("", "")
    assert thread_server.cancelled.wait(10)


def test_damaged_image_is_an_error(thread_server: FakeServer, sync_client: Client) -> None:
    """What the core checks is checked here."""
    thread_server.stream = play(started(), opening(picture()), *chunks(picture(salt=1)))

    with pytest.raises(ImageGenError, match="SHA-256"):
        list(sync_client.stream(MODEL, "a cat"))
