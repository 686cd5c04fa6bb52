"""What is set up of Replicate beside the key: which models are listed."""

import re
from dataclasses import dataclass

DOMAINS = ("api.replicate.com",)
"""Whose host gets the key. Pictures lie at replicate.delivery, and are fetched without it."""

MODEL_ID = re.compile(
    r"(?P<owner>[A-Za-z0-9][\w.-]*)/(?P<name>[A-Za-z0-9][\w.-]*)(?::(?P<version>[A-Za-z0-9]{6,64}))?", re.ASCII
)
"""How a model is named: owner and name, and perhaps one of its versions."""

VERSION_ID = re.compile(r"[A-Za-z0-9]{6,64}", re.ASCII)

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class ReplicateSettings:
    """The keys of the table.

    `collections` of the vendor whose models ListModels tells, by the name in their address. `models` are told beside
    them: your own ones, or such as are in no collection.
    """

    collections: tuple[str, ...] = ("text-to-image", "image-editing")
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what would otherwise fail with the first list.

        :raises ValueError: a value cannot be used
        """
        for slug in self.collections:
            if not _SLUG.fullmatch(slug):
                raise ValueError(f'collections: {slug!r} is none; write it as in its address, such as "text-to-image"')
        for model_id in self.models:
            if not MODEL_ID.fullmatch(model_id):
                raise ValueError(f'models: {model_id!r} is none; write "owner/name", or "owner/name:version"')
