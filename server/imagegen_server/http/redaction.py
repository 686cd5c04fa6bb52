"""Requests as text that may be shown: pictures as hashes, nothing binary."""

import binascii
import hashlib
import json
import re
from collections.abc import Sequence

import httpx
import pybase64

from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.images.facts import read_facts

from .body import FormFile

HIDDEN = "***"
"""Stands where a key would."""

SHORTEST_RUN = 512
"""Characters of the base64 alphabets in a row that are no prose. Shorter ones are hidden if they are a picture."""

_ALPHABET = "A-Za-z0-9+/_-"
_RUN = re.compile(rf"[{_ALPHABET}]{{{SHORTEST_RUN},}}={{0,2}}")
_SHORT = re.compile(rf"[{_ALPHABET}]+={{0,2}}")
_DATA_URL = re.compile(rf"(data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,)([{_ALPHABET}]+={{0,2}})", re.ASCII)  # RFC 2397
_HIDDEN_IN_URL = re.compile("%2A%2A%2A", re.IGNORECASE)
_ESCAPES = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n"})


def digest_text(data: bytes) -> str:
    """Write what stands for bytes: `<sha256 HEX, N bytes>`."""
    return f"<sha256 {hashlib.sha256(data).hexdigest()}, {len(data)} bytes>"


def json_text(content: JsonObject) -> str:
    """Write the JSON that `json_body` sends, with base64 as the digest of what it encodes.

    That is: what follows `base64,` in a data URL, every run of at least SHORTEST_RUN characters, and strings that are a
    picture as a whole. A run that is no base64 is digested as it stands.
    """
    return json.dumps(_object(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def form_text(fields: Sequence[tuple[str, str]], files: Sequence[FormFile]) -> str:
    r"""Write the parts of a form, one a line: `name=value`, and files as digests with their filename and type.

    Line breaks in them are written as `\n` and `\r`, backslashes as `\\`.
    """
    lines = [f"{name}={_text(value)}" for name, value in fields]
    lines += [
        f"{file.name}={digest_text(file.data)}; filename={file.filename}; type={file.content_type}" for file in files
    ]
    return "\n".join(line.translate(_ESCAPES) for line in lines)


def url_text(url: httpx.URL) -> str:
    """Write a URL without its user; where HIDDEN stands as a key, it is not percent-encoded."""
    return _HIDDEN_IN_URL.sub(HIDDEN, str(url.copy_with(userinfo=b"")))


def _object(content: JsonObject) -> dict[str, JsonValue]:
    return {_text(key): _value(item) for key, item in content.items()}


def _value(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return _text(value)
        case list():
            return [_value(item) for item in value]
        case dict():
            return _object(value)
        case _:
            return value


def _text(text: str) -> str:
    if len(text) < SHORTEST_RUN and _SHORT.fullmatch(text) and read_facts(data := _decoded(text)):
        return digest_text(data)
    text = _DATA_URL.sub(lambda found: found[1] + digest_text(_decoded(found[2])), text)
    return _RUN.sub(lambda found: digest_text(_decoded(found[0])), text)


def _decoded(run: str) -> bytes:
    """Decode either alphabet, with or without padding; what is no base64 stays as it is."""
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return pybase64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return run.encode()
