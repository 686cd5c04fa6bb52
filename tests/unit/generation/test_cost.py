"""What a generation cost: told by its provider, or estimated from the operator's prices, or not known."""

from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent, Report
from imagegen_server.domain.result import Cost, TokenKinds, Usage
from imagegen_server.domain.task import Task
from imagegen_server.generation.prices import Price
from imagegen_server.providers.base import Call

from tests.support.generation import Workshop, able, as_entry, drawing, workshop_of, yielding
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider

BY_TOKEN = Price("USD", input_text=5, output_image=40)
BY_PICTURE = Price("USD", image=0.25)
TOLD = Usage(1, 1000, 2000, kinds=TokenKinds(1000, 0, 0, 2000))
"""0.005 USD in and 0.08 USD out by the token."""
FREE = ImageError(Reason.RATE_LIMITED, "slow down")
LATE = ImageError(Reason.TIMEOUT, "late")


def requests(prices: Mapping[str, Price], *answers: Sequence[ProviderEvent | ImageError]) -> Workshop:
    """Let each request of one image have its own answer, in this order."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        for event in answers[task.options.seed or 0]:
            if isinstance(event, ImageError):
                raise event
            yield event

    provider = ScriptedProvider(script, able(max_images=1, max_count=16).capabilities)
    return workshop_of(as_entry(provider), prices=prices)


def image(usage: Usage | None = None) -> list[ProviderEvent]:
    """Answer with an image and its usage, if it is told."""
    return [Complete(0, png()), *([Report(usage)] if usage else [])]


async def cost_of(price: Price, *answers: Sequence[ProviderEvent | ImageError]) -> Cost | None:
    """Run as many requests side by side, and tell what they cost together."""
    shop = requests({"test/any": price}, *answers)
    usage = (await shop.result(drawing(count=len(answers), seed=0))).usage
    return usage.cost if usage else None


def estimated(amount: float) -> Cost:
    """Expect this much."""
    return Cost(pytest.approx(amount), "USD", estimated=True)  # type: ignore[arg-type]


async def test_a_cost_that_the_provider_does_not_tell_is_estimated() -> None:
    """From its tokens; the other numbers stay as they were told."""
    usage = (await requests({"test/any": BY_TOKEN}, image(TOLD)).result(drawing(seed=0))).usage

    assert usage == Usage(1, 1000, 2000, estimated(0.085))


async def test_pictures_are_counted_where_the_provider_tells_nothing() -> None:
    """A finished picture is enough to know what it cost."""
    assert await cost_of(BY_PICTURE, image()) == estimated(0.25)


async def test_the_providers_own_cost_wins() -> None:
    """What is told is never replaced by what is reckoned, a cost of nothing included."""
    for amount in (1.5, 0.0):
        told = Usage(1, 1000, 2000, Cost(amount, "EUR"), TOLD.kinds)
        assert await cost_of(BY_TOKEN, image(told)) == Cost(amount, "EUR", estimated=False)


@pytest.mark.parametrize("prices", [{}, {"test/other": BY_TOKEN}, {"other/any": BY_TOKEN}])
async def test_without_a_price_of_the_model_the_cost_is_absent(prices: Mapping[str, Price]) -> None:
    """Not 0, and not that of another model."""
    usage = (await requests(prices, image(TOLD)).result(drawing(seed=0))).usage

    assert usage == Usage(1, 1000, 2000)


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (BY_TOKEN, None),
        (BY_TOKEN, Usage(1)),
        (BY_TOKEN, Usage(1, 1000, 2000)),
        (BY_TOKEN, Usage(1, 1100, 2000, kinds=TokenKinds(1000, 100, 0, 2000))),
        (Price("USD"), TOLD),
    ],
    ids=["silent", "no tokens", "undivided input", "unpriced kind", "no price"],
)
async def test_what_cannot_be_estimated_is_absent(price: Price, told: Usage | None) -> None:
    """Something needed is not known."""
    assert await cost_of(price, image(told)) is None


async def test_the_costs_of_all_requests_are_added_up() -> None:
    """Each has an estimate of its own; one estimated part makes the sum an estimate."""
    own = Usage(1, cost=Cost(1, "USD"))

    assert await cost_of(BY_TOKEN, image(TOLD), image(TOLD), image(TOLD)) == estimated(0.255)
    assert await cost_of(BY_PICTURE, image(), image()) == estimated(0.5)
    assert await cost_of(BY_TOKEN, image(own), image(TOLD)) == estimated(1.085)


async def test_a_sum_with_an_unknown_part_is_absent() -> None:
    """A request that told nothing, one that may be billed though it failed, and another currency."""
    euros = Usage(1, cost=Cost(1, "EUR"))

    assert await cost_of(BY_TOKEN, image(TOLD), image()) is None
    assert await cost_of(BY_TOKEN, image(TOLD), [LATE]) is None
    assert await cost_of(BY_PICTURE, image(), [LATE]) is None
    assert await cost_of(BY_TOKEN, image(TOLD), image(euros)) is None


async def test_a_free_request_adds_nothing() -> None:
    """What was refused costs nothing."""
    assert await cost_of(BY_TOKEN, image(TOLD), [FREE]) == estimated(0.085)
    assert await cost_of(BY_PICTURE, [FREE], image()) == estimated(0.25)


async def test_a_damaged_picture_is_not_known_to_be_free() -> None:
    """It was drawn and may be billed, so a price for each finished one tells too little."""
    broken = await requests({"test/any": BY_PICTURE}, [Complete(0, b"damaged"), Report(TOLD)]).broken(drawing(seed=0))

    assert broken.failure.usage == Usage(1, 1000, 2000)


async def test_a_damaged_picture_beside_a_good_one_leaves_the_cost_unknown() -> None:
    """The price of one picture is too little where a second one may have been paid for."""
    provider = ScriptedProvider(yielding(Complete(0, png()), Complete(1, b"damaged")), able(max_images=2).capabilities)
    shop = workshop_of(as_entry(provider), prices={"test/any": BY_PICTURE})

    assert (await shop.result(drawing(count=2))).usage is None


async def test_more_pictures_than_came_leave_the_cost_unknown() -> None:
    """A provider that drew three and was asked for one may charge for three."""
    told = Usage(images_generated=3)
    shop = requests({"test/any": BY_PICTURE}, [Complete(0, png()), Report(told)])

    assert (await shop.result(drawing(seed=0))).usage == told


async def test_the_cost_of_a_failed_call_is_estimated_too() -> None:
    """Money spent on nothing is not hidden."""
    broken = await requests({"test/any": BY_TOKEN}, [Report(TOLD), LATE]).broken(drawing(seed=0))

    assert broken.failure.usage == Usage(1, 1000, 2000, estimated(0.085))
