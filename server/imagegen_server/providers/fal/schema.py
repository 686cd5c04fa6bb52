"""The fields of a model's request, read from its OpenAPI document."""

from collections.abc import Iterator, Mapping

from .inputs import Inputs

_MOST_STEPS = 20
"""References that are followed to one schema, and alternatives that are looked at."""

_MOST_DEPTH = 3
"""Of alternatives in alternatives."""

_STRINGS = 200
"""Values of one field that are read."""


def inputs_in(document: object) -> Inputs | None:
    """Read the fields of the body that the document's first POST takes; None = it tells none."""
    schemas = _object(_object(_object(document).get("components")).get("schemas"))
    for methods in _object(_object(document).get("paths")).values():
        content = _object(_object(_object(_object(methods).get("post")).get("requestBody")).get("content"))
        body = _resolved(_object(content.get("application/json")).get("schema"), schemas)
        if properties := _object(body.get("properties")):
            return _inputs(properties, body.get("required"), schemas)
    return None


def _inputs(properties: Mapping[str, object], required: object, schemas: Mapping[str, object]) -> Inputs:
    forms = {name: list(_forms(shape, schemas)) for name, shape in properties.items()}
    values = {name: strings for name, of_it in forms.items() if (strings := _strings(of_it))}
    size = forms.get("image_size", [])
    return Inputs(
        frozenset(properties),
        frozenset(name for name in required if isinstance(name, str)) if isinstance(required, list) else frozenset(),
        values,
        pixels=any("width" in _object(form.get("properties")) for form in size),
        most_images=(_bound(forms["num_images"], "maximum") or 1) if "num_images" in forms else 1,
        most_inputs=_bound(forms.get("image_urls", []), "maxItems"),
    )


def _forms(shape: object, schemas: Mapping[str, object], depth: int = _MOST_DEPTH) -> Iterator[Mapping[str, object]]:
    """Yield a field's schema and its alternatives, with references resolved."""
    form = _resolved(shape, schemas)
    yield form
    if depth:
        for key in ("anyOf", "oneOf", "allOf"):
            alternatives = form.get(key)
            for alternative in alternatives[:_MOST_STEPS] if isinstance(alternatives, list) else ():
                yield from _forms(alternative, schemas, depth - 1)


def _resolved(shape: object, schemas: Mapping[str, object]) -> Mapping[str, object]:
    form = _object(shape)
    for _ in range(_MOST_STEPS):
        reference = form.get("$ref")
        if not isinstance(reference, str):
            return form
        form = _object(schemas.get(reference.rpartition("/")[2]))
    return {}


def _strings(forms: list[Mapping[str, object]]) -> tuple[str, ...]:
    """List the strings that a field takes; () = any, or none."""
    if any(form.get("type") == "string" and "enum" not in form and "const" not in form for form in forms):
        return ()
    found: dict[str, None] = {}
    for form in forms:
        listed = form.get("enum") or ([form["const"]] if "const" in form else [])
        found |= {value: None for value in listed if isinstance(value, str)} if isinstance(listed, list) else {}
    return tuple(found)[:_STRINGS]


def _bound(forms: list[Mapping[str, object]], key: str) -> int | None:
    bounds = [form[key] for form in forms if key in form]
    return next(
        (bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool) and bound > 0), None
    )


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
