"""What a request cost and used: ImageGenerationUsage."""

from collections.abc import Mapping

from imagegen_server.domain.errors import Billed
from imagegen_server.domain.events import Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Cost, TokenKinds, Usage

_MOST_TOKENS = 2**53
_MOST_DOLLARS = 10**9
"""From here on a number is no price."""

_LONGEST_WORD = 100
"""Characters of the name of a tier or a model."""


def report_of(payload: Mapping[str, object], images: int) -> Report:
    """Tell what the answer says of its cost, its tokens and who did the work."""
    said = _object(payload.get("usage"))
    usage = Usage(
        images_generated=images,
        input_tokens=_tokens(said, "prompt_tokens"),
        output_tokens=_tokens(said, "completion_tokens"),
        cost=_cost(said),
        kinds=TokenKinds(output_image=_tokens(_object(said.get("completion_tokens_details")), "image_tokens")),
    )
    told: dict[str, JsonValue] = {
        name: value
        for where, name in ((payload, "model"), (said, "service_tier"))
        if isinstance(value := where.get(name), str) and 0 < len(value) <= _LONGEST_WORD
    }
    if said.get("is_byok") is True:
        # Two bills: this is the vendor's own part of the cost.
        told |= {"is_byok": True} | ({} if (part := _money(said, "cost")) is None else {"router_cost": part})
    return Report(usage, told)


def billed_by(payload: Mapping[str, object]) -> Billed | None:
    """Tell whether something was paid for, of a request that made nothing; None = the vendor did not say."""
    cost = _cost(_object(payload.get("usage")))
    return None if cost is None else Billed.YES if cost.amount else Billed.NO


def _cost(said: Mapping[str, object]) -> Cost | None:
    """Read the cost in USD. With a key of the caller's own at the model's vendor, that vendor's bill is added.

    Source: usage accounting of openrouter.ai/docs: `cost` is what the vendor's account is charged, in credits, which
    are USD, and `upstream_inference_cost` what the model's vendor charges.
    """
    amount = _money(said, "cost")
    if said.get("is_byok") is True:
        upstream = _money(_object(said.get("cost_details")), "upstream_inference_cost")
        amount = None if amount is None or upstream is None else amount + upstream
    return None if amount is None else Cost(amount, "USD")


def _money(said: Mapping[str, object], key: str) -> float | None:
    value = said.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < _MOST_DOLLARS else None


def _tokens(said: Mapping[str, object], key: str) -> int | None:
    value = said.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
