"""Whatever comes for an answer, an adapter gives a picture or an ImageError, and calls nothing free that is not."""

import gc
import json
from dataclasses import replace
from datetime import datetime

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Failed, Finished, Preview, ProviderEvent, Report
from imagegen_server.domain.result import Usage

from .bench import Accepted, Bench, bench_of, instead
from .kit import Kit, kit_name, kits
from .oddities import ODD_ANSWERS, bent, endless, whole

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)
OF_THE_SERVER = frozenset(Reason(number) for number in range(25, 38))
"""Reasons that no adapter has."""


@KITS
async def test_an_odd_answer_is_no_fault_of_ours(kit: Kit) -> None:
    """To any request of a generation: a page, garbage, nothing, deep or broken JSON, an end in the middle."""
    async with bench_of(kit) as bench:
        for wish in kit.kinds_of_answers():
            bench.changes = {}
            await bench.ended(wish)
            for step in range(len(bench.said)):
                for name, odd in ODD_ANSWERS.items():
                    bench.changes = {step: instead(odd())}
                    last = await bench.ended(wish)
                    where = f"{name}, request {step} of {wish.operation.value}, previews {wish.options.preview_count}"
                    check_end(last, where)
                    if isinstance(last, Broken):
                        check_bill(bench, last.error, odd().status, step, where)


@KITS
async def test_bent_json_is_no_fault_of_ours(kit: Kit) -> None:
    """Each value of each answer missing, of another kind, or out of its range; and what comes of it makes sense."""
    async with bench_of(kit) as bench:
        for wish in kit.kinds_of_answers():
            bench.changes = {}
            task = await bench.task(wish)
            assert await bench.direct(task) is None
            for step, (_, good) in enumerate(list(bench.said)):
                for place, answer in bent(good):
                    bench.changes = {step: instead(answer)}
                    error = await bench.direct(task)
                    for event in bench.events:
                        check_event(event, place)
                    if error is not None:
                        assert error.reason not in OF_THE_SERVER, place


@KITS
async def test_an_endless_answer_ends(kit: Kit) -> None:
    """Where the body grows without end, the adapter stops reading long before the memory does."""
    for wish in kit.wishes():
        async with bench_of(kit) as bench:
            await bench.ended(wish)
            last = len(bench.said) - 1
            kind = bench.said[last][1].headers.get("content-type", "application/json")
            # Also when it is fetched again.
            bench.changes = dict.fromkeys(range(last, last + 9), instead(endless(kind)))
            end = await bench.ended(wish)

        assert isinstance(end, Broken)
        assert end.error.reason is Reason.INVALID_RESPONSE
        assert end.error.billed is not Billed.NO
        del end, bench
        gc.collect()


@KITS
async def test_a_vendor_that_is_not_there_has_not_been_paid(kit: Kit) -> None:
    """No connection: NETWORK_ERROR, not sent."""
    for wish in kit.wishes():
        async with bench_of(kit) as bench:
            gone = bench.entry.http
            assert gone is not None
            gone._settle("http://127.0.0.1:1", "127.0.0.1:1")
            error = (await bench.broken(wish)).error

        assert (error.reason, error.sent, error.billed) == (Reason.NETWORK_ERROR, False, Billed.NO)
        assert bench.seen == []


@KITS
@pytest.mark.parametrize("status", [201, 202, 206])
async def test_every_success_is_one(kit: Kit, status: int) -> None:
    """What a proxy makes of a 200 is a success all the same."""
    async with bench_of(kit) as bench:
        for wish in kit.wishes():
            bench.changes = {0: lambda answer: replace(answer, status=status)}
            assert isinstance(await bench.ended(wish), Finished)


@KITS
async def test_odd_lists_of_models_are_no_fault_of_ours(kit: Kit) -> None:
    """Where the vendor publishes a list: models, or an ImageError."""
    async with bench_of(kit) as bench:
        assert await listed(bench) is None
        # Further pages are like the second.
        for step, (_, good) in enumerate(bench.said[:2]):
            for name, odd in ODD_ANSWERS.items():
                bench.changes = {step: instead(odd())}
                check_listing(await listed(bench), name)
            for place, answer in bent(good):
                bench.changes = {step: instead(answer)}
                check_listing(await listed(bench), place)


async def listed(bench: Bench) -> ImageError | None:
    """Ask for the vendor's list."""
    bench.forget()
    assert bench.entry.http is not None
    try:
        models = await bench.entry.provider.list_models(bench.entry.http, bench.secret)
    except ImageError as error:
        return error
    told = b" ".join(whole(answer) for _, answer in bench.said).decode(errors="replace")
    for model in models:
        # As a text of the vendor's, and not what is left of a number or of nothing.
        assert model.id
        assert not bench.said or json.dumps(model.id.rpartition("/")[2])[1:] in told
        assert isinstance(model.display_name, str)
        assert isinstance(model.retire_time, datetime | None)
    return None


def check_listing(error: ImageError | None, name: str) -> None:
    """See that a list that could not be read says so."""
    if error is not None:
        assert error.reason not in OF_THE_SERVER, name


def check_end(last: Finished | Broken, where: str) -> None:
    """See that a generation ended with pictures, or with a reason of the vendor's or of the way."""
    errors = [failure.error for failure in (last.result if isinstance(last, Finished) else last.failure).failures]
    errors += [last.error] if isinstance(last, Broken) else []
    for error in errors:
        assert error.reason not in OF_THE_SERVER, where
        assert error.message.isprintable(), where
        assert not error.message.rstrip().endswith(":"), f"{where}: nothing is said"
    if isinstance(last, Finished):
        assert all(image.image.facts.media_type.startswith("image/") for image in last.result.images), where


def check_bill(bench: Bench, error: ImageError, status: int, step: int, where: str) -> None:
    """See that nothing is called free that may have been paid for, and nothing paid for that was refused."""
    taken_on = any(isinstance(item, Accepted) for item in bench.seen)
    if taken_on or status < 300:
        assert error.billed is not Billed.NO, where
    if bench.fake.headers():
        assert error.provider_request_id, where
    if step == 0 and (300 <= status < 500 or status == 503):
        assert (error.billed, taken_on) == (Billed.NO, False), where


def check_event(event: ProviderEvent, place: str) -> None:
    """See that what an adapter tells can be told: bytes, texts, whole numbers, and JSON."""
    match event:
        case Complete():
            assert isinstance(event.data, bytes), place
            assert isinstance(event.revised_prompt, str | None), place
            assert event.seed is None or type(event.seed) is int, place
            json.dumps(event.metadata, allow_nan=False).encode()
        case Preview():
            assert isinstance(event.data, bytes), place
            json.dumps(event.metadata, allow_nan=False)
        case Failed():
            assert event.error.reason not in OF_THE_SERVER, place
        case Report():
            json.dumps(event.metadata, allow_nan=False)
            check_usage(event.usage or Usage(), place)


def check_usage(usage: Usage, place: str) -> None:
    """See that numbers are counts, or absent."""
    for told in (usage.images_generated, usage.input_tokens, usage.output_tokens, usage.kinds.input_text):
        assert told is None or (type(told) is int and 0 <= told < 2**63), place
    if usage.cost is not None:
        assert isinstance(usage.cost.amount, float | int), place
        assert 0 <= usage.cost.amount < 1e9, place
