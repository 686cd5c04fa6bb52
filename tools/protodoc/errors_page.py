"""docs/errors.md: what every reason means, and what an error looks like."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import EnumDescriptor
from links import slug

from .markdown import FIRST_LINE, prose, reflow, table
from .source import Api, PageError

_ENUM = "ErrorReason"
_SERVICE = "ImageService"
_DOMAIN = "imagegen"
_SHOWN = "ERROR_REASON_SERVER_BUSY"
_CODES = frozenset(code.name for code in grpc.StatusCode)
_COMMENT = re.compile(
    r"(?P<meaning>.+)\n"
    r"Code: (?P<code>.+?)\.\sBilled: (?P<billed>.+?)\.\sTry again: (?P<again>.+?)\.\n"
    r"Example: (?P<example>\{.+\})",
    re.DOTALL,
)

_KEYS = (
    "provider",
    "model",
    "stage",
    "billed",
    "http_status",
    "provider_code",
    "provider_request_id",
    "generation_id",
    "request_id",
)

_PARTS = f"""\
| part | there | what it tells |
| --- | --- | --- |
| code and message of the status | always | the code for retry layers, the message for people |
| `ErrorInfo` | always | `reason`, one of those below; `metadata`: what is known, each key only if it is |
| `RetryInfo` | where a wait is known | how long to wait before trying again |
| `BadRequest` | where fields are wrong | path and problem of each, at most 20 |
| [`GenerationFailure`](api.md#generationfailure) | once a provider was called | failed images, attempts, usage |
| trailer `imagegen-reason` | always | the reason again, in plain text |
| trailer `imagegen-billed` | always | `no`, `unknown` or `yes`: whether money may have been spent |

Keys of `metadata`: {", ".join(f"`{key}`" for key in _KEYS)}.
All details of a status together are at most 4 KiB."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of ErrorReason, as its comment describes it. `example` is an ErrorInfo in JSON."""

    name: str
    meaning: tuple[str, ...]
    code: str
    billed: str
    try_again: str
    example: dict[str, object]


def reasons(api: Api) -> list[Reason]:
    """Read every reason that is ever sent.

    :raises PageError: naming every value whose comment is not of the form that the page needs
    """
    found, wrong = [], []
    for value in _enum(api).values:
        if value.number == 0:
            continue
        try:
            found.append(parse_reason(value.name, api.comment(f"{_ENUM}.{value.name}")))
        except PageError as problem:
            wrong.append(str(problem))
    if wrong:
        raise PageError("\n".join(wrong))
    return found


def parse_reason(name: str, comment: str) -> Reason:
    """Read the comment of one value.

    :raises PageError: naming the value
    """
    match = _COMMENT.fullmatch(comment)
    if match is None:
        raise PageError(
            f'{name}: the comment must end with the lines "Code: X. Billed: Y. Try again: Z." and "Example: {{...}}"'
        )
    code, billed, again = (" ".join(match[group].split()) for group in ("code", "billed", "again"))
    try:
        example = json.loads(" ".join(match["example"].split("\n")))
    except json.JSONDecodeError as problem:
        raise PageError(f"{name}: the example is no JSON: {problem}") from None
    for fault in _faults(name, code, billed, example):
        raise PageError(f"{name}: {fault}")
    return Reason(name, tuple(reflow(match["meaning"])), code, billed, again, example)


def errors_page(api: Api) -> str:
    """Write the page.

    :raises PageError: see `reasons`
    """
    known = reasons(api)
    shown = next((reason for reason in known if reason.name == _SHOWN), known[0])
    first, *rest = reflow(api.comment(_ENUM))
    lines = [FIRST_LINE, "", "# Errors", "", prose(first), "", "## How an error looks", ""]
    for paragraph in [*_about_errors(api), *rest]:
        lines += [prose(paragraph, _address), ""]
    lines += [*_PARTS.splitlines(), ""]
    lines += [
        f"A whole status as JSON; the trailers beside it are `imagegen-reason: {shown.name}` and",
        f"`imagegen-billed: {shown.billed}`.",
        "",
        *_json_block(_whole_status(shown)),
        "",
        "## All reasons",
        "",
    ]
    lines += table(
        ("reason", "gRPC code", "billed", "try again"),
        (
            (
                f"[`{reason.name}`](#{slug(reason.name)})",
                prose(reason.code),
                prose(reason.billed),
                prose(reason.try_again),
            )
            for reason in known
        ),
    )
    lines.append("")
    for reason in known:
        lines += [f"### {reason.name}", ""]
        for paragraph in reason.meaning:
            lines += [prose(paragraph, _address), ""]
        lines += [f"- gRPC code: {prose(reason.code)}", f"- billed: {prose(reason.billed)}"]
        lines += [f"- try again: {prose(reason.try_again)}", "", *_json_block(reason.example), ""]
    return "\n".join(lines).rstrip() + "\n"


def _enum(api: Api) -> EnumDescriptor:
    for file in api.files:
        if _ENUM in file.enum_types_by_name:
            return file.enum_types_by_name[_ENUM]
    raise PageError(f"{_ENUM}: no such enum")


def _faults(name: str, code: str, billed: str, example: dict[str, object]) -> Iterator[str]:
    codes = re.findall(r"\b[A-Z_]{2,}\b", code)
    if not codes or not _CODES.issuperset(codes):
        yield f"{code!r} names no gRPC code, or one that does not exist"
    if not re.match(r"(no|unknown|yes)\b", billed):
        yield f'{billed!r} does not begin with "no", "unknown" or "yes"'
    if set(example) != {"reason", "domain", "metadata"}:
        yield "the example must have reason, domain and metadata, and nothing else"
    if example["reason"] != name:
        yield f"the example's reason is {example['reason']!r}"
    if example["domain"] != _DOMAIN:
        yield f"the example's domain is {example['domain']!r}"
    metadata = example["metadata"]
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        yield "the example's metadata must be an object of strings"
    elif unknown := sorted(set(metadata) - set(_KEYS)):
        yield f"the example's metadata has keys that no error has: {', '.join(unknown)}"
    elif metadata.get("billed") not in re.findall(r"\w+", billed):
        yield f"the example's metadata.billed is {metadata.get('billed')!r}, but the comment says {billed!r}"


def _about_errors(api: Api) -> list[str]:
    """Take from the service's comment the paragraphs that speak of errors."""
    mark = "Errors: "
    found = [text for text in reflow(api.comment(_SERVICE)) if text.startswith(mark)]
    if not found:
        raise PageError(f'{_SERVICE}: the comment has no paragraph that begins with "{mark}"')
    return ["An error is a " + text.removeprefix(mark) for text in found]


def _whole_status(reason: Reason) -> dict[str, object]:
    kind = "type.googleapis.com/google.rpc."
    return {
        "code": grpc.StatusCode[reason.code].value[0],
        "message": "1000 calls are in hand, as many as this server takes",
        "details": [
            {"@type": f"{kind}ErrorInfo", **reason.example},
            {"@type": f"{kind}RetryInfo", "retryDelay": "1s"},
        ],
    }


def _json_block(value: object) -> list[str]:
    return ["```json", *json.dumps(value, indent=2, ensure_ascii=False).splitlines(), "```"]


def _address(name: str) -> str:
    return "api.md#generationfailure" if name == "GenerationFailure" else ""
