"""The models that a server has, as old and new versions tell them."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason

from tests.support.comfyui_api import Version
from tests.support.comfyui_nodes import CHECKPOINTS
from tests.support.comfyui_provider import comfyui_workshop, workflow
from tests.support.vendor import json_answer


async def listed(made: Any) -> list[str]:
    """Ask for the list."""
    return [model.id for model in await made.entry.provider.list_models(made.entry.http, None)]


@pytest.mark.parametrize("version", ["old", "2026"])
async def test_workflows_and_checkpoints_are_models(version: Version) -> None:
    """Workflows first; one with the name of a checkpoint goes before it. The list is one small question."""
    settings = {"castle": workflow("drawing"), CHECKPOINTS[1]: workflow("inverting")}
    async with comfyui_workshop(version, workflows=settings) as made:
        provider = made.entry.provider
        assert [model.id for model in await provider.models()] == ["castle", CHECKPOINTS[1]]
        assert await listed(made) == ["castle", CHECKPOINTS[1], CHECKPOINTS[0]]
        assert [model.id for model in await provider.models()] == ["castle", CHECKPOINTS[1], CHECKPOINTS[0]]

    assert [call.path for call in made.fake.requests] == ["/object_info/CheckpointLoaderSimple"]
    assert provider.model(CHECKPOINTS[1]).capabilities.generate is False
    assert provider.model(CHECKPOINTS[0]).capabilities.generate is True


async def test_workflows_alone_need_no_question() -> None:
    """A server without checkpoints is not asked for them."""
    async with comfyui_workshop(workflows={"castle": workflow("drawing")}, checkpoints=False) as made:
        assert await listed(made) == ["castle"]
    assert made.fake.requests == []


@pytest.mark.parametrize("told", [{}, [], {"CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [7]}}}}])
async def test_a_list_that_is_none_is_told(told: object) -> None:
    """What is known by itself stays known."""
    async with comfyui_workshop(workflows={"castle": workflow("drawing")}) as made:
        made.fake.answer_next(json_answer(200, told))
        with pytest.raises(ImageError) as caught:
            await listed(made)

    assert caught.value.reason is Reason.INVALID_RESPONSE
    assert [model.id for model in await made.entry.provider.models()] == ["castle"]
