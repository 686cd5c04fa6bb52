"""What a wish would do: which calls, in which order, with what left out, and nothing of it done."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, PreviewShown, ProviderEvent
from imagegen_server.domain.image import UNREADABLE
from imagegen_server.domain.task import ImageReference, Operation, PixelSize, RetryWish, Task
from imagegen_server.generation import explain
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.generation.prices import Price
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.redaction import digest_text
from imagegen_server.providers.base import Call

from tests.support.explaining import asked, asking, remote
from tests.support.generation import (
    CALLER,
    able,
    as_entry,
    drawing,
    editing,
    told,
    until,
    workshop,
    workshop_of,
    wrong,
)
from tests.support.pictures import png
from tests.support.provider import Script, ScriptedProvider, never


async def test_an_adapter_tells_its_own_request() -> None:
    """Where it goes and what it says, with stars for the key wherever it stands, and nothing is kept or counted."""
    shop = asked(remote())

    (call,) = await shop.explained(drawing(params={"test": {"style": "oil", "depth": 2}}))

    assert (call.model, call.method, call.url) == ("test/any", "POST", "http://127.0.0.1:9/v1/pictures?key=***")
    assert call.body == '{"prompt":"a boat","n":1,"account":"***","style":"oil","depth":2}'
    assert (call.requests, call.warnings, call.usual_seconds, call.cost) == (1, (), None, None)
    assert shop.in_hand == (0, 0, 0)
    assert shop.generations.running == []


async def test_a_provider_without_a_key_is_given_none() -> None:
    """It asks as it would."""
    (call,) = await workshop_of(remote()).explained()

    assert json.loads(call.body)["account"] == "none"


async def test_what_is_not_reached_by_http_is_not_run() -> None:
    """It might draw, or ask somebody by itself. Its task is shown: set options, params, images as hashes."""
    shop = workshop()
    wish = replace(
        editing(png(), png(shade=1), mask=png(), prompt="größer"),
        params={"test": {"style": "oil"}},
        options=replace(drawing().options, size=PixelSize(8, 8), count=2),
    )

    (call,) = await shop.explained(wish)

    assert (call.method, call.url, call.requests) == ("", "", 1)
    assert json.loads(call.body) == {
        "operation": "edit",
        "model": "any",
        "prompt": "größer",
        "options": {"count": 2, "size": "8x8", "preview_count": 0},
        "params": {"style": "oil"},
        "images": [digest_text(png()), digest_text(png(shade=1))],
        "mask": digest_text(png()),
    }
    assert shop.provider.tasks == []


async def test_candidates_come_in_order_with_what_each_leaves_out() -> None:
    """Those of the alias, then fallbacks, each once; one that cannot do it is named in a warning of the others."""
    plain, rich, blind = able(options=frozenset()), able(), able(generate=False)
    shop = workshop_of(
        as_entry(plain, name="plain"),
        as_entry(rich, name="rich"),
        as_entry(blind, name="blind"),
        aliases={"draft": ["rich/a", "blind/b"]},
    )
    retry = RetryWish(fallback_models=("plain/c", "draft"))

    calls = await shop.explained(replace(drawing("draft", seed=7), retry=retry))

    assert [call.model for call in calls] == ["rich/a", "plain/c"]
    assert [[note.field for note in call.warnings] for call in calls] == [["model"], ["options.seed", "model"]]
    assert "blind/b is left out" in calls[0].warnings[0].message


async def test_the_requests_that_it_fans_out_into_are_counted() -> None:
    """Eight images of a model that makes four at once; the first request is shown."""
    (call,) = await asked(remote()).explained(drawing(count=7))

    assert call.requests == 2
    assert json.loads(call.body)["n"] == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "nothing"}, Reason.MODEL_NOT_FOUND),
        ({"model": "nobody/any"}, Reason.PROVIDER_NOT_CONFIGURED),
        ({"params": {"nobody": {}}}, Reason.INVALID_REQUEST),
        ({"strict": True, "options": replace(drawing().options, background="opaque")}, Reason.OPTION_NOT_SUPPORTED),
    ],
)
async def test_it_is_refused_as_generate_refuses_it(changes: Mapping[str, Any], reason: Reason) -> None:
    """With the same words and fields."""
    shop, wish = workshop(), replace(drawing(), **changes)
    with pytest.raises(ImageError) as explained:
        await shop.explained(wish)
    with pytest.raises(ImageError) as opened:
        await shop.open(wish)

    assert explained.value.reason is opened.value.reason is reason
    assert (explained.value.message, told(explained.value)) == (opened.value.message, told(opened.value))
    assert shop.in_hand == (0, 0, 0)


async def test_what_reading_the_request_found_is_told() -> None:
    """Beside what planning finds."""
    shop = workshop()
    async with shop.engine.readers.counted(CALLER) as ticket:
        with pytest.raises(ImageError) as caught:
            await shop.explainer.explain(drawing(count=99), CALLER, ticket, [wrong("request_id")])

    assert told(caught.value) == ["request_id", "options.count"]


async def _breaking(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    raise ZeroDivisionError(f"{task.prompt} {call.number}")
    yield


async def _refusing(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    raise ImageError(Reason.AUTHENTICATION_FAILED, f"*** is no key for {task.model} {call.number}")
    yield


async def _silent(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    call.log.info("drawn without asking", model=task.model)
    call.log.debug("drawn without asking", model=task.model)
    yield Complete(0, png())


async def _hanging(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    await asyncio.Event().wait()
    yield Complete(task.count, bytes(call.number))


@pytest.mark.parametrize(
    ("script", "faults"),
    [(_breaking, 1), (_refusing, 0), (_silent, 0), (_hanging, 0)],
    ids=["breaking", "refusing", "silent", "hanging"],
)
async def test_an_adapter_that_comes_to_no_request_shows_its_task(
    script: Script, faults: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Broken, unable without its key, or hanging: the others are explained all the same; no words are logged."""
    monkeypatch.setattr(explain, "RECORD_SECONDS", 0.05)
    shop = asked(remote(script), remote(name="other"))

    odd, usual = await shop.explained(replace(drawing(), retry=RetryWish(fallback_models=("other/any",))))

    assert (odd.method, odd.url, json.loads(odd.body)["prompt"]) == ("", "", "a boat")
    assert usual.method == "POST"
    written = "".join(capfd.readouterr())
    assert written.count("adapter fault") == faults
    assert "boat" not in written
    assert "drawn" not in written


async def test_an_adapter_that_asks_in_tasks_of_its_own_is_recorded() -> None:
    """What ends its tasks ends it, as a group."""

    async def grouped(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(anext(asking(task, call)))
        yield Complete(0, png())

    (call,) = await asked(remote(grouped)).explained()

    assert call.method == "POST"


async def test_it_waits_for_nobody_and_counts_for_nothing() -> None:
    """It answers while the provider's queue is full, and however often, it leaves no duration behind."""
    full = {"test": UpstreamSettings(queue=QueueSettings(concurrency=1, queue=0))}
    shop = workshop_of(as_entry(ScriptedProvider(never)), upstreams=full)
    async with shop.opened(drawing(preview_count=1)) as generation:
        shop.engine.launch(generation)
        await until(generation, PreviewShown)
        with pytest.raises(ImageError) as caught:
            await shop.open()
        calls = [(await shop.explained())[0] for _ in range(10)]

    assert caught.value.reason is Reason.SERVER_BUSY
    assert [call.usual_seconds for call in calls] == [None] * 10


async def test_the_duration_is_the_median_of_what_was_made_here() -> None:
    """Unknown below five requests; edits are not drawings; failures are not counted."""
    shop = workshop()
    for _ in range(4):
        await shop.run()
    shop.provider.script, before = _refusing, shop.provider.script
    await shop.run()
    shop.provider.script = before

    assert (await shop.explained())[0].usual_seconds is None
    await shop.run()
    usual = (await shop.explained())[0].usual_seconds
    assert usual is not None
    assert 0 < usual < 10
    assert (await shop.explained(editing(png())))[0].usual_seconds is None


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        (Price(image=0.25, currency="EUR"), 0.75),
        (Price(image=0.0, currency="EUR"), 0.0),
        (Price(image=0.25, output_image=30.0), None),
        (Price(output_image=30.0), None),
        (Price(), None),
    ],
)
async def test_the_cost_is_told_where_the_prices_know_it(price: Price, amount: float | None) -> None:
    """A price by image and none by token; anything else depends on the answer."""
    (call,) = await workshop(prices={"test/any": price}).explained(drawing(count=3))

    assert (call.cost is None) == (amount is None)
    if call.cost is not None:
        assert (call.cost.amount, call.cost.currency, call.cost.estimated) == (amount, "EUR", True)


async def test_images_by_id_are_looked_up() -> None:
    """As for the edit itself: the hash is that of the stored image; another caller's is not found."""
    shop = workshop()
    (image,) = (await shop.result()).images
    reference = ImageReference("input.images[0]", 0, image_id=image.image.image_id)
    wish = replace(drawing(), operation=Operation.EDIT, images=(UNREADABLE,), references=(reference,))

    (call,) = await shop.explained(wish)
    assert json.loads(call.body)["images"] == [f"<sha256 {image.image.sha256}, {image.image.size_bytes} bytes>"]

    gone = replace(wish, references=(replace(reference, image_id=image.image.image_id + "x"),))
    with pytest.raises(ImageError) as caught:
        await shop.explained(gone)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert told(caught.value) == ["input.images[0].image_id"]
