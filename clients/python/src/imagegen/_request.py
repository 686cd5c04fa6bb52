"""What a call asks for, from what its client, its model and the call itself say."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct

from imagegen._generation import Lifetime
from imagegen._image import Image, image_to_source
from imagegen._options import (
    NO_OPTIONS,
    CallSettings,
    DeliveryMode,
    ImageOptions,
    OnDisconnect,
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
_ON_DISCONNECT: Final[dict[OnDisconnect | None, image_pb2.OnDisconnect.ValueType]] = {
    None: image_pb2.ON_DISCONNECT_UNSPECIFIED,
    "cancel": image_pb2.ON_DISCONNECT_CANCEL,
    "detach": image_pb2.ON_DISCONNECT_DETACH,
}
_SETTINGS: Final = frozenset(CallSettings.__annotations__)
_AS_SAID: Final = frozenset(
    {
        "strict",
        "delivery",
        "timeout",
        "resumable",
        "request_id",
        "on_disconnect",
        "retry_ambiguous",
        "fallback_on_content_filtered",
    }
)
"""The settings that a wish keeps as they are said."""


class _Carried:
    """Options and parameters as a request carries them, made once for all the calls of a bound model."""

    __slots__ = ("_options", "_params")

    def __init__(self) -> None:
        self._options: image_pb2.ImageOptions | None = None
        self._params: dict[str, Struct] | None = None

    def options(self, options: ImageOptions) -> image_pb2.ImageOptions:
        if self._options is None:
            self._options = options_to_proto(options)
        return self._options

    def params(self, params: Params) -> dict[str, Struct]:
        if self._params is None:
            self._params = params_to_proto(params)
        return self._params


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything about a call but its prompt and images."""

    model: str
    options: ImageOptions
    params: Params
    strict: bool
    delivery: DeliveryMode
    timeout: float | None
    resumable: bool = False
    request_id: str = ""
    on_disconnect: OnDisconnect | None = None
    fallback_models: tuple[str, ...] | None = None
    retry_ambiguous: bool | None = None
    fallback_on_content_filtered: bool | None = None
    carried: _Carried = field(default_factory=_Carried, compare=False, repr=False)
    """Belongs to `options` and `params`: who changes these begins a new one."""

    @property
    def chunked(self) -> bool:
        """Whether the bytes come with the stream."""
        return self.delivery == "inline"

    @property
    def lifetime(self) -> Lifetime:
        """How the generation outlives its connection."""
        return Lifetime(
            resumable=self.resumable,
            shared=self.resumable or bool(self.request_id) or self.on_disconnect == "detach",
            owned=self.resumable and not self.request_id and self.on_disconnect is None,
        )

    def with_settings(self, settings: CallSettings) -> Wish:
        """This wish with what a call says laid over it; None leaves what is there.

        Raises:
            ValueError: a word that there is not, or a stream that is to be resumed after its end.
            TypeError: a setting that there is not, or text where a list of models belongs.
        """
        if not settings:
            return self
        said: dict[str, Any] = {
            name: setting for name, setting in settings.items() if name in _AS_SAID and setting not in (None, "")
        }
        if others := settings.keys() - _AS_SAID:
            said |= self._others_said(settings, others)
        wish = replace(self, **said)
        check_delivery(wish.delivery)
        if wish.on_disconnect not in _ON_DISCONNECT:
            raise ValueError(f'on_disconnect is "cancel" or "detach", not {wish.on_disconnect!r}')
        if wish.resumable and wish.on_disconnect == "cancel":
            raise ValueError('a generation that ends with its connection cannot be resumed: on_disconnect="cancel"')
        return wish

    def _others_said(self, settings: CallSettings, names: AbstractSet[str]) -> dict[str, Any]:
        """What is said by those settings that a wish keeps in another form."""
        if unknown := sorted(names - _SETTINGS):
            raise TypeError(f"there is no setting {unknown[0]!r}")
        said: dict[str, Any] = {}
        if (models := _models_in(settings)) is not None:
            said["fallback_models"] = models
        if (options := options_in(settings)) is not NO_OPTIONS:
            said |= {"options": merge_options(self.options, options), "carried": _Carried()}
        if params := settings.get("params"):
            said |= {"params": merge_params(self.params, params), "carried": _Carried()}
        return said

    def without_previews(self) -> Wish:
        """This wish for a caller who waits for the end only: no previews unless they were asked for."""
        if self.options.preview_count is not None:
            return self
        return replace(self, options=merge_options(ImageOptions(preview_count=0), self.options), carried=_Carried())

    def generate(self, prompt: str) -> image_service_pb2.GenerateRequest:
        """The request for new pictures.

        Raises:
            ValueError: an option or parameter that cannot be carried.
            TypeError: a parameter that is not JSON.
        """
        return image_service_pb2.GenerateRequest(
            model=self.model,
            input=image_pb2.ImageInput(prompt=prompt),
            options=self.carried.options(self.options),
            params=self.carried.params(self.params),
            strict=self.strict,
            delivery=delivery_to_proto(self.delivery),
            request_id=self.request_id,
            on_disconnect=_ON_DISCONNECT[self.on_disconnect],
            retry=self._retry(),
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
            options=self.carried.options(self.options),
            params=self.carried.params(self.params),
            strict=self.strict,
            delivery=delivery_to_proto(self.delivery),
            request_id=self.request_id,
            on_disconnect=_ON_DISCONNECT[self.on_disconnect],
            retry=self._retry(),
        )

    def _retry(self) -> image_pb2.RetryPolicy | None:
        """What was said of retries; None = nothing, so the server's configuration holds."""
        if (self.fallback_models, self.retry_ambiguous, self.fallback_on_content_filtered) == (None, None, None):
            return None
        return image_pb2.RetryPolicy(
            fallback_models=self.fallback_models or (),
            retry_ambiguous=bool(self.retry_ambiguous),
            fallback_on_content_filtered=bool(self.fallback_on_content_filtered),
        )


def with_handle(request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest, lifetime: Lifetime) -> None:
    """Name the wish if it may run on without its reader, so that it can be found again and stopped from the start."""
    if lifetime.shared and not request.request_id:
        request.request_id = str(uuid.uuid4())


def check_delivery(delivery: DeliveryMode) -> DeliveryMode:
    """The delivery itself.

    Raises:
        ValueError: there is no such delivery.
    """
    if delivery not in _DELIVERIES:
        raise ValueError(f'delivery is "inline" or "reference", not {delivery!r}')
    return delivery


def delivery_to_proto(delivery: DeliveryMode) -> image_pb2.Delivery:
    """What a request carries for it."""
    return image_pb2.Delivery(mode=_DELIVERIES[delivery])


def _models_in(settings: CallSettings) -> tuple[str, ...] | None:
    models = settings.get("fallback_models")
    if isinstance(models, str):
        raise TypeError(f"fallback_models is a list of models, not {models!r}")
    return None if models is None else tuple(models)


def plain_wish(model: str) -> Wish:
    """A wish for a model with nothing else said."""
    return Wish(model=model, options=ImageOptions(), params={}, strict=False, delivery="inline", timeout=None)
