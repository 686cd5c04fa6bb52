"""The façade: what the package gives to others."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import imagegen
from imagegen import AsyncClient, AsyncImageModel, AsyncImageStream, Client, ImageModel, ImageStream


def test_all_is_what_there_is() -> None:
    """Each name in __all__ exists, sorted, and no public name is missing."""
    public = {
        name for name, value in vars(imagegen).items() if not name.startswith("_") and not inspect.ismodule(value)
    }

    assert sorted(imagegen.__all__) == imagegen.__all__
    assert set(imagegen.__all__) == public | {"__version__"}


def test_public_names_are_documented() -> None:
    """Each public class and method says what it does."""
    silent = [
        f"{name}.{member}"
        for name in imagegen.__all__
        if inspect.isclass(owner := getattr(imagegen, name))
        for member, value in vars(owner).items()
        if not member.startswith("_") and callable(value) and not inspect.getdoc(value)
    ]

    assert silent == []


def test_the_two_faces_agree() -> None:
    """The synchronous classes have the methods of the asynchronous ones, with the same parameters."""
    for synchronous, asynchronous in (
        (Client, AsyncClient),
        (ImageModel, AsyncImageModel),
        (ImageStream, AsyncImageStream),
    ):
        missing = _public(asynchronous) - _public(synchronous)
        assert missing <= {"aclose", "images_stub", "models_stub"}, synchronous
        for name in _public(asynchronous) & _public(synchronous):
            one, two = getattr(synchronous, name), getattr(asynchronous, name)
            if inspect.isfunction(one) and inspect.isfunction(two):
                assert list(inspect.signature(one).parameters) == list(inspect.signature(two).parameters), name


def test_readme_examples_are_python() -> None:
    """Every Python block of the README parses, and names that it imports from imagegen exist."""
    readme = (Path(__file__).parents[3] / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)

    assert blocks
    for block in blocks:
        for node in ast.walk(compile(block, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)):
            if isinstance(node, ast.ImportFrom) and node.module == "imagegen":
                assert {alias.name for alias in node.names} <= set(imagegen.__all__)


def _public(owner: type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}
