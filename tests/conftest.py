"""What every test has."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.redis_server import redis_server

# How long an example takes says something of the machine, and nothing of the code. CI has the time for more of them.
settings.register_profile("people", deadline=None, max_examples=20)
settings.register_profile("machines", deadline=None, max_examples=100)
settings.load_profile("machines" if os.environ.get("CI") else "people")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_VENDORS = ("AWS_", "AZURE_", "FAL_", "GOOGLE_", "REPLICATE_")
"""Whose variables hold keys and places."""


_PROVIDERS = Path(__file__).parent / "providers"


def _left_out(path: Path) -> bool:
    """Tell what takes minutes and is run by CI, by `make conformance`, and for those who name a place in it.

    It is what one vendor alone does, and the contract of all. Not what every answer of a vendor means, nor anything of
    openai's, which the tests of the whole service stand on.
    """
    vendor = path.relative_to(_PROVIDERS).parts[0]
    return path.suffix == ".py" and vendor != "openai" and path.name != "test_wire.py"


def _asked_for(config: pytest.Config) -> bool:
    places = (Path(argument.partition("::")[0]).resolve() for argument in config.invocation_params.args)
    return bool(os.environ.get("CI")) or any(place.is_relative_to(_PROVIDERS) for place in places if place.exists())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asks for."""
    ours = collection_path.is_relative_to(_PROVIDERS) and collection_path != _PROVIDERS
    return True if ours and _left_out(collection_path) and not _asked_for(config) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, unless only other places were asked for."""
    if not _asked_for(config) and not any("tests" in argument for argument in config.invocation_params.args):
        files = sum(_left_out(path) for path in _PROVIDERS.rglob("test_*.py"))
        terminalreporter.write_line(f"LEFT OUT [{files} files] tests/providers: run by `make conformance`, and in CI")


@pytest.hookimpl(optionalhook=True)  # The client's tests run without xdist, too.
def pytest_xdist_auto_num_workers() -> int:
    """Have half as many more than processors for `-n auto`: a third of the time tests wait for what is to happen."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves: some millions of objects that stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the settings, keys, proxies or certificates of whoever runs it."""
    for name in list(os.environ):
        ours = name.startswith(("IMAGEGEN", *_VENDORS)) or name.endswith(("_API_KEY", "_API_TOKEN"))
        if ours or name.upper().endswith("_PROXY") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def redis() -> Iterator[Callable[[], str]]:
    """Start a Redis server for the first test that asks where it is, and share it among all of them."""
    with ExitStack() as stack:
        started: list[str] = []

        def url() -> str:
            if not started:
                started.append(stack.enter_context(redis_server()).url)
            return started[0]

        yield url
