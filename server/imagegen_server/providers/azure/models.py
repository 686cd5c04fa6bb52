"""Deployments, and the models behind them.

Source of the days: the page on model retirements of learn.microsoft.com/azure/ai-foundry/openai. They are later than
OpenAI's own; where none is known here, none is told.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Model
from imagegen_server.providers.openai.models import find_model

ENDS: Mapping[str, date] = {
    "gpt-image-1.5": date(2026, 12, 16),
    "gpt-image-1.5-2025-12-16": date(2026, 12, 16),
}
"""The days on which Azure ends models, by the model."""


def find_deployment(name: str, deployments: Mapping[str, str]) -> Model:
    """Tell what is known of a deployment of any name; `deployments` tells the model of some."""
    told = deployments.get(name)
    base = find_model(told or name)
    end = ENDS.get(told) if told else None
    return Model(
        id=name,
        capabilities=base.capabilities,
        display_name=told if told and told != name else "",
        known=told is not None and base.known,
        retire_time=datetime.combine(end, time(), UTC) if end else None,
    )
