"""Workflows of users: read from their files, mapped or found by the classes of their nodes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.providers.comfyui import PROVIDER, ComfyUISettings
from imagegen_server.providers.comfyui.provider import ComfyUI
from imagegen_server.providers.comfyui.settings import USUAL, WorkflowSettings
from imagegen_server.providers.comfyui.workflow import read_workflow

from tests.support.comfyui_provider import WORKFLOWS, graph_of, workflow, written


def fields_of(name: str) -> dict[str, list[str]]:
    """Tell where the fields of one of the files are."""
    read = read_workflow(str(WORKFLOWS / f"{name}.json"), {})
    return {field: [str(place) for place in places] for field, places in read.fields.items()}


SAMPLER = {
    "steps": ["3.inputs.steps"],
    "cfg": ["3.inputs.cfg"],
    "sampler_name": ["3.inputs.sampler_name"],
    "scheduler": ["3.inputs.scheduler"],
}
DRAWING: Mapping[str, list[str]] = {
    "prompt": ["6.inputs.text"],
    "negative_prompt": ["7.inputs.text"],
    "seed": ["3.inputs.seed"],
    **SAMPLER,
    "denoise": ["3.inputs.denoise"],
    "width": ["5.inputs.width"],
    "height": ["5.inputs.height"],
    "batch_size": ["5.inputs.batch_size"],
}
MASKING = {name: places for name, places in DRAWING.items() if name not in ("width", "height", "batch_size")}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("drawing", DRAWING),
        ("pushing", DRAWING),
        ("without-negative", {name: places for name, places in DRAWING.items() if name != "negative_prompt"}),
        ("inpainting", {**MASKING, "image": ["10.inputs.image"], "mask": ["10.inputs.image"]}),
        ("mask-file", {**MASKING, "image": ["10.inputs.image"], "mask": ["12.inputs.image"]}),
        ("inverting", {"image": ["1.inputs.image"]}),
        ("blank", {}),
        (
            "refining",
            {
                **{name: places for name, places in DRAWING.items() if name != "denoise"},
                "seed": ["3.inputs.noise_seed"],
            },
        ),
        (
            "flux",
            {
                "prompt": ["6.inputs.text"],
                "seed": ["25.inputs.noise_seed"],
                "steps": ["17.inputs.steps"],
                "scheduler": ["17.inputs.scheduler"],
                "denoise": ["17.inputs.denoise"],
                "sampler_name": ["16.inputs.sampler_name"],
                "width": ["27.inputs.width"],
                "height": ["27.inputs.height"],
                "batch_size": ["27.inputs.batch_size"],
            },
        ),
    ],
)
def test_fields_are_found_by_the_classes_of_the_nodes(name: str, fields: Mapping[str, list[str]]) -> None:
    """From the sampler upwards; what is not there is no field."""
    assert fields_of(name) == dict(fields)


@pytest.mark.parametrize(
    ("inputs", "seed"),
    [({"seed": ["30", 0]}, "30.inputs.value"), ({"seed": ["31", 0]}, "31.inputs.seed")],
    ids=["of a plain value", "of a node for seeds"],
)
def test_a_seed_may_come_from_another_node(tmp_path: Path, inputs: dict[str, Any], seed: str) -> None:
    """Which is followed."""
    graph = graph_of("drawing")
    graph["30"] = {"class_type": "PrimitiveInt", "inputs": {"value": 7}}
    graph["31"] = {"class_type": "Seed (rgthree)", "inputs": {"seed": 7}}
    graph["3"]["inputs"] |= inputs
    read = read_workflow(written(tmp_path / "w.json", graph), {})

    assert [str(place) for place in read.fields["seed"]] == [seed]


def test_a_circle_of_nodes_ends(tmp_path: Path) -> None:
    """A graph that no server would run is read all the same."""
    graph = graph_of("drawing")
    for node, name in (("6", "text"), ("7", "text"), ("3", "seed")):
        graph[node]["inputs"][name] = [node, 0]
    graph["5"]["inputs"] = {"samples": ["5", 0]}
    read = read_workflow(written(tmp_path / "w.json", graph), {})

    assert set(read.fields) == {"steps", "cfg", "sampler_name", "scheduler", "denoise"}


def test_a_map_says_it_all() -> None:
    """With a map nothing is looked for; a node may be named by its title, and a field may be at several places."""
    read = workflow(
        "drawing",
        fields={"prompt": ("Positive.inputs.text", "7.inputs.text"), "strength": "3.inputs.denoise"},
        output="9",
    ).read()

    assert {name: [str(place) for place in places] for name, places in read.fields.items()} == {
        "prompt": ["6.inputs.text", "7.inputs.text"],
        "strength": ["3.inputs.denoise"],
    }
    assert read.output == "9"


def problem(table: Mapping[str, object]) -> str:
    """Tell what is said of a table that is wrong."""
    with pytest.raises(ConfigError) as caught:
        provider_config("comfy", ProviderTable.model_validate({"type": "comfyui", **table}), {"comfyui": PROVIDER})
    return str(caught.value)


FILE = str(WORKFLOWS / "drawing.json")
BEGIN = "providers.comfy.workflows.castle: "


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"fields": {"prompt": "60.inputs.text"}}, f"fields.prompt: {FILE} has no node '60'; it has 3 (KSampler), 4 "),
        (
            {"fields": {"seed": "3.inputs.sed"}},
            f"fields.seed: {FILE}, node 3 (KSampler) has no input 'sed'; it has seed, steps, cfg, ",
        ),
        ({"fields": {"prompt": "6.text"}}, "fields.prompt: '6.text' names no input; write it as \"6.inputs.text\""),
        ({"fields": {"image2": "6.inputs.text"}}, "fields.image2: there is none before it"),
        ({"output": "90"}, f"output: {FILE} has no node '90'; it has 3 (KSampler), "),
        ({"max_images": 0}, "max_images: at least 1"),
        ({"file": "/nowhere/castle.json"}, "file: /nowhere/castle.json cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_is_told_when_the_configuration_is_checked(told: dict[str, object], said: str) -> None:
    """The file, the node and the input are named, and what there is instead."""
    assert problem({"workflows": {"castle": {"file": FILE, **told}}}).startswith(BEGIN + said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", " is no JSON"),
        ("[" * 100_000, " is no JSON"),
        ('{"3": {"class_type": "X", "inputs": {"a": NaN}}}', " is no JSON"),
        ("[]", " is no workflow: nodes by their ids"),
        ("{}", " is no workflow: nodes by their ids"),
        ('{"nodes": [], "links": []}', " is as the editor saves a workflow; export it with Export (API)"),
        ('{"3": {"inputs": {}}}', ", node 3: has no class_type"),
        ('{"3": 7}', ", node 3: has no class_type"),
        ('{"3": {"class_type": "KSampler"}}', ", node 3 (KSampler): has no inputs"),
        (
            '{"3": {"class_type": "KSampler", "inputs": {"model": ["4", 0]}}}',
            ", node 3 (KSampler), input model: leads to node 4, which is not there",
        ),
    ],
)
def test_a_file_that_is_no_workflow_is_told(tmp_path: Path, content: str, said: str) -> None:
    """With what it is instead, where that is known."""
    path = tmp_path / "castle.json"
    path.write_text(content, encoding="utf-8")

    assert problem({"workflows": {"castle": {"file": str(path)}}}) == f"{BEGIN}file: {path}{said}"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"workflows": {"castle": {"path": FILE}}},
            "providers.comfy.workflows.castle.path: Unexpected keyword argument",
        ),
        ({"workflows": {"": {"file": FILE}}}, "workflows: a workflow has a name"),
        ({"checkpoints": False}, "checkpoints: without them there are no models, unless workflows has some"),
        ({"max_images": 0}, "max_images: at least 1"),
        ({"defaults": {"step": 20}}, f"defaults: 'step' is none; there are {', '.join(USUAL)}"),
        ({"defaults": {"steps": 2.5}}, "defaults.steps: must be like 20"),
        ({"defaults": {"cfg": "high"}}, "defaults.cfg: must be like 7.0"),
        ({"defaults": {"scheduler": True}}, "defaults.scheduler"),
        ({"preview_method": "fast"}, "providers.comfy.preview_method: Input should be 'auto', 'latent2rgb' or 'taesd'"),
    ],
)
def test_other_keys_are_checked(table: dict[str, object], said: str) -> None:
    """Each with its name."""
    assert said in problem(table)


def test_the_usual_table_is_one_line() -> None:
    """No key, the server's own address, and the checkpoints that it has."""
    config = provider_config("comfyui", ProviderTable(), {"comfyui": PROVIDER})

    assert config.settings == ComfyUISettings()
    assert config.http is not None
    assert config.http.base_url == "http://127.0.0.1:8188"
    assert config.upstream.keys == ()


@pytest.mark.parametrize(
    ("name", "told", "able"),
    [
        ("drawing", {}, {"generate": True, "edit": False, "max_images": 4, "options": "seed negative_prompt size"}),
        ("drawing", {"max_images": 2}, {"max_images": 2}),
        ("flux", {}, {"generate": True, "options": "seed size", "edits_without_words": False}),
        ("inpainting", {}, {"generate": False, "edit": True, "mask": True, "max_input_images": 1, "max_images": 1}),
        (
            "inverting",
            {},
            {
                "edit": True,
                "mask": False,
                "options": "",
                "edits_without_words": True,
                "previews": PreviewSupport.UNKNOWN,
            },
        ),
        ("blank", {}, {"generate": True, "edit": False, "options": ""}),
        (
            "inverting",
            {"fields": {"image": "1.inputs.image", "image2": "3.inputs.filename_prefix"}},
            {"max_input_images": 2},
        ),
    ],
)
def test_a_workflow_can_do_what_it_has_fields_for(name: str, told: dict[str, Any], able: dict[str, Any]) -> None:
    """And shows as a model by its name, before any checkpoint of that name."""
    provider = ComfyUI("comfyui", ComfyUISettings(workflows={"castle": workflow(name, **told)}))
    model = provider.model("castle")
    expected = dict(able)
    if "options" in expected:
        expected["options"] = frozenset(expected["options"].split())

    assert model.known
    assert {key: getattr(model.capabilities, key) for key in expected} == expected


def test_the_files_are_as_users_export_them() -> None:
    """Every node has a class, inputs, and a title of the editor's."""
    for path in sorted(WORKFLOWS.glob("*.json")):
        for node in json.loads(path.read_text(encoding="utf-8")).values():
            assert set(node) == {"inputs", "class_type", "_meta"}
    assert WorkflowSettings(FILE) == WorkflowSettings(FILE)
