"""JSON answers that hold images as base64 text, read without a second look at every byte of them.

An answer of 2 MB is a 1.5 MB image and a few hundred bytes of JSON. Here the image's text is found by walking over the
string tokens, left where it was received, and only the small rest goes through the JSON parser.

The tree is always the one that `parse_fully` makes; whatever the walk cannot be sure of is left to it.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pybase64

from imagegen_server.domain.errors import ImageError, Reason

from .encoded_image import EncodedImage

__all__ = ["EncodedImage", "ImageJson", "JsonBody", "parse_fully", "parse_image_json"]

JsonBody: TypeAlias = bytes | bytearray | memoryview
ImageJson: TypeAlias = "bool | int | float | str | EncodedImage | list[ImageJson] | dict[str, ImageJson] | None"
"""JSON as Python holds it, with images."""

_MOST_TOKENS = 5000
"""Strings to walk over. An answer with more is small talk rather than images, and the parser is faster at that."""

_SLICE = 128 * 1024
"""Characters to check at once: few calls, and what they make stays in the processor's cache. A multiple of four."""

_MOST_VALUES = 1_000_000
"""Members, items, lists and objects. A small number takes two bytes of an answer and many times that as an object."""

_BACKSLASH = 0x5C

_PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
"""What stands for itself in a JSON string (RFC 8259 section 7), as far as it is ASCII."""

# What follows a key whose value is a string, or a list that begins with one. Behind a string that is a value there is
# never a colon.
_STRING_VALUE = re.compile(rb'[ \t\n\r]*:[ \t\n\r]*(\[[ \t\n\r]*)?"')
_NEXT_ITEM = re.compile(rb'[ \t\n\r]*(?:(\])|,[ \t\n\r]*")')
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"')


class _UnclearError(Exception):
    """The walk over the tokens is not sure of something."""


def parse_image_json(body: JsonBody, keys: frozenset[str]) -> ImageJson:
    """Parse `body` as JSON; strings under an object key in `keys` become `EncodedImage`.

    So do strings that stand directly in a list under such a key. Everything else under such a key (objects, numbers,
    lists in lists) stays what it is. Like `json.loads`: of equal keys the last wins, NaN and Infinity are numbers,
    UTF-16 and UTF-32 are read.

    The images are views of `body`: they keep it in memory, and a bytearray cannot be resized (BufferError) until the
    last of them is dropped. A memoryview of a part of something is copied first.

    :raises ImageError: INVALID_RESPONSE, when it is no JSON, is nested too deep, or has an integer that is too long or
        more than a million values. The message tells where, and nothing of the text.
    """
    whole = _whole(body)
    try:
        return _parse_rest(whole, keys)
    except (_UnclearError, ImageError):
        pass
    return parse_fully(whole, keys)


def parse_fully(body: JsonBody, keys: frozenset[str]) -> ImageJson:
    """Do the same as `parse_image_json`, with every byte through the JSON parser; the images are copies.

    :raises ImageError: INVALID_RESPONSE, as there.
    """

    def with_images(found: dict[str, ImageJson]) -> dict[str, ImageJson]:
        for key in keys & found.keys():
            value = found[key]
            if isinstance(value, str):
                found[key] = _image(value)
            elif isinstance(value, list):
                found[key] = [_image(item) if isinstance(item, str) else item for item in value]
        return found

    return _load(_whole(body), with_images)


def _parse_rest(body: bytes | bytearray, keys: frozenset[str]) -> ImageJson:
    rest, images = _cut(body, tuple(key.encode() for key in keys))

    def with_images(found: dict[str, ImageJson]) -> dict[str, ImageJson]:
        for key in keys & found.keys():
            value = found[key]
            if isinstance(value, str):
                found[key] = _cut_image(images, value)
            elif isinstance(value, list) and any(isinstance(item, str) for item in value):
                found[key] = [_cut_image(images, item) for item in value]
        return found

    return _load(rest, with_images)


def _cut(body: bytes | bytearray, keys: tuple[bytes, ...]) -> tuple[bytes, Mapping[str, EncodedImage]]:
    """Take the images out of `body`. What is left has a name in the place of each, by which they are told.

    Names cannot be confused with the vendor's text: where the parser will look for them, there are no other strings,
    as each was cut. What is no JSON may be cut wrongly, but the rest is as little JSON: up to where the parser stops,
    both agree about what is a string.
    """
    if 0 in body[:4] or not body[:4].isascii():  # UTF-16, UTF-32, a byte order mark
        raise _UnclearError
    view = memoryview(body)
    kept: list[bytes | memoryview] = []
    images: dict[str, EncodedImage] = {}
    kept_to = 0
    quote = body.find(b'"')
    for _ in range(_MOST_TOKENS):
        if quote < 0:
            kept.append(view[kept_to:])
            return b"".join(kept), images
        end = _end_of_string(body, quote)
        ahead = _STRING_VALUE.match(body, end + 1)
        if ahead is None:
            quote = body.find(b'"', end + 1)
            continue
        key = body[quote + 1 : end]
        if key not in keys:
            if _BACKSLASH in key:
                raise _UnclearError
            quote = ahead.end() - 1
            continue
        in_list = ahead[1] is not None
        while ahead is not None:
            start = ahead.end()
            end = body.find(b'"', start)
            if end < 0 or len(images) == _MOST_TOKENS or not _is_plain(view[start:end]):
                raise _UnclearError
            name = str(len(images))
            images[name] = EncodedImage(view[start:end])
            kept += (view[kept_to:start], name.encode())
            kept_to = end
            ahead = _next_item(body, end + 1) if in_list else None
        quote = body.find(b'"', end + 1)
    raise _UnclearError


def _end_of_string(body: bytes | bytearray, quote: int) -> int:
    """Where the string that begins at `quote` has its closing quote."""
    end = body.find(b'"', quote + 1)
    if end < 0:
        raise _UnclearError
    if body[end - 1] != _BACKSLASH:
        return end
    found = _REST_OF_STRING.match(body, quote + 1)
    if found is None:
        raise _UnclearError
    return found.end() - 1


def _next_item(body: bytes | bytearray, at: int) -> re.Match[bytes] | None:
    """Where the next string of a list begins; None at the list's end."""
    found = _NEXT_ITEM.match(body, at)
    if found is None:
        raise _UnclearError
    return None if found[1] else found


def _is_plain(text: memoryview) -> bool:
    """True if every character stands for itself: no escape, and nothing that a JSON string must not hold.

    Base64 is plain, and the decoder knows it at many times the speed of anything that looks at single characters.
    """
    for start in range(0, len(text), _SLICE):
        part = text[start : start + _SLICE]
        try:
            pybase64.b64decode(part, validate=True)
        except ValueError:
            if bytes(part).translate(None, _PLAIN):
                return False
    return True


def _cut_image(images: Mapping[str, EncodedImage], name: ImageJson) -> EncodedImage:
    # A list of strings and other things is the one place where there may be a string that was not cut.
    if not isinstance(name, str) or name not in images:
        raise _UnclearError
    return images[name]


def _image(text: str) -> EncodedImage:
    return EncodedImage(memoryview(text.encode("utf-8", "surrogatepass")))


def _whole(body: JsonBody) -> bytes | bytearray:
    if not isinstance(body, memoryview):
        return body
    owner = body.obj
    if isinstance(owner, bytes | bytearray) and body.c_contiguous and body.nbytes == len(owner):
        return owner
    return bytes(body)


def _load(text: bytes | bytearray, object_hook: Callable[[dict[str, ImageJson]], dict[str, ImageJson]]) -> ImageJson:
    if len(text) > _MOST_VALUES and sum(text.count(mark) for mark in b",:[{") > _MOST_VALUES:
        raise ImageError(Reason.INVALID_RESPONSE, f"The provider's answer has more than {_MOST_VALUES} values.")
    try:
        tree: ImageJson = json.loads(text, object_hook=object_hook)
        return tree
    except json.JSONDecodeError as error:
        where = f" (at character {error.pos})"
    except UnicodeDecodeError as error:
        where = f" (at byte {error.start})"
    except RecursionError:
        where = " (nested too deep)"
    except ValueError:
        where = " (an integer is too long)"
    # Outside of the handlers: those errors hold the whole text, and would be kept with this one.
    raise ImageError(Reason.INVALID_RESPONSE, f"The provider's answer is no JSON{where}.")
