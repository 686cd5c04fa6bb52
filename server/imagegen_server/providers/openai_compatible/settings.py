"""The keys of the provider's table in the configuration, and what follows from them and from a preset."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Literal

from imagegen_server.domain.task import Options

from .switches import PRESETS, Dialect, Switches

_OPTIONS = frozenset(Options.__slots__) - {"count", "preview_count"}
_PATHS = ("edit_path", "mask_path")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What one model can do, as far as it differs from the others of its server; see Capabilities. None = as they.

    :raises ValueError: an option that is none
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    generate: bool | None = None
    edit: bool | None = None
    mask: bool | None = None
    max_images: int | None = None
    max_input_images: int | None = None
    options: tuple[str, ...] | None = None
    sizes: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        if unknown := sorted(set(self.options or ()) - _OPTIONS):
            raise ValueError(f"options: {unknown[0]!r} is none; there are {', '.join(sorted(_OPTIONS))}")


@dataclass(frozen=True, slots=True)
class CompatibleSettings:
    """The keys of the table: a preset, and what is to be different; see Switches. None = as the preset says.

    :raises ValueError: an option or a path that is none
    """

    dialect: Dialect = "openai"
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    size: Literal["size", "width_height", "none"] | None = None
    options: Mapping[str, str] | None = None
    edit_options: tuple[str, ...] | None = None
    mask_options: tuple[str, ...] | None = None
    response_format: str | None = None
    edits: Literal["form", "json", "none"] | None = None
    edit_path: str | None = None
    edit_defaults: Mapping[str, object] | None = None
    image_field: str | None = None
    images_field: str | None = None
    image_form: Literal["data_url", "base64", "object"] | None = None
    mask: Literal["transparent", "white", "black", "none"] | None = None
    mask_edits: Literal["form", "json", ""] | None = None
    mask_field: str | None = None
    mask_path: str | None = None
    mask_image_field: str | None = None
    in_prompt: Literal["nothing", "negative_prompt", "settings"] | None = None
    body: Mapping[str, object] | None = None
    max_images: int | None = None
    mask_max_images: int | None = None
    max_input_images: int | None = None
    streaming: bool | None = None
    list_models: bool | None = None
    credits_per_usd: float | None = None

    def __post_init__(self) -> None:
        """Check what would otherwise fail later."""
        allowed = {"options": _OPTIONS - {"size"}, "edit_options": _OPTIONS, "mask_options": _OPTIONS}
        for name, known in allowed.items():
            if unknown := sorted(set(getattr(self, name) or ()) - known):
                raise ValueError(f"{name}: {unknown[0]!r} is none; there are {', '.join(sorted(known))}")
        for name in ("max_images", "mask_max_images", "max_input_images"):
            if (most := getattr(self, name)) is not None and most < 1:
                raise ValueError(f"{name}: at least 1")
        if (self.credits_per_usd or 0) < 0:
            raise ValueError("credits_per_usd: at least 0")
        for name in ("body", "edit_defaults"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: holds what JSON does not have, such as a date") from None
        for name in _PATHS:
            path = getattr(self, name)
            if path and not path.startswith("/"):
                raise ValueError(f"{name}: begins with a slash, such as /images/edits")

    def switches(self) -> Switches:
        """Tell all of them: what is said here, else what the preset says."""
        said = {
            item.name: value
            for item in fields(Switches)
            if item.name not in ("base_url", "models") and (value := getattr(self, item.name)) is not None
        }
        return replace(PRESETS[self.dialect], **said)


def base_url_of(settings: CompatibleSettings) -> str:
    """Tell where a hosted vendor is; "" = the table must say it."""
    return PRESETS[settings.dialect].base_url


def key_required(settings: CompatibleSettings) -> bool:
    """Tell whether there is no way without a key: hosted vendors want one, servers of one's own may."""
    return bool(PRESETS[settings.dialect].base_url)
