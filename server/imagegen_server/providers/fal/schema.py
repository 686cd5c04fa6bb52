"""The fields of a model's request, read from its OpenAPI document."""

from imagegen_server.http.json_schema import as_object, fields_of, required_in, schemas_in

from .inputs import Inputs


def inputs_in(document: object) -> Inputs | None:
    """Read the fields of the body that the document's first POST takes; None = it tells none."""
    schemas = schemas_in(document)
    for methods in as_object(as_object(document).get("paths")).values():
        content = as_object(as_object(as_object(as_object(methods).get("post")).get("requestBody")).get("content"))
        body = as_object(content.get("application/json")).get("schema")
        if not (fields := fields_of(body, schemas)):
            continue
        size, count, urls = (fields.get(name) for name in ("image_size", "num_images", "image_urls"))
        return Inputs(
            frozenset(fields),
            required_in(body, schemas),
            {name: strings for name, field in fields.items() if (strings := field.strings())},
            pixels=size is not None and any("width" in as_object(form.get("properties")) for form in size.forms),
            most_images=(count.bound("maximum") or 1) if count else 1,
            most_inputs=urls.bound("maxItems") if urls else None,
        )
    return None
