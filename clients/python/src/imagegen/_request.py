"""What a call asks for, from what its client, its model and the call itself say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from imagegen._image import Image, image_to_source
from imagegen._options import (
    CallSettings,
    DeliveryMode,
    ImageOptions,
    merge_options,
    options_in,
    options_to_proto,
)
from imagegen._params import Params, merge_params, params_to_proto
from imagegen.v1 import image_pb2, image_service_pb2

_DELIVERIES: Final[dict[DeliveryMode, image_pb2.DeliveryMode.ValueType]] = {
    "inline": image_pb2.DELIVERY_MODE_INLINE,
    "reference": image_pb2.DELIVERY_MODE_REFERENCE,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything about a call but its prompt and images."""

    model: str
    options: ImageOptions
    params: Params
    strict: bool
    delivery: DeliveryMode
    timeout: float | None

    @property
    def chunked(self) -> bool:
        """Whether the bytes come with the stream."""
        return self.delivery == "inline"

    def with_settings(self, settings: CallSettings) -> Wish:
        """This wish with what a call says laid over it; None leaves what is there.

        Raises:
            ValueError: a delivery that there is not.
            TypeError: a setting that there is not.
        """
        if unknown := sorted(settings.keys() - CallSettings.__annotations__.keys()):
            raise TypeError(f"there is no setting {unknown[0]!r}")
        delivery = settings.get("delivery") or self.delivery
        if delivery not in _DELIVERIES:
            raise ValueError(f'delivery is "inline" or "reference", not {delivery!r}')
        strict = settings.get("strict")
        timeout = settings.get("timeout")
        return Wish(
            model=self.model,
            options=merge_options(self.options, options_in(settings)),
            params=merge_params(self.params, settings.get("params") or {}),
            strict=self.strict if strict is None else strict,
            delivery=delivery,
            timeout=self.timeout if timeout is None else timeout,
        )

    def without_previews(self) -> Wish:
        """This wish for a caller who waits for the end only: no previews unless they were asked for."""
        return replace(self, options=merge_options(ImageOptions(preview_count=0), self.options))

    def generate(self, prompt: str) -> image_service_pb2.GenerateRequest:
        """The request for new pictures.

        Raises:
            ValueError: an option or parameter that cannot be carried.
            TypeError: a parameter that is not JSON.
        """
        return image_service_pb2.GenerateRequest(
            model=self.model,
            input=image_pb2.ImageInput(prompt=prompt),
            options=options_to_proto(self.options),
            params=params_to_proto(self.params),
            strict=self.strict,
            delivery=self._delivery(),
        )

    def edit(self, prompt: str, images: Sequence[Image], mask: Image | None) -> image_service_pb2.EditRequest:
        """The request for changed pictures. Raises as `generate`, and ValueError for an image without source."""
        return image_service_pb2.EditRequest(
            model=self.model,
            input=image_pb2.ImageEditInput(
                prompt=prompt,
                images=[image_to_source(image) for image in images],
                mask=None if mask is None else image_to_source(mask),
            ),
            options=options_to_proto(self.options),
            params=params_to_proto(self.params),
            strict=self.strict,
            delivery=self._delivery(),
        )

    def _delivery(self) -> image_pb2.Delivery:
        return image_pb2.Delivery(mode=_DELIVERIES[self.delivery])


def plain_wish(model: str) -> Wish:
    """A wish for a model with nothing else said."""
    return Wish(model=model, options=ImageOptions(), params={}, strict=False, delivery="inline", timeout=None)
