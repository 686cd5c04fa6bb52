"""Fields are read from JSON Schema as OpenAPI documents of models write them."""

import pytest
from imagegen_server.http.json_schema import Field, fields_of, required_in, schemas_in

DOCUMENT = {
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["prompt", 3],
                "properties": {
                    "prompt": {"type": "string"},
                    "ratio": {"allOf": [{"$ref": "#/components/schemas/ratio"}], "default": "1:1"},
                    "size": {"anyOf": [{"$ref": "#/components/schemas/Size"}, {"enum": ["1K", "2K"]}]},
                    "count": {"type": "integer", "minimum": 1, "maximum": 4},
                    "images": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
                    "kind": {"const": "plain", "type": "string"},
                    "odd": {"$ref": "#/components/schemas/loop", "maximum": True},
                    "none": None,
                },
            },
            "ratio": {"enum": ["1:1", "16:9", 7], "type": "string"},
            "Size": {"type": "object", "properties": {}},
            "loop": {"$ref": "#/components/schemas/loop"},
        }
    }
}
SCHEMAS = schemas_in(DOCUMENT)


def fields() -> dict[str, Field]:
    """Read those of the document."""
    return fields_of({"$ref": "#/components/schemas/Input"}, SCHEMAS)


@pytest.mark.parametrize(
    ("name", "strings"),
    [
        ("prompt", ()),
        ("ratio", ("1:1", "16:9")),
        ("size", ("1K", "2K")),
        ("count", ()),
        ("kind", ("plain",)),
        ("odd", ()),
        ("none", ()),
    ],
)
def test_the_strings_of_a_field(name: str, strings: tuple[str, ...]) -> None:
    """Those of its enumerations, also behind references and alternatives; none where any text may stand."""
    assert fields()[name].strings() == strings


def test_bounds_and_types() -> None:
    """Positive integers only."""
    found = fields()

    assert (found["count"].bound("maximum"), found["count"].bound("exclusiveMaximum")) == (4, None)
    assert (found["images"].bound("maxItems"), found["odd"].bound("maximum")) == (8, None)
    assert (found["images"].has_type("array"), found["count"].has_type("array")) == (True, False)


def test_what_must_be_there() -> None:
    """Names alone."""
    assert required_in({"$ref": "#/components/schemas/Input"}, SCHEMAS) == {"prompt"}


@pytest.mark.parametrize("document", [None, [], {"components": 3}, {"components": {"schemas": "x"}}])
def test_what_is_no_document_has_no_fields(document: object) -> None:
    """Nothing is raised."""
    schemas = schemas_in(document)

    assert fields_of({"$ref": "#/components/schemas/Input"}, schemas) == {}
    assert required_in({"$ref": "#/components/schemas/Input"}, schemas) == frozenset()
