"""Refusals of the fake OpenAI: the error bodies of the real one."""

from .vendor import RefusalError


class Refused(RefusalError):
    """A request that is answered with an error: the status, and the body's `error` object."""

    def __init__(self, message: str, *, code: str | None, param: str | None = None, status: int = 400) -> None:
        """Keep the four members of the object."""
        said = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        super().__init__(status, {"error": said})


def wrong_key(shown: str) -> Refused:
    """Tell that the key is not known; the message shows only the ends of it."""
    masked = f"{shown[:3]}{'*' * max(0, len(shown) - 7)}{shown[-4:]}" if len(shown) > 7 else "*" * len(shown)
    message = f"Incorrect API key provided: {masked}. You can find your API key at https://platform.openai.com/account/api-keys."
    return Refused(message, code="invalid_api_key", status=401)


def missing_key() -> Refused:
    """Tell that there is no usable Authorization header."""
    return Refused(
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
        code="invalid_api_key",
        status=401,
    )


def unknown_model(model: str) -> Refused:
    """Tell that a model is unknown or retired."""
    return Refused(f"The model '{model}' does not exist.", code="model_not_found", param="model", status=404)


def unknown_parameter(name: str) -> Refused:
    """Tell that a parameter is not known to the operation or the model."""
    return Refused(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)


def missing_parameter(name: str) -> Refused:
    """Tell that a required parameter is missing."""
    return Refused(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def duplicate_parameter(name: str) -> Refused:
    """Tell that a parameter that may stand once stands twice."""
    return Refused(f"Duplicate parameter: '{name}'.", code="duplicate_parameter", param=name)


def wrong_type(name: str, wanted: str, value: object) -> Refused:
    """Tell that a value has another type."""
    given = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal"}.get(type(value), "an object")
    return Refused(
        f"Invalid type for '{name}': expected {wanted}, but got {given} instead.", code="invalid_type", param=name
    )


def wrong_value(name: str, message: str) -> Refused:
    """Tell that a value cannot be had."""
    return Refused(f"Invalid value for '{name}': {message}", code="invalid_value", param=name)


def wrong_file_type(name: str, given: str | None) -> Refused:
    """Tell that a file has no content type, or not one of the three."""
    if given is None:
        return Refused(f"Invalid file '{name}': missing mimetype.", code="missing_file_mimetype", param=name)
    message = (
        f"Invalid file '{name}': unsupported mimetype ('{given}'). "
        "Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
    )
    return Refused(message, code="unsupported_file_mimetype", param=name)


def wrong_image(name: str, message: str, code: str = "invalid_image_file") -> Refused:
    """Tell that a file is not the picture it should be."""
    return Refused(f"Invalid image file '{name}': {message}", code=code, param=name)
