"""What a provider request cost, estimated from the operator's own prices where the provider does not tell."""

from dataclasses import dataclass

from imagegen_server.domain.result import Cost, Usage

_TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model: for a million tokens of each kind, and for one finished picture. None = not priced."""

    currency: str = "USD"
    input_text: float | None = None
    input_image: float | None = None
    output_text: float | None = None
    output_image: float | None = None
    image: float | None = None

    def estimate(self, usage: Usage | None, images: int) -> Cost | None:
        """Work out the cost of a request that made so many images; None = something of it is unknown.

        Output tokens that the provider does not divide count as those of pictures. What a picture costs tells nothing
        of a request that made none: it may be billed all the same.
        """
        if self.image and not images:
            return None
        amount = (self.image or 0.0) * images
        if any(price is not None for price in (self.input_text, self.input_image, self.output_text, self.output_image)):
            tokens = self._tokens(usage or Usage())
            if tokens is None:
                return None
            amount += tokens
        elif self.image is None:
            return None
        return Cost(amount, self.currency, estimated=True)

    def _tokens(self, usage: Usage) -> float | None:
        kinds = usage.kinds
        text, image = kinds.input_text, kinds.input_image
        drawn, written = kinds.output_image, kinds.output_text
        if None in (text, image) and self.input_text == self.input_image:
            text, image = usage.input_tokens, 0
        if drawn is None and written is None:
            drawn, written = usage.output_tokens, 0
        amount = 0.0
        for count, price in (
            (text, self.input_text),
            (image, self.input_image),
            (written, self.output_text),
            (drawn, self.output_image),
        ):
            if count == 0 or price == 0:
                continue  # nothing of it, or free: the other need not be known
            if count is None or price is None:
                return None
            amount += count * price / _TOKENS_PER_PRICE
        return amount
