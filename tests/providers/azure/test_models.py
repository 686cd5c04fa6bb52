"""Deployments and the models behind them."""

from datetime import UTC, datetime

import pytest
from imagegen_server.providers.azure import AzureSettings
from imagegen_server.providers.azure.models import ENDS, find_deployment
from imagegen_server.providers.azure.provider import Azure
from imagegen_server.providers.openai.models import find_model


def test_a_named_deployment_is_its_model() -> None:
    """Capabilities are the model's, the id and the name of a deployment stay."""
    found = find_deployment("pictures", {"pictures": "gpt-image-2"})

    assert (found.id, found.display_name, found.known) == ("pictures", "gpt-image-2", True)
    assert found.capabilities == find_model("gpt-image-2").capabilities
    assert find_deployment("gpt-image-2", {"gpt-image-2": "gpt-image-2"}).display_name == ""


def test_other_names_are_guessed_at() -> None:
    """A guess says so, ends nothing, and knows nothing of a name like no model's."""
    guessed = find_deployment("gpt-image-1.5-eu", {})

    assert guessed.capabilities == find_model("gpt-image-1.5").capabilities
    assert (guessed.known, guessed.retire_time) == (False, None)
    assert find_deployment("pictures", {}).capabilities == find_model("no model at all").capabilities


@pytest.mark.parametrize("model", ENDS)
def test_azure_ends_models_on_days_of_its_own(model: str) -> None:
    """Later than OpenAI does; what is not known here is not told."""
    ours, theirs = find_deployment("x", {"x": model}).retire_time, find_model(model).retire_time

    assert ours == datetime(2026, 12, 16, tzinfo=UTC)
    assert theirs is not None
    assert theirs < ours
    assert find_deployment("x", {"x": "gpt-image-1-mini"}).retire_time is None


async def test_the_list_is_that_of_the_settings() -> None:
    """A key cannot ask which deployments there are."""
    named = Azure("azure", AzureSettings(deployments={"a": "gpt-image-2", "b": "no-model-we-know"}))

    assert [(model.id, model.known) for model in await named.models()] == [("a", True), ("b", False)]
    assert await Azure("azure", AzureSettings()).models() == []
