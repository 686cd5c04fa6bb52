"""Fields of an object in JSON Schema, as OpenAPI documents of models hold them: which there are, and what they take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MOST_STEPS = 20
"""References that are followed to one schema, and alternatives that are looked at."""

_MOST_DEPTH = 3
"""Of alternatives in alternatives."""

_MOST_STRINGS = 200
"""Values of one field that are read."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its schema and the alternatives in it, with references resolved."""

    forms: tuple[Mapping[str, object], ...]

    def strings(self) -> tuple[str, ...]:
        """List the strings that it takes; () = any, or none."""
        if any(form.get("type") == "string" and "enum" not in form and "const" not in form for form in self.forms):
            return ()
        found: dict[str, None] = {}
        for form in self.forms:
            listed = form.get("enum") or ([form["const"]] if "const" in form else [])
            found |= {value: None for value in listed if isinstance(value, str)} if isinstance(listed, list) else {}
        return tuple(found)[:_MOST_STRINGS]

    def bound(self, key: str) -> int | None:
        """Read a bound, such as "maximum" or "maxItems"; None = there is none, or none that is a positive integer."""
        bounds = (form.get(key) for form in self.forms)
        plain = (bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool))
        return next((bound for bound in plain if bound > 0), None)

    def has_type(self, name: str) -> bool:
        """Tell whether it takes values of a type, such as "array"."""
        return any(form.get("type") == name for form in self.forms)


def as_object(value: object) -> Mapping[str, object]:
    """Take an object; empty = it is none."""
    return value if isinstance(value, Mapping) else {}


def schemas_in(document: object) -> Mapping[str, object]:
    """Find the named schemas of an OpenAPI document."""
    return as_object(as_object(as_object(document).get("components")).get("schemas"))


def resolved(shape: object, schemas: Mapping[str, object]) -> Mapping[str, object]:
    """Follow references to a schema; empty = they lead nowhere."""
    form = as_object(shape)
    for _ in range(_MOST_STEPS):
        reference = form.get("$ref")
        if not isinstance(reference, str):
            return form
        form = as_object(schemas.get(reference.rpartition("/")[2]))
    return {}


def fields_of(shape: object, schemas: Mapping[str, object]) -> dict[str, Field]:
    """Read the fields of an object's schema, in their order."""
    properties = as_object(resolved(shape, schemas).get("properties"))
    return {name: Field(tuple(_forms(field, schemas))) for name, field in properties.items()}


def required_in(shape: object, schemas: Mapping[str, object]) -> frozenset[str]:
    """Read which fields must be there."""
    required = resolved(shape, schemas).get("required")
    return frozenset(name for name in required if isinstance(name, str)) if isinstance(required, list) else frozenset()


def _forms(shape: object, schemas: Mapping[str, object], depth: int = _MOST_DEPTH) -> Iterator[Mapping[str, object]]:
    form = resolved(shape, schemas)
    yield form
    if depth:
        for key in ("anyOf", "oneOf", "allOf"):
            alternatives = form.get(key)
            for alternative in alternatives[:_MOST_STEPS] if isinstance(alternatives, list) else ():
                yield from _forms(alternative, schemas, depth - 1)
