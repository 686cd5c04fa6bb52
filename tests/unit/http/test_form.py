"""What a form says, from JSON values and input images."""

import pytest
from imagegen_server.domain.json import JsonObject
from imagegen_server.http.form import EXTENSIONS, files_named, form_of

from tests.support.generation import as_input
from tests.support.pictures import png


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, []),
        ({"prompt": "a boat", "n": 2}, [("prompt", "a boat"), ("n", "2")]),
        ({"strength": 0.5, "big": 2**53}, [("strength", "0.5"), ("big", "9007199254740992")]),
        ({"on": True, "off": False, "none": None, "empty": ""}, [("on", "true"), ("off", "false"), ("empty", "")]),
        ({"tags": ["a", 1, None]}, [("tags[]", "a"), ("tags[]", "1")]),
        ({"a": {"b": {"c": 1}, "d": [True]}}, [("a[b][c]", "1"), ("a[d][]", "true")]),
    ],
)
def test_values_become_fields(fields: JsonObject, form: list[tuple[str, str]]) -> None:
    """In their order; nothing is made up for what is null or empty."""
    assert form_of(fields) == form


def test_images_become_files() -> None:
    """One is named as one, several are numbered; each with its type."""
    first, second = as_input(png()), as_input(png(shade=9))

    assert [(file.name, file.filename) for file in files_named("image", [first])] == [("image", "image.png")]
    several = files_named("image[]", [first, second])
    assert [(file.name, file.filename) for file in several] == [("image[]", "image-1.png"), ("image[]", "image-2.png")]
    assert [file.data for file in several] == [first.data, second.data]
    assert {file.content_type for file in several} <= EXTENSIONS.keys()
