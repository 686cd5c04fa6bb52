"""What an adapter says beside its images cannot cost anybody an image."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.events import Complete, Finished, Report
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.generation import outcome, runner
from imagegen_server.generation.intake import clean_metadata, clean_report

from tests.support.generation import workshop, yielding
from tests.support.pictures import png

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_json_stays_as_it_is(metadata: dict[str, Any]) -> None:
    """What a vendor says in JSON is handed on unmodified."""
    assert clean_metadata(metadata) == metadata


@pytest.mark.parametrize(
    "report",
    [
        Report(Usage(cost=Cost(cast("float", "0.04"), "USD"))),
        Report(Usage(cost=Cost(cast("float", None), "USD"))),
        Report(Usage(input_tokens=cast("int", "12"))),
        Report(cast("Usage", {"images": 1})),
        Report(metadata=cast("dict[str, Any]", [1])),
        Report(metadata={"deep": cast("Any", {"tuple": (1, {2}, b"bytes", float("nan"))})}),
    ],
)
async def test_a_wrong_report_costs_no_image(report: Report) -> None:
    """A report that is no usage and no JSON is left out or made text; the image arrives and all is given back."""
    shop = workshop(yielding(report, Complete(0, png(), revised_prompt=cast("str", ["a"]), seed=cast("int", "x"))))

    result = await shop.result()

    assert len(result.images) == 1
    assert result.usage is None or result.usage.cost is None
    assert shop.in_hand == (0, 0, 0)


def test_what_is_right_is_kept() -> None:
    """A good report is not touched."""
    report = Report(Usage(1, 2, 3, Cost(0.04, "USD", estimated=True)), {"model": "m"})

    assert clean_report(report) == report


async def test_a_fault_in_the_outcome_costs_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """If summing up fails, it is done again without what was said beside the images, and the log gets its end."""
    conclude, calls = outcome.conclude, []

    def faulty(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise TypeError("a fault")
        return conclude(*arguments)

    monkeypatch.setattr(runner, "conclude", faulty)
    shop = workshop(yielding(Report(Usage(images_generated=1)), Complete(0, png())))

    last = (await shop.run())[-1]

    assert isinstance(last, Finished)
    assert (len(last.result.images), last.result.usage) == (1, None)
    assert shop.in_hand == (0, 0, 0)
