"""What must hold beside the words of a case: for every outcome, and at the server after it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc
from imagegen.v1 import image_service_pb2
from imagegen_server.domain.errors import Reason
from imagegen_server.rpc.status import CODES

from .surroundings import Place, Surroundings

_PATIENCE: Final = 15.0
_MOMENT: Final = 2.0
_ENDS: Final = ("failure", "refused", "unsupported")
_PREFIX: Final = "ERROR_REASON_"
# Reasons that a helper concludes from a bare status, or that stand for two codes.
_OTHER_CODES: Final = {"NETWORK_ERROR": {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}}


def of_every_outcome(outcome: Mapping[str, Any], expected: Mapping[str, Any], step: Mapping[str, Any]) -> Iterable[str]:
    """Tell what no outcome may have."""
    for end in _ENDS:
        if outcome.get(end) and end not in expected:
            yield f"{end}: {outcome[end]}"
    if not step.get("read", {}).get("offset"):  # a part of an image is not what is told of the whole
        yield from _pictures(outcome)
    if failure := outcome.get("failure"):
        yield from _failure(failure)


def _pictures(outcome: Mapping[str, Any]) -> Iterable[str]:
    """Bytes in hand are those that the server told of."""
    shown = [event[kind] for event in outcome["events"] for kind in ("preview", "complete") if kind in event]
    for picture in [*shown, *outcome["pictures"]]:
        told = picture.get("made", {}).get("image")
        if told is None:
            yield f"a picture without what was told of it: {picture}"
            continue
        if picture["sizeBytes"] and any(picture[fact] != told[fact] for fact in ("sizeBytes", "mediaType")):
            yield f"a picture of {picture['sizeBytes']} bytes, told as {told}"
        if picture["sha256"] and told["sha256"] and picture["sha256"] != told["sha256"]:
            yield f"the bytes have SHA-256 {picture['sha256']}, told was {told['sha256']}"
        if told.get("data"):
            yield "an image in the outcome still has its data"


def _failure(failure: Mapping[str, Any]) -> Iterable[str]:
    """Code and reason belong together, and `billed` is one of three words."""
    if failure["billed"] not in ("no", "unknown", "yes", ""):
        yield f"billed is {failure['billed']!r}"
    name = failure["reason"].removeprefix(_PREFIX)
    if name in Reason.__members__:
        code = CODES[Reason[name]]
        if failure["code"] not in {allowed.value[0] for allowed in _OTHER_CODES.get(name, {code})}:
            yield f"{name} came with code {failure['code']}, and its code is {code}"


async def at_the_server(check: str, outcome: Mapping[str, Any], around: Surroundings, place: Place) -> list[str]:
    """Look at what a case wants to be looked at."""
    match check:
        case "CHECK_STOPPED":
            return await _ends_with(grpc.StatusCode.CANCELLED, outcome["generationId"], around)
        case "CHECK_RUNS_ON":
            return await _ends_with(grpc.StatusCode.OK, outcome["generationId"], around)
        case "CHECK_UPSTREAM_CLOSED":
            try:
                async with asyncio.timeout(_PATIENCE):
                    await around.upstream.closed.wait()
            except TimeoutError:
                return ["the provider's connection stayed open"]
            return []
        case "CHECK_SCRIPT_DONE":
            assert place.script is not None
            return await place.script.unplayed()
        case _:
            return [f"there is no check {check}"]


async def _ends_with(wanted: grpc.StatusCode, generation_id: str, around: Surroundings) -> list[str]:
    """Resume a generation as its caller, and see how it ends.

    The server may hear of us before it hears that the driver has left, and then it goes on for us. So we leave and come
    back: if the driver is still there, it goes on all the same.
    """
    if not generation_id:
        return ["the outcome has no generation id to look after"]
    ended = None
    try:
        async with asyncio.timeout(_PATIENCE):
            while ended is None:
                ended = await _end(generation_id, around)
    except TimeoutError:
        return ["the generation goes on"]
    return [] if ended is wanted else [f"the generation ended with {ended.name}"]


async def _end(generation_id: str, around: Surroundings) -> grpc.StatusCode | None:
    """How a generation ends; None = it did not within a moment."""
    call = around.images.Resume(image_service_pb2.ResumeRequest(generation_id=generation_id))
    try:
        async with asyncio.timeout(_MOMENT):
            async for _event in call:
                pass
            return grpc.StatusCode.OK
    except TimeoutError:
        return None
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        call.cancel()
