"""Images: what is given to the server and what comes back from it."""

from __future__ import annotations

import base64
import builtins
import hashlib
import mimetypes
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias, TypedDict

from imagegen._params import Metadata, metadata_from_proto, params_to_proto
from imagegen._times import time_in
from imagegen.v1 import image_pb2

MAX_IMAGE_BYTES: Final = 64 * 1024 * 1024
"""The largest image that the API carries: 64 MiB."""

# The class below has a property of the name `bytes`, which hides the type from its annotations.
_Bytes: TypeAlias = builtins.bytes

_SUFFIXES: Final[Mapping[str, str]] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/svg+xml": ".svg",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image: bytes, or a reference to bytes elsewhere. Immutable.

    Make one with `from_path`, `from_bytes`, `from_url` or `from_id`; those in a result are made by the client. Facts
    that nobody told are None or empty, never guessed.
    """

    media_type: str = ""
    """Such as "image/png". In a result: read from the bytes by the server. In an image of your own: a hint."""
    width: int | None = None
    """In pixels. None = not told."""
    height: int | None = None
    """In pixels. None = not told."""
    size_bytes: int = 0
    """Length of the whole image, also when its bytes are elsewhere. 0 = not known."""
    sha256: str = ""
    """SHA-256 of the whole image, 64 lowercase hex digits. Empty on previews and bare references."""
    image_id: str = ""
    """The server's name for a finished image, good until `expire_time`. Empty = none."""
    expire_time: datetime | None = None
    """When the server forgets the image, in UTC. None = not told."""
    url: str = ""
    """Where the server is to fetch the image. Empty unless made by `from_url`."""
    data: _Bytes | None = field(default=None, repr=False)
    """The bytes, or None when they are elsewhere. `bytes` raises instead."""

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> Image:
        """Read a file. The media type follows from the name and is no more than a hint: the bytes decide.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is empty or larger than 64 MiB.
        """
        source = Path(path)
        return cls.from_bytes(source.read_bytes(), media_type=mimetypes.guess_type(source.name)[0] or "")

    @classmethod
    def from_bytes(cls, data: _Bytes | bytearray | memoryview, *, media_type: str = "") -> Image:
        """Take the bytes of an image file (PNG, JPEG, WebP or GIF); `media_type` is a hint.

        Raises:
            ValueError: there are no bytes, or more than 64 MiB.
        """
        content = _Bytes(data)
        if not content:
            raise ValueError("an image cannot be empty")
        if len(content) > MAX_IMAGE_BYTES:
            raise ValueError(f"the image has {len(content)} bytes; the limit is {MAX_IMAGE_BYTES} (64 MiB)")
        return cls(
            media_type=media_type,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            data=content,
        )

    @classmethod
    def from_url(cls, url: str, *, media_type: str = "") -> Image:
        """Refer to an image at an http or https address of a public host. Nothing is fetched here: the server does it.

        Raises:
            ValueError: `url` is empty.
        """
        if not url:
            raise ValueError("the address of an image cannot be empty")
        return cls(media_type=media_type, url=url)

    @classmethod
    def from_id(cls, image_id: str) -> Image:
        """Refer to an image that the server keeps: an upload or an earlier result of the same caller.

        Raises:
            ValueError: `image_id` is empty.
        """
        if not image_id:
            raise ValueError("an image id cannot be empty")
        return cls(image_id=image_id)

    @property
    def has_bytes(self) -> bool:
        """Whether the bytes are here."""
        return self.data is not None

    @property
    def bytes(self) -> _Bytes:
        """The whole file.

        Raises:
            ValueError: the bytes are elsewhere: at a URL, or at the server (`client.read(image)` fetches them).
        """
        if self.data is None:
            raise ValueError(self._where_bytes_are())
        return self.data

    def data_url(self) -> str:
        """The image as a `data:` URL, for HTML and JSON.

        Raises:
            ValueError: the bytes are elsewhere, as in `bytes`.
        """
        media_type = self.media_type or "application/octet-stream"
        return f"data:{media_type};base64,{base64.b64encode(self.bytes).decode('ascii')}"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the image to a file and return the path written.

        A name without a suffix gets that of the media type ("harbour" becomes "harbour.png"); one that has a suffix is
        kept as it is. The file appears whole or not at all: it is written beside its place and then moved there. A
        place that is not a regular file (a pipe, a device) is written to directly.

        Raises:
            ValueError: the bytes are elsewhere, as in `bytes`.
            OSError: the file cannot be written.
        """
        content = self.bytes
        target = Path(path)
        if not target.suffix and not _is_special(target):
            target = target.with_name(target.name + _SUFFIXES.get(self.media_type, ""))
        if _is_special(target):
            target.write_bytes(content)
        else:
            _replace(Path(os.path.realpath(target)), content)
        return target

    def _where_bytes_are(self) -> str:
        if self.image_id:
            return f"the bytes of image {self.image_id} are at the server: fetch them with client.read(image)"
        if self.url:
            return "the bytes of this image are at its URL, and are fetched by the server only"
        return "this image came without bytes: previews delivered by reference have facts only"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage(Image):
    """A finished image of a generation: an `Image` with what is known of its making."""

    index: int = 0
    """0-based, below the count asked for; the same in all events and in the result."""
    revised_prompt: str | None = None
    """The prompt as rewritten by the provider. None = not told."""
    seed: int | None = None
    """As used. None = not told."""
    metadata: Metadata = field(default_factory=dict, hash=False)
    """What else the provider said of this image, by provider name."""


def image_from_proto(facts: image_pb2.Image, data: _Bytes | None = None) -> Image:
    """An image handed out by the server. `data` are its bytes if they came, which is apart from its facts."""
    return Image(**_facts(facts, data))


class _Facts(TypedDict):
    """What the server tells of every image."""

    media_type: str
    width: int | None
    height: int | None
    size_bytes: int
    sha256: str
    image_id: str
    expire_time: datetime | None
    data: _Bytes | None


def _facts(facts: image_pb2.Image, data: _Bytes | None) -> _Facts:
    return {
        "media_type": facts.media_type,
        "width": facts.width if facts.HasField("width") else None,
        "height": facts.height if facts.HasField("height") else None,
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256,
        "image_id": facts.image_id,
        "expire_time": time_in(facts, "expire_time"),
        "data": data,  # never those beside the facts: nobody has checked them
    }


def generated_image_from_proto(made: image_pb2.GeneratedImage, data: _Bytes | None = None) -> GeneratedImage:
    """A finished image. `data` are its bytes if they came, which is apart from its facts."""
    return GeneratedImage(
        **_facts(made.image, data),
        index=made.index,
        revised_prompt=made.revised_prompt if made.HasField("revised_prompt") else None,
        seed=made.seed if made.HasField("seed") else None,
        metadata=metadata_from_proto(made.metadata),
    )


def image_to_source(image: Image) -> image_pb2.ImageSource:
    """What a request carries for an image: its bytes if they are here, else its id, else its address.

    Raises:
        ValueError: the image has none of the three.
    """
    source = image_pb2.ImageSource(media_type=image.media_type)
    if image.data is not None:
        source.data = image.data
    elif image.image_id:
        source.image_id = image.image_id
    elif image.url:
        source.url = image.url
    else:
        raise ValueError("this image has no bytes, no id and no URL, so it cannot be given to the server")
    if isinstance(image, GeneratedImage) and not source.image_id:
        for provider, said in params_to_proto(image.metadata).items():
            source.metadata[provider].CopyFrom(said)
    return source


def _replace(target: Path, content: _Bytes) -> None:
    with tempfile.TemporaryDirectory(prefix=".imagegen-", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        unfinished.write_bytes(content)
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)


def _is_special(target: Path) -> bool:
    """Tell a pipe or a device, which is written to directly, from a file or a place for one."""
    return target.exists() and not target.is_file() and not target.is_dir()
