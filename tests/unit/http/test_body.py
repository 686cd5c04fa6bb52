"""Bodies of requests, as they are cut for the socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.http.body import form_body, json_body
from imagegen_server.http.client import FormFile

from tests.support.http_server import collected


async def test_numbers_that_json_lacks_are_refused() -> None:
    """Nothing that is no JSON is ever sent."""
    with pytest.raises(ValueError, match="JSON"):
        json_body({"x": float("nan")})


@given(st.lists(st.integers(0, 700_000), min_size=1, max_size=5))
def test_bodies_are_cut_without_loss(sizes: list[int]) -> None:
    """The pieces together are as long as announced, hold every file in its order, and none exceeds a buffer."""
    datas = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    body = form_body([], [FormFile("f", "f", "image/png", data) for data in datas])

    pieces = collected(body.stream)

    whole = b"".join(pieces)
    assert len(whole) == body.length
    assert [part.partition(b"\r\n\r\n")[2] for part in whole.split(b"\r\n--")[:-1]] == datas
    assert max(map(len, pieces)) <= 262_144
