"""The servicer's Explain: what it takes, and that every client can receive what it answers."""

import json
from typing import Any, cast

import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.admission import AdmissionSettings
from imagegen_server.generation.prices import Price
from imagegen_server.generation.uploads import Uploads
from imagegen_server.rpc.callers import acting_for
from imagegen_server.rpc.explain import MAX_BODY_BYTES
from imagegen_server.rpc.image_service import DeliverySettings, ImageService

from tests.support.calls import edit, generate
from tests.support.context import FakeContext
from tests.support.generation import Workshop, able, as_entry, told, workshop, workshop_of
from tests.support.pictures import png

PLAIN_LIMIT = 4 * 1024 * 1024
"""What a client takes whose options are left alone."""
MARK = "\n... cut: "


async def explained(shop: Workshop, **request: Any) -> image_service_pb2.ExplainResponse:
    """Call Explain."""
    service = ImageService(shop.engine, Uploads(shop.store), shop.explainer, DeliverySettings())
    return await service.Explain(image_service_pb2.ExplainRequest(**request), cast("Any", FakeContext()))


async def test_a_request_is_needed() -> None:
    """Which one, the refusal says."""
    with pytest.raises(ImageError) as caught:
        await explained(workshop())

    assert (caught.value.reason, told(caught.value)) == (Reason.INVALID_REQUEST, ["generate"])


async def test_fields_are_named_as_in_the_request_itself() -> None:
    """So that the words are those of Generate."""
    with pytest.raises(ImageError) as caught:
        await explained(workshop(), generate=generate(prompt="", options={"count": 0}))

    assert told(caught.value) == ["options.count", "input.prompt"]


@pytest.mark.parametrize(("fields", "previews"), [({}, 0), ({"options": {"preview_count": 3}}, 3)])
async def test_previews_are_those_that_were_asked_for(fields: dict[str, Any], previews: int) -> None:
    """Unset is none, as in the unary forms; a number is what a stream form would ask for, without a warning."""
    (call,) = (await explained(workshop(), generate=generate(**fields))).calls

    assert json.loads(call.body)["options"]["preview_count"] == previews
    assert not call.warnings


async def test_what_is_unknown_is_absent() -> None:
    """Duration and cost of a model without history or price; a count and a body are there."""
    (call,) = (await explained(workshop(), edit=edit(png()))).calls

    assert (call.HasField("expected_duration"), call.HasField("expected_cost")) == (False, False)
    assert (call.model, call.requests) == ("test/any", 1)
    assert json.loads(call.body)["operation"] == "edit"


async def test_what_is_known_is_told() -> None:
    """In the messages of the API."""
    shop = workshop(prices={"test/any": Price(image=2)})
    for _ in range(5):
        await shop.run()

    request = generate(options={"count": 2, "background": "opaque"})
    (call,) = (await explained(shop, generate=request)).calls

    assert 0 < call.expected_duration.ToNanoseconds() < 10**10
    assert call.expected_cost == image_pb2.Cost(amount=4, currency="USD", estimated=True)
    assert [(note.field, note.reason) for note in call.warnings] == [
        ("options.background", image_pb2.WARNING_REASON_IGNORED)
    ]


@pytest.mark.parametrize(("fallbacks", "kept"), [(0, MAX_BODY_BYTES), (8, PLAIN_LIMIT * 3 // 4 // 9)])
async def test_a_plain_client_can_receive_it(fallbacks: int, kept: int) -> None:
    """However long the params and however many the models: bodies are cut, and say so."""
    entries = [as_entry(able(), name=f"p{number}") for number in range(fallbacks + 1)]
    params = {"scripted": {"words": "ä " * 600_000}}
    request = generate(
        "p0/any", params=params, retry={"fallback_models": [f"p{number}/any" for number in range(1, fallbacks + 1)]}
    )

    response = await explained(workshop_of(*entries), generate=request)

    assert response.ByteSize() < PLAIN_LIMIT
    assert [call.model for call in response.calls] == [f"p{number}/any" for number in range(fallbacks + 1)]
    for call in response.calls:
        body, _, rest = call.body.partition(MARK)
        assert kept - 1 <= len(body.encode()) <= kept
        assert int(rest.removesuffix(" bytes in all")) > 1_800_000


async def test_a_body_that_fits_is_whole() -> None:
    """Up to the last byte."""
    (call,) = (await explained(workshop(), generate=generate(params={"test": {"words": "ä " * 300_000}}))).calls

    assert json.loads(call.body)["params"] == {"words": "ä " * 300_000}


async def test_it_is_a_call_of_its_caller_and_no_image() -> None:
    """Images a minute are not touched, however often it is asked; a caller with a call too many is refused."""
    shop, busy = workshop(), Caller("shop", max_calls=1, images_per_minute=1)
    with acting_for(busy):
        for _ in range(3):
            await explained(shop, generate=generate(options={"count": 4}))
        async with shop.engine.readers.counted(busy):
            with pytest.raises(ImageError) as caught:
                await explained(shop, generate=generate())

    assert caught.value.reason is Reason.CALLER_LIMIT_EXCEEDED


async def test_a_server_that_stops_explains_nothing() -> None:
    """As it takes no other work."""
    shop = workshop()
    await shop.engine.drain(0)
    with pytest.raises(ImageError) as caught:
        await explained(shop, generate=generate())

    assert caught.value.reason is Reason.SHUTTING_DOWN


async def test_a_full_server_explains_nothing() -> None:
    """A call is a call; it is let go of when it ends, whatever the end."""
    shop = workshop(admission=AdmissionSettings(max_calls=1))
    with pytest.raises(ImageError):
        await explained(shop, generate=generate("nobody/any"))
    async with shop.engine.readers.counted(ANONYMOUS):
        with pytest.raises(ImageError) as caught:
            await explained(shop, generate=generate())

    assert caught.value.reason is Reason.SERVER_BUSY
    assert shop.in_hand == (0, 0, 0)
