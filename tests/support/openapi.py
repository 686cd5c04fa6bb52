"""Schemas of an OpenAPI 3.1 document as JSON Schema validators."""

import functools
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

OPENAI_SPEC = "OPENAI_OPENAPI_SPEC"
"""The environment variable that holds the path of OpenAI's OpenAPI document."""
OPEN_ENUMS = ("model", "size", "quality", "output_format")
"""Properties whose values OpenAI adds to between two editions of its document."""
_URI = "urn:openapi"


def require_openapi(variable: str = OPENAI_SPEC) -> Path:
    """Return the path of a document, or skip the test by name: nobody must have a document that is not ours to ship."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} names no OpenAPI document")
    return Path(path)


def validator(
    schema_name: str, open_enums: Collection[str] = OPEN_ENUMS, variable: str = OPENAI_SPEC, *, closed: bool = True
) -> Validator:
    """Make a validator for components.schemas[schema_name]; skip the test if the document is not there.

    `nullable: true` is understood, though OpenAPI 3.1 has it no more, and `format: binary` takes bytes and nothing
    else. The enums of the properties in open_enums are not checked, all others are. `closed`: there may be no
    properties but those of the schema, which the document itself does not say.
    """
    registry = _registry(require_openapi(variable), frozenset(open_enums))
    wanted: dict[str, Any] = {"$ref": f"{_URI}#/components/schemas/{schema_name}"}
    if closed:
        wanted["unevaluatedProperties"] = False
    kinds = Draft202012Validator.TYPE_CHECKER.redefine("binary", lambda _, value: isinstance(value, bytes))
    made: Validator = extend(Draft202012Validator, type_checker=kinds)(  # type: ignore[no-untyped-call]
        wanted, registry=registry
    )
    return made


@functools.cache
def _registry(path: Path, open_enums: frozenset[str]) -> Registry[Any]:
    document = _as_json_schema(_document(path), open_enums, is_open=False)
    registry: Registry[Any] = Registry().with_resource(_URI, DRAFT202012.create_resource(document))
    return registry


@functools.cache
def _document(path: Path) -> Any:
    # The loader in C reads the whole document of OpenAI in seconds, the other one in a minute.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), loader)


def _as_json_schema(node: Any, open_enums: frozenset[str], *, is_open: bool) -> Any:
    """Copy a document, with what OpenAPI says in its own words said in JSON Schema's."""
    if isinstance(node, list):
        return [_as_json_schema(item, open_enums, is_open=is_open) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: {name: _as_json_schema(item, open_enums, is_open=name in open_enums) for name, item in value.items()}
        if key == "properties"
        else _as_json_schema(value, open_enums, is_open=is_open)
        for key, value in node.items()
        if not (is_open and key == "enum")
    }
    if schema.get("format") == "binary":
        schema["type"] = "binary"
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
