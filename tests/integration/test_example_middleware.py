"""The middleware of the guide: its rules, and the door that third parties use."""

import json
from pathlib import Path

import imagegen
import pytest
from imagegen_example_middleware import MIDDLEWARE, House, HouseSettings
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Finished, Preview, Progress
from imagegen_server.domain.task import Operation
from imagegen_server.generation.middleware import Chain, StreamEvent

from tests.support.middleware import context_of, finished, wish
from tests.support.pictures import png
from tests.support.process import server_process

CONFIG = """
[middleware.house]
refused_words = ["gore"]
style = "flat colours"

[middleware.persist]
directory = "{here}/results"
prompts = true
"""


def house(**settings: object) -> Chain:
    """Set the rules."""
    return Chain([MIDDLEWARE.build("house", HouseSettings(**settings))])  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", ["some gore", "GORE!", "a Rival\n brand on a can", "gore"])
async def test_refused_words_cost_nothing(prompt: str) -> None:
    """In any case, and a phrase over a line end; the error names the field and not the word."""
    with pytest.raises(ImageError) as raised:
        await house(refused_words=("rival brand", "gore")).start(context_of(wish(prompt=prompt)))

    assert (raised.value.reason, raised.value.billed) == (Reason.CONTENT_FILTERED, Billed.NO)
    assert [violation.field for violation in raised.value.violations] == ["input.prompt"]
    assert "gore" not in str(raised.value).lower()


@pytest.mark.parametrize("prompt", ["al gore's", "gores", "a rival, a brand", ""])
@pytest.mark.parametrize("words", [("rival brand", "gor"), ()])
async def test_other_words_pass(prompt: str, words: tuple[str, ...]) -> None:
    """Only whole words and whole phrases are meant."""
    context = context_of(wish(prompt=prompt))

    await house(refused_words=words).start(context)

    assert context.request.prompt == prompt


async def test_the_style_goes_with_new_pictures_only() -> None:
    """An edit keeps the style of what it changes."""
    drawing, editing = context_of(), context_of(wish(operation=Operation.EDIT))
    chain = house(style="flat colours")

    await chain.start(drawing)
    await chain.start(editing)

    assert (drawing.request.prompt, editing.request.prompt) == ("a boat\nflat colours", "a boat")


@pytest.mark.parametrize("previews", [True, False])
async def test_previews_can_be_kept_back(previews: bool) -> None:
    """Everything else passes."""
    chain, context = house(previews=previews), context_of()
    preview = Preview(0, png())
    others: list[StreamEvent] = [Progress(), Complete(0, png())]

    assert list(await chain.event(context, preview)) == ([preview] if previews else [])
    assert [list(await chain.event(context, event)) for event in others] == [[event] for event in others]


async def test_the_result_is_stamped() -> None:
    """Beside what the provider says."""
    outcome = await house(style="x").end(context_of(), finished(metadata={"test": {"a": 1}}), aborted=False)

    assert isinstance(outcome, Finished)
    assert outcome.result.metadata == {"test": {"a": 1}, "house": {"style": "x"}}


def test_an_empty_word_is_refused() -> None:
    """It would refuse everything."""
    with pytest.raises(ValueError, match="refused_words"):
        House("house", HouseSettings(refused_words=(" ",)))


async def test_an_installed_middleware_is_set_up_by_its_table(tmp_path: Path) -> None:
    """Its entry point is found, and so are those of the server: the log by default, files where they are wanted."""
    (tmp_path / "imagegen.toml").write_text(CONFIG.format(here=tmp_path))
    async with (
        server_process(tmp_path, "--config", str(tmp_path / "imagegen.toml")) as server,
        imagegen.AsyncClient(server.address) as client,
    ):
        result = await client.generate("sandbox/scene", "a boat", size="64x64")
        with pytest.raises(imagegen.ImageGenError) as refused:
            await client.generate("sandbox/scene", "gore")
        server.process.terminate()
        assert await server.process.wait() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"generation"' in line]

    assert refused.value.reason == "CONTENT_FILTERED"
    assert result.metadata["house"] == {"style": "flat colours"}
    (told,) = [json.loads(path.read_text()) for path in (tmp_path / "results").rglob("result.json")]
    assert told["prompt"] == "a boat\nflat colours"
    (picture,) = (tmp_path / "results").rglob("0.png")
    assert picture.read_bytes() == result.image.bytes
    assert [(line["images"], line.get("reason")) for line in lines] == [(1, None), (0, "CONTENT_FILTERED")]
