"""docs/comfyui.md says what the code does."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.providers.comfyui import PROVIDER, ComfyUISettings
from imagegen_server.providers.comfyui.exchange import Pace
from imagegen_server.providers.comfyui.graphs import CHECKPOINT, STEP
from imagegen_server.providers.comfyui.models import Models
from imagegen_server.providers.comfyui.provider import ComfyUI
from imagegen_server.providers.comfyui.request import CHOSEN_SEEDS
from imagegen_server.providers.comfyui.settings import USUAL
from imagegen_server.providers.comfyui.workflow import IMAGES, OWN

from tests.support.comfyui_provider import graph_of
from tests.support.docs_page import Page

PAGE = Page("comfyui.md")


def test_every_setting_stands_in_the_table() -> None:
    """With its default."""
    rows = {PAGE.names(row[0])[0]: row for row in PAGE.rows("\n## A table\n")}
    told = {name: PAGE.names(row[1]) for name, row in rows.items()}
    usual = ComfyUISettings()

    assert set(rows) == {field.name for field in dataclasses.fields(ComfyUISettings)}
    for name, shown in told.items():
        if shown:
            assert json.loads(shown[0]) == getattr(usual, name)
    assert all(f"`{name}` {value}" in rows["defaults"][2] for name, value in USUAL.items())


def test_every_field_stands_in_its_table() -> None:
    """Those that are no params of their own name."""
    told = {name for row in PAGE.rows("\n### Workflows\n") for name in PAGE.names(row[0])}

    assert told | set(IMAGES) == OWN


def test_options_are_those_of_the_built_in_graphs() -> None:
    """What is named is known, and the others are not."""
    rows = PAGE.rows("\n## Options\n")
    unknown = {name for row in rows for name in PAGE.names(row[0]) if "not known" in row[2]}
    known = {name for row in rows for name in PAGE.names(row[0])} - unknown
    able = Models(ComfyUISettings()).find("any").capabilities

    assert known == {*(able.options or ()), "count", "preview_count"}
    assert known | unknown == set(Options.__slots__)
    assert CHOSEN_SEEDS == 2**53
    assert f"multiples of {STEP}," in PAGE.sentences


def test_params_are_those_of_the_built_in_graphs() -> None:
    """Those that the page names first, those that are options, and those that are refused."""
    workflow = Models(ComfyUISettings())._drawing
    part = " ".join(PAGE.part("Params").split())
    named = set(PAGE.names(part.partition("of the built-in graphs")[0]))
    refused = set(PAGE.names(part.partition("The server sets")[2]))

    assert named == set(workflow.fields) - OWN - {CHECKPOINT}
    assert refused | set(IMAGES) == ComfyUI.controlled_params
    assert all(f"`{name}`" in part for name in ComfyUI.param_options)
    assert all(f"`{node['class_type']}`" in PAGE.text for node in workflow.graph.values())


def test_times_of_the_page_are_those_of_the_code() -> None:
    """How often, and how long."""
    assert "when it has said so three times" in PAGE.sentences
    assert "it is asked for two minutes" in PAGE.sentences
    assert (Pace().missing, Pace().patience) == (3, 120.0)


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told


def test_the_configuration_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table is one that sets a provider up, once its files are there."""
    monkeypatch.setenv("STUDIO_TOKEN", "token-of-the-studio")
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)
    graph = graph_of("flux")
    graph["41"] = {**graph["6"]}
    graph["30"] = {"class_type": "LoraLoaderModelOnly", "inputs": {"strength_model": 1.0}}
    for name in ("poster", "portrait"):
        (tmp_path / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    tables: Mapping[str, Mapping[str, object]] = tomllib.loads(block.replace("/etc/imagegen", str(tmp_path)))[
        "providers"
    ]
    settings = {
        name: provider_config(name, ProviderTable.model_validate(table), {"comfyui": PROVIDER}).settings
        for name, table in tables.items()
    }
    studio = settings["studio"]

    assert settings["comfyui"] == ComfyUISettings()
    assert isinstance(studio, ComfyUISettings)
    assert list(studio.workflows) == ["poster", "portrait"]
    assert "It was never run against the live service." in PAGE.sentences
