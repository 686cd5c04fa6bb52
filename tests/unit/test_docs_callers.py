"""What the docs say of callers and TLS is true."""

import hashlib
import re
import textwrap
from pathlib import Path

import pytest
from imagegen_server.cli import _make_token
from imagegen_server.config import load_config
from imagegen_server.config.callers import CallersFile, CallerTable
from imagegen_server.config.tls import TlsTable
from imagegen_server.rpc import watched
from imagegen_server.rpc.callers import CERTIFICATE_PREFIX

from tests.support.callers import Safe
from tests.support.settings import TYPES, write

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = (
    (DOCS / "operations.md").read_text().partition("\n## Callers from other machines\n")[2].partition("\n## ")[0]
)
CONFIGURATION = (DOCS / "configuration.md").read_text()


def blocks(kind: str) -> list[str]:
    """Take the examples of a kind out of the section about callers."""
    found = re.findall(rf"^ *```{kind}\n(.+?)^ *```", OPERATIONS, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for text in found]


def keys(heading: str) -> list[str]:
    """Read the keys of the tables under a heading of configuration.md."""
    section = re.split(r"\n#+ ", CONFIGURATION.partition(f"\n### {heading}\n")[2])[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_configuration_page_names_every_key_of_tls_and_callers() -> None:
    """A key that comes or goes changes the page."""
    assert keys("TLS") == list(TlsTable.model_fields)
    outside = [key for key in CallersFile.model_fields if key != "callers"]
    assert keys("The file of callers") == [*CallerTable.model_fields, *outside]
    assert f"`{CERTIFICATE_PREFIX}`" in CONFIGURATION
    assert watched.LOOK_SECONDS == 1.0


def test_the_examples_of_the_operations_page_are_right(tmp_path: Path) -> None:
    """The file of callers has the token that is shown beside it, and the configuration may listen anywhere."""
    callers, server = blocks("toml")
    safe = Safe(tmp_path)
    table, tokens = safe.tls(), safe.tokens(callers)

    known = tokens.read()
    for name, path in (("server.pem", table.cert), ("server.key", table.key), ("callers.toml", tokens.file)):
        assert f"/etc/imagegen/{name}" in server
        server = server.replace(f"/etc/imagegen/{name}", str(path))
    loaded = load_config(TYPES, path=write(tmp_path, server))

    assert (loaded.server.tls, loaded.server.tokens) == (table, tokens)
    (token,) = re.findall(r"^igt_\S+$", blocks("console")[0], re.MULTILINE)
    assert known.tokens[hashlib.sha256(token.encode()).digest()].name == "billing"
    assert {caller.name for caller in known.certificates.values()} == {"batch"}


def test_the_command_prints_what_the_page_shows(capfd: pytest.CaptureFixture[str]) -> None:
    """But for the token, which is another each time."""
    _make_token()
    out, err = capfd.readouterr()
    hidden = re.compile(r"igt_\S+|sha256:\w+")

    assert hidden.sub("X", blocks("console")[0]) == "$ imagegen-server new-token\n" + hidden.sub("X", err + out)


def test_the_python_example_is_python() -> None:
    """And names what there is."""
    (example,) = blocks("python")

    compile(example, "operations.md", "exec")
    assert "imagegen.Client(" in example
