"""Holding a wish against a model: everything that is wrong at once, and what refuses it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Task, Wish
from imagegen_server.generation.plan import Candidate, Planner

from tests.support.generation import able, as_entry, drawing, editing, planner, told, wrong
from tests.support.pictures import png
from tests.support.provider import ABLE, ScriptedProvider


async def refusal(wish: Wish, *found: Violation, by: Planner | None = None) -> ImageError:
    """Return the error with which a wish is refused."""
    with pytest.raises(ImageError) as caught:
        await (by or planner()).plan(wish, found)
    return caught.value


class Particular(ScriptedProvider):
    """A provider whose adapter has the last word."""

    def __init__(self, verdict: Exception | Sequence[Warning]) -> None:
        """Say this to every task."""
        super().__init__()
        self.verdict = verdict

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """Refuse the task, or double its seed and warn."""
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return replace(task, options=replace(task.options, seed=(task.options.seed or 0) * 2)), self.verdict


async def test_a_wish_that_fits_is_planned() -> None:
    """The plan names the model in full, and has the task and no warnings."""
    planned = (await planner().plan(drawing(seed=3))).first

    assert isinstance(planned, Candidate)
    assert (planned.entry.name, planned.model, planned.task.model) == ("test", "test/any", "any")
    assert planned.task.options.seed == 3
    assert planned.warnings == ()


async def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Violations of reading, params, limits and the adapter come together, each field once."""
    verdict = ImageError(Reason.INVALID_REQUEST, "no", violations=[wrong("params.test.style"), wrong("options.count")])
    wish = drawing(params={"nobody": {}, "test": {"prompt": "x"}}, count=9)

    error = await refusal(wish, wrong("input.prompt"), by=planner(as_entry(Particular(verdict))))

    assert error.reason is Reason.INVALID_REQUEST
    assert told(error) == [
        "input.prompt",
        "params.nobody",
        "params.test.prompt",
        "options.count",
        "params.test.style",
    ]
    assert "4 more" in error.message


@pytest.mark.parametrize("model", ["drfat", "nobody/any", ""])
async def test_a_wrong_model_is_one_of_the_violations(model: str) -> None:
    """If anything else is wrong the model is told with it, once, and the call is INVALID_REQUEST."""
    found = [wrong("input.prompt"), *([wrong("model")] if not model else [])]

    error = await refusal(drawing(model), *found)

    assert error.reason is Reason.INVALID_REQUEST
    assert sorted(told(error)) == ["input.prompt", "model"]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("drfat", Reason.MODEL_NOT_FOUND),
        ("test/", Reason.MODEL_NOT_FOUND),
        ("opnai/gpt-image-2", Reason.PROVIDER_NOT_CONFIGURED),
        ("/any", Reason.PROVIDER_NOT_CONFIGURED),
    ],
)
async def test_a_wrong_model_alone_has_its_own_reason(model: str, reason: Reason) -> None:
    """Nothing else being wrong, the reason says what is wrong with the model, and names it."""
    error = await refusal(drawing(model))

    assert (error.reason, error.billed, error.metadata) == (reason, Billed.NO, {"model": model})
    assert told(error) == []


async def test_a_model_name_is_limited() -> None:
    """512 bytes are good, and what is longer is not repeated in any answer."""
    assert (await planner().plan(drawing("test/" + "m" * 507))).first.task.model == "m" * 507
    for name in ("test/" + "m" * 508, "test/" + "船" * 170, "m" * 100_000):
        error = await refusal(drawing(name))
        assert (error.reason, len(error.message) < 200) == (Reason.MODEL_NOT_FOUND, True)


async def test_a_model_name_is_split_at_the_first_slash() -> None:
    """What follows the first slash is the provider's own id, further slashes included."""
    planned = (await planner().plan(drawing("test/google/gemini:free"))).first

    assert (planned.task.model, planned.model) == ("google/gemini:free", "test/google/gemini:free")


async def test_an_alias_means_its_model() -> None:
    """A name without a slash is looked up, and the plan has the full name."""
    made = planner(aliases={"draft": ["test/any"], "sketch": ["test/any"], "fine": ["test/best"]})

    assert (await made.plan(drawing("draft"))).first.model == "test/any"
    assert made.names.aliases_of("test/any") == ["draft", "sketch"]
    assert made.names.aliases_of("test/other") == []


async def test_an_unknown_alias_is_answered_with_the_known_ones() -> None:
    """Whoever mistypes an alias or a provider reads which ones there are."""
    made = planner(aliases={"draft": ["test/any"]})

    assert "draft" in (await refusal(drawing("drfat"), by=made)).message
    assert "test" in (await refusal(drawing("tset/any"), by=made)).message


@pytest.mark.parametrize("reason", [Reason.MODEL_NOT_FOUND, Reason.AUTHENTICATION_FAILED])
async def test_an_adapter_may_refuse_for_its_own_reason(reason: Reason) -> None:
    """What an adapter says before anything is spent reaches the caller, with provider and model."""
    error = await refusal(drawing(), by=planner(as_entry(Particular(ImageError(reason, "no", http_status=404)))))

    assert (error.reason, error.http_status) == (reason, 404)
    assert error.metadata == {"provider": "test", "model": "test/any"}


async def test_violations_go_before_an_adapters_own_reason() -> None:
    """A malformed request is told as such, whatever else the adapter would say."""
    adapter = as_entry(Particular(ImageError(Reason.MODEL_NOT_FOUND, "no")))

    assert (await refusal(drawing(), wrong("options.size"), by=planner(adapter))).reason is Reason.INVALID_REQUEST


async def test_an_adapter_that_names_no_field_means_the_model() -> None:
    """INVALID_REQUEST always comes with a violation."""
    error = await refusal(drawing(), by=planner(as_entry(Particular(ImageError(Reason.INVALID_REQUEST, "not so")))))

    assert error.message == "model: not so"
    assert [(violation.field, violation.description) for violation in error.violations] == [("model", "not so")]


async def test_an_adapter_that_stumbles_over_a_wrong_wish_changes_nothing() -> None:
    """A fault of an adapter on a malformed request is no fault of the server: the caller hears what is wrong."""
    error = await refusal(drawing(), wrong("options.size"), by=planner(as_entry(Particular(ZeroDivisionError()))))

    assert told(error) == ["options.size"]


async def test_an_adapter_that_stumbles_over_a_good_wish_is_a_fault() -> None:
    """Nothing hides a fault of an adapter on a request that is right."""
    with pytest.raises(ZeroDivisionError):
        await planner(as_entry(Particular(ZeroDivisionError()))).plan(drawing())


async def test_what_could_not_be_read_is_told_once() -> None:
    """An adapter finds an image odd that could not be read at all; the caller hears of the cause only."""
    refusal = ImageError(
        Reason.INVALID_REQUEST,
        "no",
        violations=[Violation("input.images[0]", "is no PNG"), Violation("input.images[01]", "is another one")],
    )
    adapter = planner(as_entry(Particular(refusal)))

    with pytest.raises(ImageError) as raised:
        await adapter.plan(drawing(), [Violation("input.images[0].data", "is cut short")])

    assert told(raised.value) == ["input.images[0].data", "input.images[01]"]


async def test_an_adapter_may_change_the_task_and_warn() -> None:
    """What prepare returns is what is run, and its warnings follow the others."""
    note = Warning("params.test.style", WarningReason.IGNORED, "no styles")
    adapter = planner(as_entry(Particular([note])))

    planned = (await adapter.plan(drawing(seed=4), (), [Warning("#99", WarningReason.UNKNOWN_FIELD, "new")])).first

    assert [task.options.seed for _, task in planned.batches] == [8]
    assert [warning.field for warning in planned.warnings] == ["#99", "params.test.style"]


async def test_strict_refuses_what_would_be_a_warning() -> None:
    """With strict every warning becomes a violation of OPTION_NOT_SUPPORTED, unknown fields included."""
    wish = replace(drawing(quality="high", negative_prompt="fog"), strict=True)
    limited = planner(as_entry(able(options=frozenset({"seed"}))))

    with pytest.raises(ImageError) as caught:
        await limited.plan(wish, (), [Warning("options.#42", WarningReason.UNKNOWN_FIELD, "new")])

    assert caught.value.reason is Reason.OPTION_NOT_SUPPORTED
    assert told(caught.value) == ["options.#42", "options.quality", "options.negative_prompt"]
    assert caught.value.metadata == {"provider": "test", "model": "test/any"}


async def test_strict_does_not_refuse_a_model_that_retires() -> None:
    """An announced end is news and nothing that is not done as asked."""
    model = Model("old", ABLE, retire_time=datetime(2027, 1, 31, tzinfo=UTC))
    aged = planner(as_entry(ScriptedProvider(known_models=[model])))

    planned = (await aged.plan(replace(drawing("test/old"), strict=True))).first

    assert [(warning.field, warning.reason) for warning in planned.warnings] == [
        ("model", WarningReason.MODEL_RETIRING)
    ]
    assert "2027-01-31" in planned.warnings[0].message


async def test_violations_go_before_strict() -> None:
    """A malformed strict request is INVALID_REQUEST."""
    limited = planner(as_entry(able(options=frozenset())))

    error = await refusal(replace(drawing(seed=1), strict=True), wrong("input.prompt"), by=limited)

    assert error.reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("wish", "capability"),
    [
        (drawing(), "generate"),
        (editing(png()), "edit"),
        (editing(png(), mask=png(shade=9)), "mask"),
    ],
    ids=["generate", "edit", "mask"],
)
async def test_what_a_model_cannot_do_is_refused_before_anything_is_spent(wish: Wish, capability: str) -> None:
    """OPERATION_NOT_SUPPORTED if the model is known not to do it; unknown is tried."""
    error = await refusal(wish, by=planner(as_entry(able(**{capability: False}))))
    await planner(as_entry(able(**{capability: None}))).plan(wish)

    assert (error.reason, error.billed) == (Reason.OPERATION_NOT_SUPPORTED, Billed.NO)
    assert error.metadata == {"provider": "test", "model": "test/any"}
