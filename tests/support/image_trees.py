"""JSON trees with images in them, in a form that can be compared."""

from typing import Any

from imagegen_server.http.image_json import EncodedImage


def plain(tree: Any) -> Any:
    """The tree with every image as ("image", its text)."""
    if isinstance(tree, EncodedImage):
        return ("image", bytes(tree.text))
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    return tree


def image(text: str) -> tuple[str, bytes]:
    """What `plain` makes of an image."""
    return ("image", text.encode())
