"""The API as the pages see it: descriptors, and the comments that stand in the .proto files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

PACKAGE = "imagegen.v1"
Type: TypeAlias = Descriptor | EnumDescriptor


class PageError(Exception):
    """A page cannot be made. The message names what is wrong in proto/."""


@dataclass(frozen=True, slots=True)
class Api:
    """The files of one package. `comments` by full name; of an enum value by the enum's full name and its own."""

    files: tuple[FileDescriptor, ...]
    comments: dict[str, str]

    def comment(self, name: str) -> str:
        """Give the comment of a name in the package, its lines as they are; "" = there is none."""
        return self.comments.get(f"{PACKAGE}.{name}", "")

    @property
    def services(self) -> list[ServiceDescriptor]:
        """All services, by name."""
        found = [service for file in self.files for service in file.services_by_name.values()]
        return sorted(found, key=lambda service: service.name)

    @property
    def types(self) -> list[Type]:
        """Messages and enums as a reader meets them: those of the first method, each with what it holds, and so on."""
        found: dict[str, Type] = {}

        def visit(kind: Type) -> None:
            if kind.full_name in found:
                return
            found[kind.full_name] = kind
            for field in kind.fields if isinstance(kind, Descriptor) else ():
                if (held := own_type(field)) is not None:
                    visit(held)

        for service in self.services:
            for method in service.methods:
                visit(method.input_type)
                visit(method.output_type)
        for file in self.files:
            for message in file.message_types_by_name.values():
                visit(message)
        return list(found.values())


def build(root: Path) -> FileDescriptorSet:
    """Compile the .proto files of a repository, comments included.

    :raises PageError: buf is missing, or finds a fault
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    buf = shutil.which("buf", path=path)
    if buf is None:
        raise PageError("buf is neither beside this Python nor on the PATH")
    done = subprocess.run(
        [buf, "build", str(root), "-o", "-", "--as-file-descriptor-set"], capture_output=True, check=False
    )
    if done.returncode:
        raise PageError(done.stderr.decode().strip())
    return FileDescriptorSet.FromString(done.stdout)


def read(files: FileDescriptorSet) -> Api:
    """Make descriptors of all files, and collect the comments of the package's own."""
    pool = DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    own = [file for file in files.file if file.package == PACKAGE]
    comments = {name: text for file in own for name, text in _comments(file)}
    return Api(tuple(pool.FindFileByName(file.name) for file in own), comments)


def map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor] | None:
    """Give key and value of a map, which the descriptor writes as a repeated message; None = the field is no map."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def own_type(field: FieldDescriptor) -> Type | None:
    """Give the message or enum of a field, for a map that of its values, if it is of this package."""
    if (entry := map_entry(field)) is not None:
        field = entry[1]
    kind = field.message_type or field.enum_type
    return kind if kind is not None and kind.file.package == PACKAGE else None


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        if location.leading_comments and len(location.path) % 2 == 0:
            text = "\n".join(line.strip() for line in location.leading_comments.strip().splitlines())
            yield f"{file.package}.{_name_at(file, list(location.path))}", text


def _name_at(file: FileDescriptorProto, path: list[int]) -> str:
    """Follow a path of field numbers and indices into a file, and join the names on the way."""
    names: list[str] = []
    node: Message = file
    for number, index in zip(path[::2], path[1::2], strict=True):
        node = getattr(node, node.DESCRIPTOR.fields_by_number[number].name)[index]
        names.append(getattr(node, "name", ""))
    return ".".join(names)
