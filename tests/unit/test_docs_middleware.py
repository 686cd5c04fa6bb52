"""docs/middleware.md and its rows in configuration.md say what the code does."""

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config import load_config
from imagegen_server.config.middleware import MiddlewareTable
from imagegen_server.generation import middleware
from imagegen_server.generation.middleware import Chain, Context
from imagegen_server.generation.middleware_types import ENTRY_POINT_GROUP, MiddlewareType
from imagegen_server.store import persist
from imagegen_server.store.persist import MIDDLEWARE as PERSIST
from imagegen_server.telemetry.generation_log import MIDDLEWARE as LOG

from tests.support.middleware import context_of
from tests.support.settings import TYPES, write

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "middleware.md").read_text()
INSTALLED: dict[str, MiddlewareType[Any]] = {"log": LOG, "persist": PERSIST}


def section(page: str, heading: str) -> str:
    """Read what stands under a heading."""
    return re.split(r"\n#+ ", page.partition(f"# {heading}\n")[2])[0]


def first_cells(text: str) -> list[str]:
    """Read the words in backticks of the first column of a table, in order."""
    cells = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]


def test_the_page_names_every_hook_and_no_other() -> None:
    """A hook that comes or goes changes the page."""
    assert set(first_cells(section(PAGE, "Hooks"))) == {*middleware._HOOKS, "close"}


def test_the_page_names_every_field_of_the_context() -> None:
    """And no other."""
    known = [item.name for item in fields(Context) if not item.name.startswith("_")]

    assert sorted(first_cells(section(PAGE, "The context"))) == sorted(known)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    """How long a hook may take, and what may wait for the disk."""
    text = " ".join(PAGE.split())

    assert f"**{middleware.HOOK_SECONDS:g} seconds** for each hook" in text
    assert f"more than {persist.MAX_WAITING_BYTES // 1024**2} MiB wait" in text
    assert f"waited for, {middleware.HOOK_SECONDS:g} seconds at most" in text
    assert f'"{ENTRY_POINT_GROUP}"' in text


async def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    """Its code runs, its settings come from a table, and its hook does what it says."""
    (code,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    module: dict[str, Any] = {"__name__": "style"}
    exec(compile(code, "docs/middleware.md", "exec", dont_inherit=True), module)
    kind = module["MIDDLEWARE"]
    file = write(tmp_path, '[middleware.style]\nstyle = "in oil"')
    (style,) = load_config(TYPES, path=file, middleware={"style": kind}).middleware
    context = context_of()

    await Chain([style.type.build(style.name, style.settings)]).start(context)

    assert context.request.prompt == "a boat, in oil"


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("[middleware.NAME]", {"type": "the table's name", "enabled": "`true`"}),
        ('type = "persist"', {"directory": "none", "prompts": "`false`"}),
    ],
)
def test_the_configuration_page_names_every_key_and_default(heading: str, known: dict[str, str]) -> None:
    """As the code has them, each with its variable."""
    text = section((DOCS / "configuration.md").read_text(), heading)
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \|", text, re.MULTILINE)

    assert {key: default for key, _, default in rows} == known
    assert [variable for _, variable, _ in rows] == [f"IMAGEGEN__MIDDLEWARE__NAME__{key.upper()}" for key in known]


def test_the_defaults_of_the_configuration_page_are_true() -> None:
    """Those that the test above reads from the page."""
    assert dict(MiddlewareTable()) == {"type": "", "enabled": True}
    assert {item.name: item.default for item in fields(PERSIST.settings)} == {"directory": MISSING, "prompts": False}
    assert fields(LOG.settings) == ()
    assert [one.name for one in load_config(TYPES, middleware=INSTALLED).middleware] == ["log"]


def test_the_variables_of_the_configuration_page_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sets its key."""
    for key, value in {"type": "persist", "directory": "here", "prompts": "true"}.items():
        monkeypatch.setenv(f"IMAGEGEN__MIDDLEWARE__FILES__{key.upper()}", value)

    (_, files) = load_config(TYPES, middleware=INSTALLED).middleware
    assert (files.name, files.type, files.settings) == ("files", PERSIST, PERSIST.settings("here", prompts=True))

    monkeypatch.setenv("IMAGEGEN__MIDDLEWARE__FILES__ENABLED", "false")
    assert [one.name for one in load_config(TYPES, middleware=INSTALLED).middleware] == ["log"]


def test_the_log_page_names_every_key_of_the_line() -> None:
    """Those that the middleware writes; the rest is what every line has."""
    text = (DOCS / "operations.md").read_text().partition("| key of `generation` |")[2].partition("\n\n")[0]
    source = Path(LOG.build.__globals__["__file__"]).read_text()
    written = set(re.findall(r'^        "(\w+)": ', source, re.MULTILINE)) | {"seconds", "cost", "reason", "billed"}

    assert set(first_cells(text)) == written
