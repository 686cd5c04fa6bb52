"""docs/api.md: services, methods, messages and enums."""

import re

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    OneofDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions
from links import slug

from .markdown import FIRST_LINE, prose, reflow, table
from .source import Api, PageError, Type, map_entry

_ERRORS = "ErrorReason"
_WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/"

_INTRODUCTION = """\
The package is `imagegen.v1`. What can go wrong has [a page of its own](errors.md).

- **Unary** methods answer once. **Server streaming** methods answer with any number of messages.
- Idempotency is what the method declares: `NO_SIDE_EFFECTS` and `IDEMPOTENT` may be sent again at will. `none` means
  that a call sent again may be paid for again.
- **optional** fields tell unset from zero; so does every field that holds a message. Of a **oneof** at most one field
  is set. Any other field that is unset has its zero value.
- Field names are those of the .proto files. JSON, as in grpcurl and buf curl, also has them in lowerCamelCase, and
  writes `bytes` as base64 and `int64` as a string."""


class ApiPage:
    """Writes the page."""

    def __init__(self, api: Api) -> None:
        """Take the API to describe."""
        self._api = api
        self._types = {kind.name: kind for kind in api.types}
        self._methods = {method.name for service in api.services for method in service.methods}
        self._lines: list[str] = []
        self._anchors: set[str] = set()

    def text(self) -> str:
        """Give the whole page.

        :raises PageError: two headings would have the same anchor
        """
        self._lines, self._anchors = [FIRST_LINE, ""], set()
        self._heading(1, "API reference")
        self._lines += [*_INTRODUCTION.splitlines(), ""]
        self._contents()
        for service in self._api.services:
            self._service(service)
        self._heading(2, "Messages and enums")
        # The longest enum interrupts no reader: it comes last.
        for kind in sorted(self._types.values(), key=lambda kind: kind.name == _ERRORS):
            if isinstance(kind, Descriptor):
                self._message(kind)
            else:
                self._enum(kind)
        return "\n".join(self._lines).rstrip() + "\n"

    def _heading(self, level: int, text: str) -> None:
        if slug(text) in self._anchors:
            raise PageError(f"{text}: two headings of docs/api.md would have this name")
        self._anchors.add(slug(text))
        self._lines += [f"{'#' * level} {text}", ""]

    def _comment(self, name: str) -> None:
        for paragraph in reflow(self._api.comment(name)):
            self._lines += [prose(paragraph, self._address), ""]

    def _contents(self) -> None:
        for service in self._api.services:
            methods = ", ".join(f"[{method.name}](#{slug(method.name)})" for method in service.methods)
            self._lines.append(f"- [{service.name}](#{slug(service.name)}): {methods}")
        types = ", ".join(f"[{name}](#{slug(name)})" for name in sorted(self._types))
        self._lines += [f"- [Messages and enums](#messages-and-enums): {types}", ""]

    def _service(self, service: ServiceDescriptor) -> None:
        self._heading(2, service.name)
        self._comment(service.name)
        for method in service.methods:
            self._heading(3, method.name)
            answer = ("stream of " if method.server_streaming else "") + _link(method.output_type)
            facts = [
                f"`{service.full_name}/{method.name}`",
                f"{_link(method.input_type)} → {answer}",
                "server streaming" if method.server_streaming else "unary",
                f"idempotency {_idempotency(method)}",
            ]
            self._lines += [" · ".join(facts), ""]
            self._comment(f"{service.name}.{method.name}")

    def _message(self, message: Descriptor) -> None:
        self._heading(3, message.name)
        self._comment(message.name)
        rows: list[tuple[str, str, str, str, str]] = []
        opened: OneofDescriptor | None = None
        for field in message.fields:
            oneof = _oneof(field)
            if oneof is not None and oneof is not opened:
                rows.append(("", f"oneof `{oneof.name}`", "", "", self._cell(f"{message.name}.{oneof.name}")))
            opened = oneof
            about = self._cell(f"{message.name}.{field.name}")
            rows.append((str(field.number), f"`{field.name}`", _type(field), _label(field), about))
        self._lines += [*table(("no.", "field", "type", "label", "meaning"), rows), ""]

    def _enum(self, enum: EnumDescriptor) -> None:
        self._heading(3, enum.name)
        self._comment(enum.name)
        rows = []
        for value in enum.values:
            name, about = f"`{value.name}`", self._cell(f"{enum.name}.{value.name}")
            if enum.name == _ERRORS:
                # Code, bill and example are told on the page of errors.
                about = re.split(r" Code: ", about)[0]
                name = f"[{name}](errors.md#{slug(value.name)})" if value.number else name
            rows.append((str(value.number), name, about))
        self._lines += [*table(("no.", "value", "meaning"), rows), ""]

    def _cell(self, name: str) -> str:
        return "<br>".join(prose(paragraph, self._address) for paragraph in reflow(self._api.comment(name)))

    def _address(self, name: str) -> str:
        """Give the place of a name in a comment. Names of one plain word ("Image") are left alone: they are words."""
        first, _, field = name.partition(".")
        kind = self._types.get(first)
        if field:
            known = isinstance(kind, Descriptor) and field in kind.fields_by_name
        else:
            known = (kind is not None or first in self._methods) and len(re.findall(r"[A-Z]", first)) > 1
        return f"#{slug(first)}" if known else ""


def _link(kind: Type) -> str:
    return f"[`{kind.name}`](#{slug(kind.name)})"


def _idempotency(method: MethodDescriptor) -> str:
    level = method.GetOptions().idempotency_level
    return "none" if level == MethodOptions.IDEMPOTENCY_UNKNOWN else f"`{MethodOptions.IdempotencyLevel.Name(level)}`"


def _type(field: FieldDescriptor) -> str:
    entry = map_entry(field)
    name, address = _named_type(entry[1] if entry else field)
    name = f"`map<{_named_type(entry[0])[0]}, {name}>`" if entry else f"`{name}`"
    return f"[{name}]({address})" if address else name


def _named_type(field: FieldDescriptor) -> tuple[str, str]:
    """Give name and address of a type; the address of a scalar is empty."""
    kind = field.message_type or field.enum_type
    if kind is None:
        return FieldDescriptorProto.Type.Name(FieldDescriptorProto.Type.ValueType(field.type))[5:].lower(), ""
    if kind.full_name.startswith("google.protobuf."):
        return kind.name, f"{_WELL_KNOWN}#{slug(kind.name)}"
    return kind.name, f"#{slug(kind.name)}"


def _oneof(field: FieldDescriptor) -> OneofDescriptor | None:
    """Give the oneof that the .proto shows; `optional` makes one that it does not."""
    oneof = field.containing_oneof
    return None if oneof is None or oneof.name == f"_{field.name}" else oneof


def _label(field: FieldDescriptor) -> str:
    if field.is_repeated:
        return "" if map_entry(field) else "repeated"
    if (oneof := _oneof(field)) is not None:
        return f"oneof `{oneof.name}`"
    return "optional" if field.containing_oneof is not None else ""
