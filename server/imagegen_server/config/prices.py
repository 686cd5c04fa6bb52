"""[prices]: what the operator pays, by model."""

from typing import Annotated

from pydantic import Field

from imagegen_server.generation.prices import Price

from .values import Table

_HIGHEST = 1e12
_Amount = Annotated[float, Field(ge=0, le=_HIGHEST, allow_inf_nan=False)]


class PriceTable(Table):
    """One model's prices: for a million tokens of each kind, and for each picture."""

    currency: Annotated[str, Field(min_length=1, max_length=32)] = "USD"
    input_text: _Amount | None = None
    input_image: _Amount | None = None
    output_text: _Amount | None = None
    output_image: _Amount | None = None
    image: _Amount | None = None

    def price(self) -> Price:
        """The same as the generation room knows it."""
        return Price(**dict(self))
