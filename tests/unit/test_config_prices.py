"""[prices]: what the operator pays, by model."""

from pathlib import Path

import pytest
from imagegen_server.config import Config, load_config
from imagegen_server.generation.prices import Price

from tests.support.settings import TYPES, complaint, keys, write


def read(folder: Path, text: str) -> Config:
    """Load a file."""
    return load_config(TYPES, path=write(folder, text))


def refused(folder: Path, text: str) -> list[str]:
    """Name the keys for which a file is refused."""
    return keys(complaint(lambda: read(folder, text)))


def test_no_prices_are_built_in() -> None:
    """Nobody but the operator knows what a picture costs."""
    assert load_config(TYPES).prices == {}


def test_a_file_sets_every_price(tmp_path: Path) -> None:
    """Those not given stay unknown, and are not 0; a model's name may have slashes and dots."""
    prices = read(
        tmp_path,
        """
        [prices."sandbox/scene"]
        currency = "EUR"
        input_text = 5
        input_image = 10.5
        output_text = 0
        output_image = 40
        image = 0.04
        [prices."sandbox/a/b-1.5"]
        image = 1
        """,
    ).prices

    assert prices == {
        "sandbox/scene": Price("EUR", 5.0, 10.5, 0.0, 40.0, 0.04),
        "sandbox/a/b-1.5": Price("USD", image=1.0),
    }


def test_the_environment_sets_prices_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They win over those of the file, key by key."""
    monkeypatch.setenv("IMAGEGEN__PRICES", '{"sandbox/scene": {"input_text": 7}, "sandbox/slow": {"image": 2}}')

    prices = read(tmp_path, '[prices."sandbox/scene"]\ninput_text = 5\noutput_image = 40').prices

    assert prices == {"sandbox/scene": Price(input_text=7.0, output_image=40.0), "sandbox/slow": Price(image=2.0)}


@pytest.mark.parametrize("key", ["input_text", "input_image", "output_text", "output_image", "image"])
@pytest.mark.parametrize("value", ["-0.1", "nan", "inf", "1e13", "'much'", "[]", "{}"])
def test_what_is_no_price_is_named(tmp_path: Path, key: str, value: str) -> None:
    """A price is a finite number that is not negative, and small enough for every sum."""
    assert refused(tmp_path, f'[prices."sandbox/scene"]\n{key} = {value}') == [f"prices.sandbox/scene.{key}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[prices."sandbox/scene"]\ncurrency = ""', "prices.sandbox/scene.currency"),
        ('[prices."sandbox/scene"]\ncurrency = 3', "prices.sandbox/scene.currency"),
        (f'[prices."sandbox/scene"]\ncurrency = "{"x" * 33}"', "prices.sandbox/scene.currency"),
        ('[prices."sandbox/scene"]\ninput = 3', "prices.sandbox/scene.input"),
        ('[prices]\n"sandbox/scene" = 3', "prices.sandbox/scene"),
        ("prices = 3", "prices"),
        ("[prices.scene]\nimage = 1", "prices.scene"),
        ("[prices.'sandbox/']\nimage = 1", "prices.sandbox/"),
        ("[prices.'/scene']\nimage = 1", "prices./scene"),
        ("[prices.'other/scene']\nimage = 1", "prices.other/scene"),
        ("[prices.sandbox.scene]\nimage = 1", "prices.sandbox.scene"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, expected: str) -> None:
    """A price is that of a model of a configured provider; aliases have none of their own."""
    assert refused(tmp_path, text) == [expected]


def test_prices_are_told_with_everything_else_that_is_wrong(tmp_path: Path) -> None:
    """Providers, aliases and prices at once."""
    text = "[providers.a]\n[aliases]\nd = 'x'\n[prices.'b/c']\n[prices.d]"

    assert refused(tmp_path, text) == ["providers.a.type", "aliases.d", "prices.b/c", "prices.d"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PRICES", '{"sandbox/scene": {"image": -1}}', "prices.sandbox/scene.image"),
        ("PRICES", '{"other/x": {"image": 1}}', "prices.other/x"),
        ("PRICES__SCENE__IMAGE", "1", "prices.scene"),
    ],
)
def test_a_wrong_variable_is_named_as_its_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    """As for the file."""
    monkeypatch.setenv(f"IMAGEGEN__{name}", value)

    assert keys(complaint(lambda: load_config(TYPES))) == [expected]


def test_an_unknown_provider_is_answered_with_the_configured_ones(tmp_path: Path) -> None:
    """Who mistypes it reads which there are."""
    text = "[providers.far]\ntype = 'remote'\n[prices.'fra/x']\nimage = 1"

    (line,) = complaint(lambda: read(tmp_path, text))

    assert line.endswith("provider 'fra' is not configured (configured: far, sandbox)")
