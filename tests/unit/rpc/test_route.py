"""Through which servers a call may come."""

from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from imagegen.v1 import image_pb2
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.route import VIA, current_route
from imagegen_server.rpc.boundary import Boundary
from imagegen_server.rpc.route import MOST_SERVERS, route_of

from tests.support.context import FakeContext

HERE, THERE = "a" * 16, "b" * 16


def test_a_call_from_a_client_begins_here() -> None:
    """Other metadata say nothing."""
    assert route_of((), HERE) == (HERE,)
    assert route_of([("other", THERE)], HERE) == (HERE,)


def test_a_call_from_another_server_goes_on() -> None:
    """With this one as the last."""
    assert route_of([(VIA, f"{THERE},{'c' * 16}")], HERE) == (THERE, "c" * 16, HERE)


@pytest.mark.parametrize(
    ("via", "says"),
    [
        (f"{THERE},{HERE}", "ring"),
        (",".join(f"{number:016x}" for number in range(MOST_SERVERS)), "more than 8"),
        ("anything", "no list"),
        (f"{THERE},", "no list"),
        ("f" * 17, "no list"),
    ],
)
def test_what_must_not_go_on_is_refused(via: str, says: str) -> None:
    """A ring, too many, and what no server sends; at no cost, and with the field."""
    with pytest.raises(ImageError, match=says) as caught:
        route_of([(VIA, via)], HERE)
    assert (caught.value.reason, caught.value.billed) == (Reason.INVALID_REQUEST, Billed.NO)
    assert [violation.field for violation in caught.value.violations] == ["model"]


async def test_a_call_knows_its_route() -> None:
    """While it is served, and two servers are two."""

    async def handler(_request: Message, _context: Any) -> Message:
        routes.append(current_route())
        return image_pb2.ImageResult()

    async def found(_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(cast("Any", handler), image_pb2.ImageInput.FromString)

    routes: list[tuple[str, ...]] = []
    details = cast(
        "grpc.HandlerCallDetails",
        SimpleNamespace(method="/imagegen.v1.ImageService/Generate", invocation_metadata=()),
    )
    for _ in range(2):
        made: Any = await Boundary(60.0).intercept_service(found, details)
        await made.unary_unary(b"", FakeContext(given_metadata=[(VIA, THERE)]))

    assert [route[0] for route in routes] == [THERE, THERE]
    assert len({route[1] for route in routes}) == 2
    assert current_route() == ()
