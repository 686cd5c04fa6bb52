"""The fake is as strict as the vendor's OpenAPI document, where STABILITY_OPENAPI_SPEC names a copy.

The document is not ours to ship. The vendor serves it at api.stability.ai/v2alpha/openapi.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from imagegen_server.domain.errors import Reason
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.providers.stability.errors import error_of_answer, error_of_question

from tests.support.openapi import require_openapi
from tests.support.stability_fields import FORMS, MODELS, Number, OneOf, Picture, Text

SPEC = "STABILITY_OPENAPI_SPEC"
PREFIX = "/v2beta/stable-image/"

_WITHOUT_WORDS = {"edit/erase"}
"""The document wants a prompt of it, for which it has no field; the vendor wants none."""

REASONS = {
    "payload_too_large": Reason.CONTEXT_LENGTH_EXCEEDED,
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "internal_error": Reason.PROVIDER_ERROR,
    "content_moderation": Reason.CONTENT_FILTERED,
    "public_figure": Reason.CONTENT_FILTERED,
    "invalid_language": Reason.INVALID_REQUEST,
    "generation_not_found": Reason.PROVIDER_ERROR,
}
_STATUSES = {"payload_too_large": 413, "rate_limit_exceeded": 429, "internal_error": 500, "content_moderation": 403}


def document() -> Any:
    """Read the copy, or skip the test."""
    return json.loads(require_openapi(SPEC).read_text(encoding="utf-8"))


def resolved(node: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references; of several schemas that hold together the later goes before the earlier."""
    if "$ref" in node:
        target: Any = whole
        for part in str(node["$ref"]).split("/")[1:]:
            target = target[part]
        return resolved(target, whole)
    merged: dict[str, Any] = {}
    for inner in node.get("allOf", []):
        merged |= resolved(inner, whole)
    return merged | {key: value for key, value in node.items() if key != "allOf"}


def form_of(path: str, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tell the schema of a service's form."""
    content = whole["paths"][PREFIX + path]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    return resolved(content["multipart/form-data"]["schema"], whole)


def test_every_service_of_the_document_is_there() -> None:
    """No more, and no fewer; those that answer later say so in their summary."""
    whole = document()
    paths = {path.removeprefix(PREFIX): item for path, item in whole["paths"].items() if path.startswith(PREFIX)}
    posted = {path: item["post"] for path, item in paths.items() if "post" in item}

    assert posted.keys() == FORMS.keys()
    assert {path for path, post in posted.items() if "(async)" in post["summary"]} == {
        path for path, form in FORMS.items() if form.later
    }
    assert "/v2beta/results/{id}" in whole["paths"]


@pytest.mark.parametrize("path", FORMS)
def test_every_field_is_that_of_the_document(path: str) -> None:
    """Its name, whether it must be there, its kind and its range."""
    whole = document()
    schema, form = form_of(path, whole), FORMS[path]
    required = set(schema["required"]) - ({"prompt"} if path in _WITHOUT_WORDS else set())

    assert form.fields.keys() == schema["properties"].keys()
    assert form.wanted.keys() == required
    for name, check in form.fields.items():
        field = resolved(schema["properties"][name], whole)
        match check:
            case Number():
                assert field["type"] in {"number", "integer"}, name
                assert (field["minimum"], field["maximum"]) == (check.least, check.most), name
                assert check.whole or field["type"] == "number", name
            case OneOf() if name == "model":
                assert set(field["enum"]) < set(MODELS) < set(check.words)
                assert all(word in field["description"] for word in check.words)
            case OneOf():
                assert set(field["enum"]) == set(check.words), name
            case Text():
                assert field["type"] == "string", name
                assert (field.get("minLength", 0), field["maxLength"]) == (check.least, 10_000), name
            case Picture():
                assert field["format"] == "binary", name
                check_limits(check, field["description"], name)
            case _:
                pytest.fail(f"{name} is checked by something else")


def check_limits(check: Picture, description: str, name: str) -> None:
    """Hold limits of a picture against what the document says in words."""
    if name == "mask":
        assert "black and white" in description
        return
    text = description.replace(",", "")
    assert f"{check.least_side} " in text, name
    if check.most_pixels < 10**12:
        assert f"{check.most_pixels} pixels" in text, name
    else:
        assert "9437184" not in text, name
    assert ("2.5:1" in text) is (check.most_ratio == 2.5), name
    if check.most_side < 10**9:
        assert f"{check.most_side} pixels" in text, name


def examples(node: Any) -> Iterator[Mapping[str, Any]]:
    """Find the bodies of errors that the document shows."""
    if isinstance(node, list):
        for item in node:
            yield from examples(item)
    elif isinstance(node, dict):
        if isinstance(node.get("errors"), list) and isinstance(node.get("name"), str):
            yield node
        for item in node.values():
            yield from examples(item)


def test_every_error_that_the_document_shows_is_known() -> None:
    """With the reason that it stands for; other vendors' media are none of ours."""
    found = {example["name"]: example for example in examples(document()["components"])}

    assert found.keys() - {"copyrighted_content"} == REASONS.keys()
    for name, reason in REASONS.items():
        status = _STATUSES.get(name, 404 if name == "generation_not_found" else 422)
        context = ErrorContext("stability", "api.stability.ai", status, {}, "", "")
        read = error_of_question if name == "generation_not_found" else error_of_answer
        error = read(context, json.dumps(found[name]).encode())

        assert (error.reason, error.provider_code) == (reason, name)


def test_facts_stand_in_headers() -> None:
    """As long as bytes are asked for, which is why they are."""
    components = document()["components"]
    accept = components["parameters"]["AcceptImage"]["schema"]["enum"]
    success = components["responses"]["ImageGenerationSuccess"]["headers"]

    assert set(accept) == {"image/*", "application/json"}
    assert set(components["parameters"]["AcceptResult"]["schema"]["enum"]) == {"*/*", "application/json"}
    assert {"x-request-id", "finish-reason", "seed"} <= success.keys()
    assert set(components["headers"]["ImageFinishReason"]["schema"]["enum"]) == {"SUCCESS", "CONTENT_FILTERED"}
