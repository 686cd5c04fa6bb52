"""Costs estimated from the operator's prices: right, or absent."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.result import Cost, TokenKinds, Usage
from imagegen_server.generation.prices import Price

KINDS = ("input_text", "input_image", "output_text", "output_image")
TOKENS = Price("EUR", input_text=5, input_image=10, output_text=20, output_image=40)
MANY = 10**6

counts = st.none() | st.integers(0, 100_000)
amounts = st.none() | st.just(0.0) | st.floats(0.001, 1000)


def usage(*kinds: int | None, into: int | None = None, out: int | None = None) -> Usage:
    """Tell of tokens by kind, in the order of the prices, and of all in and out."""
    return Usage(input_tokens=into, output_tokens=out, kinds=TokenKinds(*kinds))


def estimated(amount: float, currency: str = "EUR") -> Cost:
    """Expect this much."""
    return Cost(pytest.approx(amount), currency, estimated=True)  # type: ignore[arg-type]


def test_tokens_are_priced_by_the_million() -> None:
    """Worked out by hand: 12 x 5 + 194 x 10 + 30 x 20 + 272 x 40, in millionths."""
    assert TOKENS.estimate(usage(12, 194, 30, 272), images=1) == estimated(0.01348)


def test_pictures_are_priced_each() -> None:
    """Without asking for tokens that nobody priced."""
    assert Price(image=0.04).estimate(None, images=3) == estimated(0.12, "USD")
    assert Price(image=0.04).estimate(usage(None, into=7), images=1) == estimated(0.04, "USD")


def test_pictures_and_tokens_may_both_have_a_price() -> None:
    """The sum of both."""
    price = Price(image=0.04, input_text=5, output_image=0)

    assert price.estimate(usage(1000, 0, 0, 300), images=2) == estimated(0.085, "USD")


def test_what_is_free_costs_nothing_and_is_known() -> None:
    """A price of 0 is a price."""
    assert Price(image=0).estimate(None, images=1) == estimated(0, "USD")
    assert Price(image=0).estimate(None, images=0) == estimated(0, "USD")
    assert Price("USD", 0, 0, 0, 0).estimate(None, images=1) == estimated(0, "USD")


def test_nothing_priced_is_nothing_known() -> None:
    """And not free."""
    assert Price().estimate(usage(0, 0, 0, 0), images=1) is None


def test_a_request_without_a_picture_is_not_known_to_be_free() -> None:
    """A picture that came damaged is billed like any other."""
    assert Price(image=0.04).estimate(usage(1, 2, 3, 4), images=0) is None
    assert replace(TOKENS, image=0.04).estimate(usage(1, 2, 3, 4), images=0) is None


def test_undivided_output_is_priced_as_pictures() -> None:
    """Image models write nothing else, or little."""
    assert TOKENS.estimate(usage(1000, 0, out=1000), images=1) == estimated(0.045)


def test_undivided_input_needs_one_price_for_both_kinds() -> None:
    """Text and pictures in cost differently, so a sum of both tells only what costs the same."""
    told = usage(None, None, 0, 0, into=1000)

    assert TOKENS.estimate(told, images=1) is None
    assert replace(TOKENS, input_image=5).estimate(told, images=1) == estimated(0.005)
    assert replace(TOKENS, input_image=5).estimate(usage(10, None, 0, 0, into=1000), images=1) == estimated(0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_without_a_price_may_only_be_unused(kind: str) -> None:
    """A text-to-image call needs no price for images in; the first one that comes makes the cost unknown."""
    lacking: dict[str, Any] = {kind: None}
    price = replace(TOKENS, **lacking)
    full = TokenKinds(10, 10, 10, 10)

    assert price.estimate(Usage(kinds=full), images=1) is None
    assert price.estimate(Usage(kinds=replace(full, **{kind: 0})), images=1) is not None


@given(
    tokens=st.tuples(amounts, amounts, amounts, amounts).filter(lambda prices: any(p is not None for p in prices)),
    image=amounts,
    told=st.tuples(counts, counts, counts, counts),
    images=st.integers(0, 4),
)
def test_an_estimate_is_absent_exactly_if_what_is_unknown_could_change_it(
    tokens: tuple[float | None, ...],
    image: float | None,
    told: tuple[int | None, ...],
    images: int,
) -> None:
    """Whatever is unknown is set to nothing, and to much: where both cost the same, that is the estimate."""
    if told[2] is None and told[3] is None:  # undivided and not told: of no other kind
        told = (*told[:2], 0, None)
    # A price for each picture says nothing of a request that made none.
    each = image or 0.0
    drawn = (images, images) if images or not each else (0, 1)

    def cost(unknown: int, pictures: int) -> float:
        return each * pictures + math.fsum(
            (unknown if count is None else count) * (unknown if price is None else price) / MANY
            for count, price in zip(told, tokens, strict=True)
        )

    least, most = cost(0, drawn[0]), cost(MANY, drawn[1])
    found = replace(Price("EUR", *tokens), image=image).estimate(usage(*told), images)

    assert found == (estimated(least) if least == most else None)


@given(told=st.tuples(*[st.integers(0, 2**53)] * 4), price=st.floats(0, 1e12), images=st.integers(1, 16))
def test_an_estimate_is_finite(told: tuple[int, ...], price: float, images: int) -> None:
    """With the highest prices that the configuration takes, and more tokens than anybody counts."""
    found = Price("EUR", price, price, price, price, price).estimate(usage(*told), images)

    assert found is not None
    assert math.isfinite(found.amount)
    assert found.amount >= 0
