"""The pages of docs/ say what the code does; configuration.md has a file of its own."""

import re
import socket
from argparse import _SubParsersAction
from pathlib import Path
from typing import Any

import grpc
import pytest
from imagegen_server import cli, config
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.generation import admission, opening, readers, runner
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.http import allocator, guarded_fetch, transport
from imagegen_server.rpc import server as rpc_server
from imagegen_server.rpc.status import CODES
from imagegen_server.store import room

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    """Read a page."""
    return (DOCS / name).read_text()


def sentences(name: str) -> str:
    """Read a page as one line, so that a sentence is found wherever it is broken."""
    return " ".join(page(name).split())


def test_the_operations_page_names_every_command_and_option() -> None:
    """What the command line takes is on the page."""
    parser = cli._parser()
    (commands,) = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    for name in commands.choices:
        assert f"`imagegen-server {name}" in page("operations.md")
    options = {text for action in commands.choices["serve"]._actions for text in action.option_strings}
    for option in options - {"-h", "--help"}:
        assert option in page("operations.md")


def test_the_operations_page_names_what_health_is_asked_for() -> None:
    """Both services, and a provider by its name."""
    for name in (*rpc_server.SERVICES, rpc_server.health_name("NAME")):
        assert f"`{name}`" in page("operations.md")


def test_the_numbers_of_the_operations_page_are_those_of_the_code() -> None:
    """Times, sizes and waits that an operator reckons with."""
    text = sentences("operations.md")
    options: dict[str, Any] = dict(rpc_server.channel_options(rpc_server.ListenSettings()))

    assert options["grpc.http2.max_ping_strikes"] == 0
    quiet, answer = (options[f"grpc.keepalive_{name}_ms"] // 1000 for name in ("time", "timeout"))
    assert f"quiet for {quiet} s and closes it if no answer comes for {answer} s" in text
    assert f"after {quiet + answer} to {2 * quiet + answer} s" in text
    assert f"takes nothing for {rpc_server.SLOW_READER_SECONDS:g} s" in text
    assert f"`server.max_calls` | {admission._RETRY_SECONDS:g} s" in text
    assert f"`store.max_bytes` | {room._BUSY_RETRY_SECONDS:g} s" in text
    assert f"{admission._UNKNOWN_IMAGE_BYTES // 2**20} MiB if the size is not known" in text
    assert f"at least {admission._SMALLEST_ESTIMATE // 2**10} KiB and at most {MAX_IMAGE_BYTES // 2**20} MiB" in text
    assert f"less than {opening.SHORTEST_DEADLINE_SECONDS:g} s left" in text
    assert f"ends {readers.ANSWER_SECONDS:g} s before" in text
    assert f"has {runner.STOP_GRACE_SECONDS:g} s to let go" in text
    assert f"at most `drain` ({config.ServerTable().drain:g} s)" in text


def test_the_numbers_of_outgoing_connections_are_those_of_the_code() -> None:
    """Times and limits towards providers."""
    text = sentences("operations.md")
    settings = transport.HttpSettings("https://provider.example")

    assert f"At most `concurrency` ({QueueSettings().concurrency}) requests" in text
    assert f"At most `queue` ({QueueSettings().queue}) more wait" in text
    assert f"must stand within {settings.connect_timeout:g} s" in text
    assert f"idle connection is closed after {transport._KEEPALIVE:g} s" in text
    assert f"up to {dict(allocator._SETTINGS)[allocator._TRIM_THRESHOLD] // 2**20} MiB that were needed once" in text


def test_the_numbers_of_fetched_urls_are_those_of_the_code() -> None:
    """How many redirects are followed."""
    assert f"At most {guarded_fetch.MOST_REDIRECTS}, each checked like a new URL" in sentences("operations.md")


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="the numbers are those of Linux")
def test_the_keepalive_of_the_operations_page_is_that_of_the_code() -> None:
    """How long a peer may be dead before anybody notices."""
    options = {name: value for level, name, value in transport._socket_options() if level == socket.IPPROTO_TCP}
    first, then, times = (options[name] for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT))
    text = sentences("operations.md")

    assert f"noticed after about {first + then * times} s" in text
    assert f"the first question after {first} s, then every {then} s, {times} of them" in text


@pytest.mark.parametrize("reason", Reason)
def test_the_errors_page_has_the_code_and_the_bill_that_the_server_sends(reason: Reason) -> None:
    """The contract in words is the one in the code."""
    name = f"ERROR_REASON_{reason.name}"
    (row,) = re.findall(rf"^\| \[`{name}`\]\S+ \| (.+?) \| (.+?) \|", page("errors.md"), re.MULTILINE)
    code, billed = row
    error = ImageError(reason, "")

    assert CODES[reason].name in code
    assert error.billed.name.lower() in billed
    if reason not in (Reason.NETWORK_ERROR, Reason.CONTENT_FILTERED):
        assert code == CODES[reason].name
        assert billed.split()[0] == error.billed.name.lower()


def test_the_errors_page_tells_both_sides_of_a_network_error() -> None:
    """UNAVAILABLE, which clients retry by themselves, only where nothing was sent."""
    assert "UNAVAILABLE if nothing was sent, INTERNAL if it may have been" in page("errors.md")
    assert ImageError(Reason.NETWORK_ERROR, "", sent=False).billed is Billed.NO
    assert CODES[Reason.NETWORK_ERROR] is grpc.StatusCode.INTERNAL
