"""Scripted trouble: every failure of the contract, at the moment where it was asked for."""

import asyncio
import hashlib
import io
import re
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Progress
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.result import Usage
from imagegen_server.domain.task import PixelSize
from imagegen_server.images.facts import is_truncated, read_facts
from PIL import Image

from tests.unit.providers.sandbox.kit import SMALL, Seen, run, running, sandbox, task, watch

_WITH_A_WAIT = {Reason.RATE_LIMITED, Reason.PROVIDER_UNAVAILABLE, Reason.SERVER_BUSY, Reason.CALLER_LIMIT_EXCEEDED}
_WITH_VIOLATIONS = {Reason.INVALID_REQUEST, Reason.OPTION_NOT_SUPPORTED, Reason.INPUT_NOT_FETCHED}


async def _failing(model: str = "scene", seen: Seen | None = None, **params: Any) -> ImageError:
    options: dict[str, Any] = {name: params.pop(name) for name in ("count", "preview_count") if name in params}
    with pytest.raises(ImageError) as caught:
        await run(task(model, params=params, **options), seen)
    return caught.value


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_has_a_model(reason: Reason) -> None:
    """It raises the reason with the facts that the contract promises; what is not billed was never accepted."""
    seen = Seen()
    error = await _failing(f"fail-{reason.name.lower().replace('_', '-')}", seen)

    assert reason is error.reason
    assert (reason in _WITH_A_WAIT) == (error.retry_after is not None)
    assert (reason in _WITH_VIOLATIONS) == bool(error.violations)
    assert ("input" if reason is Reason.CONTENT_FILTERED else "") == error.stage
    assert (error.billed is Billed.NO) == (seen.accepted == [])
    assert error.billed is not Billed.YES
    assert not seen.of(Complete)


@pytest.mark.parametrize("name", ["RATE_LIMITED", "ERROR_REASON_RATE_LIMITED"])
async def test_a_param_fails_any_model(name: str) -> None:
    """By the reason's short or full name, with the wait that was asked for."""
    error = await _failing(fail=name, retry_after=2.5)

    assert (error.reason, error.retry_after) == (Reason.RATE_LIMITED, 2.5)
    assert (error.http_status, error.provider_code) == (429, "rate_limit_exceeded")


async def test_a_wait_is_only_told_where_the_contract_has_one() -> None:
    """Quota does not come back by waiting."""
    assert (await _failing(fail="QUOTA_EXCEEDED", retry_after=2.5)).retry_after is None


async def test_a_network_error_may_have_been_sent() -> None:
    """Or not, if the params say so; that decides whether it may be billed."""
    sent, unsent = [await _failing(fail="NETWORK_ERROR", sent=value) for value in (True, False)]

    assert (sent.billed, unsent.billed) == (Billed.UNKNOWN, Billed.NO)


async def test_moderation_of_the_output_may_be_billed() -> None:
    """Stage tells which it was."""
    seen = Seen()
    error = await _failing(fail="CONTENT_FILTERED", stage="output", seen=seen)

    assert (error.stage, error.billed, error.http_status) == ("output", Billed.UNKNOWN, 200)
    assert seen.accepted


async def test_moderation_after_a_preview() -> None:
    """The model of that name shows one preview, then refuses."""
    seen = Seen()
    error = await _failing("moderated-after-preview", seen, preview_count=3)

    assert (error.reason, error.stage) == (Reason.CONTENT_FILTERED, "output")
    assert seen.kinds == ["preview 0"]


async def test_a_failure_after_the_start_may_be_billed() -> None:
    """Even one that costs nothing when it comes at once."""
    seen = Seen()
    error = await _failing(fail="RATE_LIMITED", fail_after_previews=2, preview_count=4, seen=seen)

    assert Billed.UNKNOWN is error.billed
    assert seen.kinds == ["preview 0", "preview 0"]
    assert seen.accepted


async def test_a_failure_after_some_images() -> None:
    """The first images are finished, then everything breaks off."""
    seen = Seen()
    await _failing(fail="PROVIDER_ERROR", fail_after_images=2, count=4, seen=seen)

    assert seen.kinds == ["complete 0", "complete 1"]


async def test_a_failure_after_the_last_image() -> None:
    """An answer may break off when all of it is there."""
    seen = Seen()
    await _failing(fail="PROVIDER_ERROR", fail_after_images=9, count=2, seen=seen)

    assert seen.kinds == ["complete 0", "complete 1"]


async def test_some_images_of_a_batch_fail() -> None:
    """The others come, with the seeds they would have had."""
    seen = await run(task("partial", count=4, seed=10))

    assert seen.kinds == ["complete 0", "failed 1", "complete 2", "failed 3"]
    assert [event.seed for event in seen.of(Complete)] == [10, 12]
    assert {Reason.PROVIDER_ERROR} == {event.error.reason for event in seen.of(Failed)}
    assert Usage(images_generated=2) == seen.report.usage


async def test_images_fail_by_index() -> None:
    """Which, why, and after how many previews is for the params to say."""
    params = {"fail": "CONTENT_FILTERED", "stage": "output", "fail_index": [0], "fail_after_previews": 1}
    seen = await run(task(count=2, preview_count=2, params=params))

    assert seen.kinds == ["preview 0", "failed 0", "preview 1", "preview 1", "complete 1"]
    assert [event.error.reason.name for event in seen.of(Failed)] == ["CONTENT_FILTERED"]


async def test_when_every_image_fails_the_call_does() -> None:
    """A provider raises when no image can come."""
    seen = Seen()
    error = await _failing(fail_index=[0, 1], count=2, seen=seen)

    assert Reason.PROVIDER_ERROR is error.reason
    assert seen.kinds == ["failed 0"]


async def test_a_crash_is_no_image_error() -> None:
    """It is what a fault in an adapter looks like."""
    with pytest.raises(RuntimeError, match="scripted"):
        await run(task("crash"))


async def test_truncated_images_are_cut_short() -> None:
    """The header is sound, the end is missing."""
    data = (await run(task("truncated"))).image
    facts = read_facts(data)
    assert facts is not None

    assert (SMALL.width, SMALL.height) == (facts.width, facts.height)
    assert is_truncated(data, facts.media_type)


@pytest.mark.parametrize(("asked", "given"), [("png", "image/jpeg"), ("jpeg", "image/png"), ("webp", "image/jpeg")])
async def test_a_wrong_type_contradicts_its_metadata(asked: str, given: str) -> None:
    """The bytes are another format than asked for and told."""
    seen = await run(task("wrong-type", format=asked))
    (complete,) = seen.of(Complete)
    facts = read_facts(complete.data)
    assert facts is not None

    assert (given, f"image/{asked}") == (facts.media_type, complete.metadata["media_type"])


async def test_garbage_is_no_image() -> None:
    """Bytes come, and nothing recognises them."""
    assert read_facts((await run(task("garbage"))).image) is None


async def test_empty_ends_well_without_an_image() -> None:
    """The answer says that it made nothing."""
    seen = await run(task("empty", count=2))

    assert seen.kinds == []
    assert Usage(images_generated=0) == seen.report.usage


@pytest.mark.parametrize("size_bytes", [1024, 1025, 50_000, 3 * 1024 * 1024 - 1, 5_000_000])
async def test_an_image_of_exact_length(size_bytes: int) -> None:
    """A valid PNG whose facts are right, with a chunk that viewers skip."""
    data = (await run(task("bytes", size=None, params={"size_bytes": size_bytes}))).image
    facts = read_facts(data)
    assert facts is not None
    with Image.open(io.BytesIO(data)) as image:
        image.load()

    assert size_bytes == len(data)
    assert (image.width, image.height) == (facts.width, facts.height)
    assert not is_truncated(data, facts.media_type)


async def test_the_largest_image() -> None:
    """64 MiB, in good time, twice the same."""
    wanted = task("bytes", size=None, params={"size_bytes": MAX_IMAGE_BYTES})
    digests = {hashlib.sha256((await run(wanted)).image).hexdigest() for _ in range(2)}

    assert len(digests) == 1
    assert len((await run(wanted)).image) == MAX_IMAGE_BYTES


async def test_a_picture_too_large_for_its_length_is_refused() -> None:
    """Before it is drawn, whatever it would have compressed to."""
    with pytest.raises(ImageError) as caught:
        sandbox().prepare(task("bytes", size=PixelSize(1024, 1024), params={"size_bytes": 100_000}))

    assert [violation.field for violation in caught.value.violations] == ["options.size"]


async def test_a_rewritten_prompt() -> None:
    """Is told with every image."""
    seen = await run(task(params={"revised_prompt": "a better harbour"}))

    assert [event.revised_prompt for event in seen.of(Complete)] == ["a better harbour"]


async def test_a_delay_comes_before_anything() -> None:
    """Nothing is accepted before it is over."""
    clock = asyncio.get_running_loop().time
    start = clock()
    error = await _failing(fail="RATE_LIMITED", delay=0.15)

    assert clock() - start >= 0.15
    assert Billed.NO is error.billed


async def test_a_duration_paces_the_work() -> None:
    """The images come at even distances, with progress in between that never falls."""
    clock = asyncio.get_running_loop().time
    start = clock()
    seen = await run(task(count=2, preview_count=1, params={"duration": 0.4}))

    assert clock() - start >= 0.4
    assert seen.kinds == ["preview 0", "complete 0", "preview 1", "complete 1"]
    for index in (0, 1):
        shares = [event.fraction for event in seen.of(Progress) if event.index == index and event.fraction is not None]
        assert sorted(shares) == shares
        assert any(0 < share < 1 for share in shares)  # how many there are is a matter of the machine's speed


@pytest.mark.parametrize("params", [{"stall": True}, {"stall": True, "fail_after_previews": 1}])
async def test_a_stall_lasts_until_it_is_cancelled(params: dict[str, Any]) -> None:
    """It was accepted, may have shown a preview, and says nothing more."""
    seen = Seen()
    async with running() as provider:
        work = asyncio.create_task(watch(provider, task(preview_count=2, params=params), seen))
        expected = 1 if "fail_after_previews" in params else 0
        await seen.until(Progress, 1 + expected)
        await asyncio.sleep(0.05)
        assert not work.done()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    assert seen.accepted
    assert expected == len(seen.kinds)


async def test_accepted_is_told_once_before_any_event() -> None:
    """With a request id that is the same for the same request."""
    one, two = await run(task(seed=1)), await run(task(seed=1))

    assert one.accepted == two.accepted
    assert len(one.accepted) == 1
    assert re.fullmatch("sandbox-[0-9a-f]{16}", one.accepted[0])
    assert one.events_before_accepted == 0
    assert {"request_id": one.accepted[0]} == one.report.metadata


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"colour": "red"}, "unknown"),
        ({"fail": "NOPE"}, "ErrorReason"),
        ({"fail": 3}, "ErrorReason"),
        ({"fail": None}, "ErrorReason"),
        ({"fail_index": 1}, "list"),
        ({"fail_index": [1.5]}, "list"),
        ({"fail_index": [True]}, "list"),
        ({"fail_index": [-1]}, "list"),
        ({"fail_attempts": -1}, "from 0 to 16"),
        ({"fail_attempts": 17}, "from 0 to 16"),
        ({"fail_after_previews": -1}, "from 0 to 16"),
        ({"fail_after_images": "1"}, "from 0 to 16"),
        ({"retry_after": "soon"}, "seconds"),
        ({"retry_after": float("nan")}, "seconds"),
        ({"stage": "middle"}, "input, output"),
        ({"sent": 1}, "true or false"),
        ({"delay": 3601}, "from 0 to 3600"),
        ({"delay": True}, "seconds"),
        ({"duration": -0.1}, "from 0 to 3600"),
        ({"stall": "yes"}, "true or false"),
        ({"crash": 0}, "true or false"),
        ({"spoil": "rotten"}, "truncated, garbage, wrong-type, empty"),
        ({"spoil": []}, "one of"),
        ({"size_bytes": 1023}, "from 1024 to 67108864"),
        ({"size_bytes": MAX_IMAGE_BYTES + 1}, "from 1024 to 67108864"),
        ({"size_bytes": 5e6}, "whole number"),
        ({"revised_prompt": 1}, "string"),
    ],
)
def test_params_are_checked_before_anything_is_done(params: dict[str, Any], says: str) -> None:
    """Each wrong one is named with its path and what it should be."""
    with pytest.raises(ImageError) as caught:
        sandbox().prepare(task(params=params))
    (violation,) = caught.value.violations

    assert Reason.INVALID_REQUEST is caught.value.reason
    assert f"params.box.{next(iter(params))}" == violation.field
    assert says in violation.description


def test_all_wrong_params_are_told_at_once() -> None:
    """So that a caller need not find them one by one."""
    with pytest.raises(ImageError) as caught:
        sandbox().prepare(task(params={"colour": "red", "delay": 2, "stall": 3}))

    assert {"params.box.colour", "params.box.stall"} == {violation.field for violation in caught.value.violations}


@pytest.mark.parametrize(("attempts", "fails"), [(0, []), (1, [1]), (2, [1, 2])])
@pytest.mark.parametrize("params", [{"fail": "RATE_LIMITED"}, {"fail_index": [0]}])
async def test_a_failure_in_the_first_attempts(params: dict[str, Any], attempts: int, fails: list[int]) -> None:
    """Those that were asked for, and not one more; then the picture comes."""
    failed = []
    for number in (1, 2, 3):
        seen = Seen()
        try:
            await run(task(params=params | {"fail_attempts": attempts}), seen, number)
        except ImageError:
            failed.append(number)
        assert len(seen.of(Complete)) == (number not in failed)

    assert failed == fails


async def test_a_stall_in_the_first_attempt() -> None:
    """The second is not held up."""
    seen = await run(task("stall", params={"fail_attempts": 1}), number=2)

    assert len(seen.images) == 1


async def test_a_flaky_model_fails_once() -> None:
    """At no cost, so that it is asked again by itself."""
    error = await _failing("flaky")
    again = await run(task("flaky"), number=2)

    assert (error.reason, error.billed) == (Reason.PROVIDER_UNAVAILABLE, Billed.NO)
    assert len(again.images) == 1


async def test_params_come_on_top_of_the_models_own() -> None:
    """A scripted model can be told otherwise."""
    seen = await run(task("partial", count=2, params={"fail_index": [0], "fail": "TIMEOUT"}))

    assert seen.kinds == ["failed 0", "complete 1"]
    assert [event.error.reason for event in seen.of(Failed)] == [Reason.TIMEOUT]
