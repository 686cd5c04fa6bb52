"""What the sandbox says of itself."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.task import Options
from imagegen_server.providers.sandbox import PROVIDER, SandboxSettings
from imagegen_server.providers.sandbox.painting.words import read_mood
from imagegen_server.providers.sandbox.trouble import PARAMS

from tests.unit.providers.sandbox.kit import sandbox, task

_DOCS = Path(__file__).parents[4] / "docs" / "sandbox.md"


def test_it_comes_in_by_the_same_door_as_others() -> None:
    """An entry point names it, and on loopback it needs no table."""
    (entry,) = [entry for entry in entry_points(group="imagegen.providers") if entry.name == "sandbox"]

    assert PROVIDER is entry.load()
    assert ("sandbox", SandboxSettings, True) == (PROVIDER.name, PROVIDER.settings, PROVIDER.implicit_on_loopback)


async def test_the_models_are_listed() -> None:
    """The scene, one for each reason, and the other scripts, each once."""
    models = {model.id: model for model in await sandbox().models()}

    assert {f"fail-{reason.name.lower().replace('_', '-')}" for reason in Reason} < models.keys()
    assert {"scene", "slow", "stall", "truncated", "wrong-type", "partial", "bytes", "garbage"} < models.keys()
    assert len(models) == len(await sandbox().models())
    assert all(model.known and model.display_name for model in models.values())


async def test_what_is_listed_is_what_is_told() -> None:
    """Asking for one model gives the same as the list."""
    provider = sandbox()

    assert [provider.model(model.id) for model in await provider.models()] == await provider.models()


def test_the_scene_can_do_everything() -> None:
    """So that every option of the API can be tried."""
    capabilities = sandbox().model("scene").capabilities
    others = {"count", "preview_count"}

    assert capabilities.generate
    assert capabilities.edit
    assert capabilities.mask
    assert capabilities.streaming
    assert PreviewSupport.IMAGES is capabilities.previews
    assert (
        capabilities.max_images,
        capabilities.max_count,
        capabilities.max_input_images,
        capabilities.max_previews,
    ) == (4, 16, 4, 8)
    assert frozenset(Options.__dataclass_fields__) - others == capabilities.options


def test_an_unknown_model_is_refused_before_anything_is_done() -> None:
    """It has the scene's capabilities until then."""
    provider = sandbox()
    model = provider.model("sceen")
    with pytest.raises(ImageError) as caught:
        provider.prepare(task("sceen"))

    assert not model.known
    assert provider.model("scene").capabilities == model.capabilities
    assert (caught.value.reason, caught.value.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)
    assert caught.value.message == "box has no model sceen; try box/scene"


async def test_an_unknown_model_is_refused_when_run() -> None:
    """Also without having been prepared."""
    with pytest.raises(ImageError, match="try box/scene"):
        await anext(sandbox().run(task("sceen"), None))  # type: ignore[arg-type]  # it never comes to the call


def test_nothing_is_imported_before_it_is_needed() -> None:
    """A server that lists the sandbox and never draws does without numpy and Pillow."""
    program = (
        "from imagegen_server.providers.sandbox import PROVIDER, SandboxSettings; import sys;"
        "PROVIDER.build('sandbox', SandboxSettings()).model('scene');"
        "sys.exit('PIL' in sys.modules or 'numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_the_documentation_names_every_model_and_param() -> None:
    """And no model that does not exist."""
    text = _DOCS.read_text(encoding="utf-8")
    models = {model.id for model in await sandbox().models()}
    named = set(re.findall(r"sandbox/([a-z][a-z-]*[a-z])", text))

    assert models == named
    assert [name for name in PARAMS if f"`{name}`" not in text] == []


def test_the_documentation_lists_words_that_are_known() -> None:
    """Each of them, and in the plural too."""
    text = _DOCS.read_text(encoding="utf-8")
    table = text[text.index("known words") : text.index("Every other word")]
    rows = [line.split("|")[2] for line in table.splitlines() if line.count("|") == 3 and "---" not in line]
    words = [word.strip() for row in rows for word in row.split(",")]

    assert len(words) > 100
    assert [word for word in words if not read_mood(word).words or not read_mood(f"{word}s").words] == []
