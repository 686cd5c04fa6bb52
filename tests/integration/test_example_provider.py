"""The provider of the contributing guide, through the door that third parties use."""

import io
from pathlib import Path

import imagegen
import pytest
from PIL import Image as Picture

from tests.support.process import server_process

CONFIG = """
[providers.swatch]
side = 24

[providers.paint]
type = "swatch"

[aliases]
plain = "paint/plain"
"""


async def test_an_installed_provider_is_set_up_by_its_table(tmp_path: Path) -> None:
    """Its entry point is found, its settings arrive, several stand side by side, and fan-out comes for free."""
    (tmp_path / "imagegen.toml").write_text(CONFIG)
    async with (
        server_process(tmp_path, "--config", str(tmp_path / "imagegen.toml")) as server,
        imagegen.AsyncClient(server.address) as client,
    ):
        result = await client.generate("swatch/plain", "teal", count=3)
        by_alias = await client.generate("plain", "#ff8800", size="10x20", seed=1)

    pictures = [Picture.open(io.BytesIO(image.bytes)) for image in result.images]
    assert [(picture.size, picture.getpixel((0, 0))) for picture in pictures] == [((24, 24), (0, 128, 128))] * 3
    assert len(result.attempts) == 3
    assert (by_alias.model, by_alias.image.width, by_alias.image.height) == ("paint/plain", 10, 20)
    assert [warning.field for warning in by_alias.warnings] == ["options.seed"]


async def test_its_refusals_cost_nothing(tmp_path: Path) -> None:
    """What it cannot draw is refused by field before it runs; what it does not do at all by reason."""
    (tmp_path / "imagegen.toml").write_text(CONFIG)
    async with (
        server_process(tmp_path, "--config", str(tmp_path / "imagegen.toml")) as server,
        imagegen.AsyncClient(server.address) as client,
    ):
        with pytest.raises(imagegen.ImageGenError) as words:
            await client.generate("swatch/plain", "a boat")
        with pytest.raises(imagegen.ImageGenError) as edit:
            await client.edit("swatch/plain", "teal", image=result_of("teal"))
        with pytest.raises(imagegen.ImageGenError) as model:
            await client.generate("swatch/fancy", "teal")

    assert [violation.field for violation in words.value.violations] == ["input.prompt"]
    assert edit.value.reason == "OPERATION_NOT_SUPPORTED"
    assert (model.value.reason, model.value.billed) == ("MODEL_NOT_FOUND", "no")


def result_of(colour: str) -> imagegen.Image:
    """Make a picture to edit."""
    file = io.BytesIO()
    Picture.new("RGB", (8, 8), colour).save(file, "PNG")
    return imagegen.Image.from_bytes(file.getvalue())
