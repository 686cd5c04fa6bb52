"""Models that are tried in order: what is planned, and when the next one is taken."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import (
    Complete,
    Failed,
    Finished,
    ImageFailed,
    Preview,
    Progress,
    ProviderEvent,
    Started,
)
from imagegen_server.domain.task import RetryWish, Task, Wish
from imagegen_server.generation.opening import Terms
from imagegen_server.providers.base import Call

from tests.support.generation import (
    Workshop,
    able,
    as_entry,
    drawing,
    editing,
    planner,
    told,
    workshop_of,
    wrong,
    yielding,
)
from tests.support.pictures import png
from tests.support.provider import ABLE, Script, ScriptedProvider, draw_all

DOWN = ImageError(Reason.PROVIDER_UNAVAILABLE, "down")
FILTERED = ImageError(Reason.CONTENT_FILTERED, "no", stage="input")


def refusing(error: Exception) -> Script:
    """Script a provider that takes nothing on."""
    return yielding(error, accepted=False)


class Pair:
    """Two providers under one alias, "draft"."""

    def __init__(self, first: Script, second: Script = draw_all) -> None:
        """Script them."""
        self.first, self.second = ScriptedProvider(first), ScriptedProvider(second)
        self.shop: Workshop = workshop_of(
            as_entry(self.first, name="a"), as_entry(self.second, name="b"), aliases={"draft": ["a/one", "b/two"]}
        )

    @property
    def asked(self) -> tuple[int, int]:
        """Requests to each."""
        return len(self.first.tasks), len(self.second.tasks)


def draft(retry: RetryWish = RetryWish(), **options: Any) -> Wish:  # noqa: B008 - frozen
    """Wish for a picture by the alias."""
    return replace(drawing("draft", **options), retry=retry)


async def test_the_next_model_is_taken_when_nothing_was_accepted() -> None:
    """The result names the model that made it, and tells of every attempt, oldest first."""
    pair = Pair(refusing(DOWN))

    events = await pair.shop.run(draft(count=2))

    started, last = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(last, Finished)
    assert (started.model, last.result.model) == ("a/one", "b/two")
    assert [(attempt.model, attempt.reason) for attempt in last.result.attempts] == [
        ("a/one", Reason.PROVIDER_UNAVAILABLE),
        ("b/two", None),
    ]
    assert not [event for event in events if isinstance(event, ImageFailed)]
    assert [event.model for event in events if isinstance(event, Progress)] == ["b/two"]
    assert pair.shop.in_hand == (0, 0, 0)


async def test_when_all_fail_the_last_one_speaks() -> None:
    """The error is that of the last model, with the attempts of all."""
    pair = Pair(refusing(DOWN), refusing(ImageError(Reason.QUOTA_EXCEEDED, "empty")))

    broken = await pair.shop.broken(draft())

    assert (broken.error.reason, broken.error.metadata["model"]) == (Reason.QUOTA_EXCEEDED, "b/two")
    assert [attempt.reason for attempt in broken.failure.attempts] == [
        Reason.PROVIDER_UNAVAILABLE,
        Reason.QUOTA_EXCEEDED,
    ]


@pytest.mark.parametrize(
    "script",
    [
        yielding(DOWN),
        refusing(ImageError(Reason.PROVIDER_ERROR, "broken")),
        refusing(ImageError(Reason.TIMEOUT, "late")),
        refusing(FILTERED),
        refusing(ZeroDivisionError()),
        yielding(Preview(0, png()), DOWN),
        yielding(Failed(0, DOWN)),
        yielding(Complete(1, png()), DOWN),
    ],
    ids=["accepted", "ambiguous", "timeout", "filtered", "fault", "preview", "one failed", "one finished"],
)
async def test_what_was_accepted_shown_or_judged_stays(script: Script) -> None:
    """By default nothing that may cost, was seen, or was refused for what it is goes to another model."""
    pair = Pair(script)

    await pair.shop.run(draft(count=2, preview_count=1))

    assert pair.asked == (1, 0)


@pytest.mark.parametrize("stage", ["input", "output", ""])
async def test_moderation_goes_elsewhere_only_if_asked(stage: str) -> None:
    """The caller's policy says so; operators have no such setting."""
    pair = Pair(refusing(ImageError(Reason.CONTENT_FILTERED, "no", stage=stage)))

    result = await pair.shop.result(draft(RetryWish(fallback_on_content_filtered=True)))

    assert (result.model, pair.asked) == ("b/two", (1, 1))


async def test_the_ambiguous_goes_elsewhere_only_if_asked() -> None:
    """retry_ambiguous covers the next model too, and the cost is then unknown."""
    pair = Pair(refusing(ImageError(Reason.PROVIDER_ERROR, "broken")))

    result = await pair.shop.result(draft(RetryWish(retry_ambiguous=True)))

    assert (result.model, result.usage) == ("b/two", None)
    assert [attempt.billed for attempt in result.attempts] == [Billed.UNKNOWN, Billed.YES]


async def test_one_of_several_requests_that_was_accepted_binds_all() -> None:
    """When a generation fans out, no other model is asked as soon as one request was taken on."""

    async def second_is_down(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if task.options.seed == 1:
            raise DOWN
        yield Complete(0, png())

    first, second = ScriptedProvider(second_is_down, replace(ABLE, max_images=1)), ScriptedProvider()
    shop = workshop_of(as_entry(first, name="a"), as_entry(second, name="b"), aliases={"draft": ["a/one", "b/two"]})

    result = await shop.result(draft(count=2, seed=0))

    assert ([image.index for image in result.images], [item.index for item in result.failures]) == ([0], [1])
    assert second.tasks == []


async def test_a_stop_ends_the_search() -> None:
    """Cancelled, no further model is asked."""
    pair = Pair(refusing(DOWN))
    reading = await pair.shop.open(draft())
    reading.generation.stop(ImageError(Reason.CANCELLED, "stopped"))
    pair.shop.engine.launch(reading.generation)

    await reading.generation.log.end()

    assert pair.asked == (0, 0)
    await reading.close()


async def test_the_callers_own_models_come_after_those_of_the_alias() -> None:
    """Each once, in order; an alias among them stands for all of its models."""
    made = planner(
        as_entry(name="a"), as_entry(name="b"), aliases={"draft": ["a/one", "b/two"], "fine": ["b/two", "b/three"]}
    )

    plan = await made.plan(draft(RetryWish(fallback_models=("a/four", "fine", "a/one"))))

    assert [candidate.model for candidate in plan.candidates] == ["a/one", "b/two", "a/four", "b/three"]


async def test_a_model_that_cannot_is_left_out_and_said() -> None:
    """As long as another can; its place in the request tells which it was."""
    made = planner(
        as_entry(able(edit=False), name="a"), as_entry(name="b"), aliases={"draft": ["a/one", "b/two", "a/three"]}
    )

    plan = await made.plan(editing(png(), model="draft"))

    (candidate,) = plan.candidates
    assert candidate.model == "b/two"
    assert [warning.field for warning in candidate.warnings] == ["model", "model"]
    assert ["a/one" in warning.message for warning in candidate.warnings] == [True, False]


async def test_when_none_can_the_first_one_speaks() -> None:
    """The error is what the first model would have said alone."""
    made = planner(
        as_entry(able(edit=False), name="a"),
        as_entry(able(edit=False), name="b"),
        aliases={"draft": ["a/one", "b/two"]},
    )

    with pytest.raises(ImageError) as caught:
        await made.plan(editing(png(), model="draft"))

    assert (caught.value.reason, caught.value.metadata["model"]) == (Reason.OPERATION_NOT_SUPPORTED, "a/one")


async def test_strict_takes_the_models_that_do_exactly_as_asked() -> None:
    """One that would drop an option is left out; the note about that is no reason to refuse."""
    made = planner(
        as_entry(able(options=frozenset()), name="a"), as_entry(name="b"), aliases={"draft": ["a/one", "b/two"]}
    )

    plan = await made.plan(replace(draft(seed=1), strict=True))

    assert [candidate.model for candidate in plan.candidates] == ["b/two"]


async def test_a_fallback_that_means_nothing_is_a_violation() -> None:
    """It is named by its place, beside whatever else is wrong."""
    with pytest.raises(ImageError) as caught:
        await planner().plan(
            replace(drawing(), retry=RetryWish(fallback_models=("test/ok", "nobody/x", "drfat"))),
            [wrong("input.prompt")],
        )

    assert told(caught.value) == ["input.prompt", "retry.fallback_models[1]", "retry.fallback_models[2]"]


@pytest.mark.parametrize(
    ("models", "asked", "fallbacks", "allowed"),
    [
        (("draft",), "draft", (), True),
        (("a/*",), "draft", (), False),
        (("a/*",), "a/one", (), True),
        (("a/*",), "a/one", ("b/two",), False),
        ((), "a/one", (), False),
    ],
)
async def test_callers_use_what_they_may(
    models: tuple[str, ...], asked: str, fallbacks: tuple[str, ...], allowed: bool
) -> None:
    """Every model that might be called must be allowed, by its own name or by the alias that was asked for."""
    pair = Pair(draw_all)
    wish = replace(drawing(asked), retry=RetryWish(fallback_models=fallbacks))
    opening = pair.shop.engine.open(wish, Caller("shop", models=models), Terms())

    if allowed:
        await (await opening).close()
    else:
        with pytest.raises(ImageError) as caught:
            await opening
        assert (caught.value.reason, caught.value.billed) == (Reason.CALLER_NOT_ALLOWED, Billed.NO)
    assert pair.shop.in_hand == (0, 0, 0)
