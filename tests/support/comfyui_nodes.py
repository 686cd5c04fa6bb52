"""Classes of nodes that the fake ComfyUI has, and how it holds a graph against them: as `validate_prompt` does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .vendor import RefusalError

CHECKPOINTS = ["sd_xl_base_1.0.safetensors", "turbo/sd_xl_turbo.safetensors"]
SAMPLERS = ["euler", "euler_ancestral", "dpmpp_2m"]
SCHEDULERS = ["normal", "karras", "simple"]
MOST_SEED = 2**64 - 1
MOST_SIDE = 16_384

Graph = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int = 0
    most: int = 10_000


@dataclass(frozen=True)
class Real:
    """A number."""

    least: float = 0.0
    most: float = 100.0


@dataclass(frozen=True)
class Class:
    """A class of nodes: its inputs, what comes out, and whether it is there for that."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    """A Whole, a Real, a list of values, "STRING", "FILE", or the type that must be linked."""
    out: Sequence[str] = ()
    saves: bool = False
    optional: frozenset[str] = frozenset()


_SAMPLER: Mapping[str, Any] = {
    "model": "MODEL",
    "steps": Whole(1, 10_000),
    "cfg": Real(),
    "sampler_name": SAMPLERS,
    "scheduler": SCHEDULERS,
    "positive": "CONDITIONING",
    "negative": "CONDITIONING",
    "latent_image": "LATENT",
}

CLASSES: Mapping[str, Class] = {
    "KSampler": Class({**_SAMPLER, "seed": Whole(0, MOST_SEED), "denoise": Real(0, 1)}, ["LATENT"]),
    "KSamplerAdvanced": Class({**_SAMPLER, "noise_seed": Whole(0, MOST_SEED)}, ["LATENT"]),
    "CheckpointLoaderSimple": Class({"ckpt_name": CHECKPOINTS}, ["MODEL", "CLIP", "VAE"]),
    "EmptyLatentImage": Class(
        {"width": Whole(16, MOST_SIDE), "height": Whole(16, MOST_SIDE), "batch_size": Whole(1, 4096)}, ["LATENT"]
    ),
    "CLIPTextEncode": Class({"text": "STRING", "clip": "CLIP"}, ["CONDITIONING"]),
    "ConditioningZeroOut": Class({"conditioning": "CONDITIONING"}, ["CONDITIONING"]),
    "FluxGuidance": Class({"conditioning": "CONDITIONING", "guidance": Real()}, ["CONDITIONING"]),
    "VAEDecode": Class({"samples": "LATENT", "vae": "VAE"}, ["IMAGE"]),
    "VAEEncode": Class({"pixels": "IMAGE", "vae": "VAE"}, ["LATENT"]),
    "RepeatLatentBatch": Class({"samples": "LATENT", "amount": Whole(1, 64)}, ["LATENT"]),
    "SetLatentNoiseMask": Class({"samples": "LATENT", "mask": "MASK"}, ["LATENT"]),
    "LoadImage": Class({"image": "FILE"}, ["IMAGE", "MASK"]),
    "LoadImageMask": Class({"image": "FILE", "channel": ["alpha", "red", "green", "blue"]}, ["MASK"]),
    "ImageInvert": Class({"image": "IMAGE"}, ["IMAGE"]),
    "EmptyImage": Class(
        {"width": Whole(1, MOST_SIDE), "height": Whole(1, MOST_SIDE), "batch_size": Whole(1, 4096)}, ["IMAGE"]
    ),
    "SaveImage": Class({"images": "IMAGE", "filename_prefix": "STRING"}, saves=True),
    "PreviewImage": Class({"images": "IMAGE"}, saves=True),
    "SaveImageWebsocket": Class({"images": "IMAGE"}, saves=True),
    # Of FLUX, with parts of its own for noise, guidance and steps.
    "UNETLoader": Class({"unet_name": ["flux1-dev.safetensors"], "weight_dtype": ["default"]}, ["MODEL"]),
    "DualCLIPLoader": Class(
        {"clip_name1": ["t5xxl.safetensors"], "clip_name2": ["clip_l.safetensors"], "type": ["flux"]}, ["CLIP"]
    ),
    "VAELoader": Class({"vae_name": ["ae.safetensors"]}, ["VAE"]),
    "RandomNoise": Class({"noise_seed": Whole(0, MOST_SEED)}, ["NOISE"]),
    "BasicGuider": Class({"model": "MODEL", "conditioning": "CONDITIONING"}, ["GUIDER"]),
    "KSamplerSelect": Class({"sampler_name": SAMPLERS}, ["SAMPLER"]),
    "BasicScheduler": Class(
        {"model": "MODEL", "scheduler": SCHEDULERS, "steps": Whole(1), "denoise": Real(0, 1)}, ["SIGMAS"]
    ),
    "SamplerCustomAdvanced": Class(
        {"noise": "NOISE", "guider": "GUIDER", "sampler": "SAMPLER", "sigmas": "SIGMAS", "latent_image": "LATENT"},
        ["LATENT", "LATENT"],
    ),
}


def check_graph(graph: Any, has_file: Callable[[str], bool]) -> dict[str, Any]:
    """Hold a graph against the classes: what of it is left out, as `node_errors`.

    :raises RefusalError: nothing of it can be run
    """
    outputs = []
    for node, told in graph.items():
        name = told.get("class_type")
        if name not in CLASSES:
            title = told.get("_meta", {}).get("title", name)
            message = f"Node '{title}' not found. The custom node may not be installed."
            info = {"node_id": node, "class_type": name, "node_title": title}
            raise _refused("missing_node_type", message, f"Node ID '#{node}'", info)
        if CLASSES[name].saves:
            outputs.append(node)
    if not outputs:
        raise _refused("prompt_no_outputs", "Prompt has no outputs", "")
    errors = {node: list(_wrong(graph, node, has_file)) for node in graph}
    good = [output for output in outputs if not any(errors[node] for node in above(graph, output))]
    bad = {node for output in outputs if output not in good for node in above(graph, output)}
    told_of = {
        node: {
            "errors": errors[node],
            "dependent_outputs": [output for output in outputs if node in above(graph, output)],
            "class_type": graph[node]["class_type"],
        }
        for node in graph
        if errors[node] and node in bad
    }
    if not good:
        said = "\n".join(f"{error['message']}: {error['details']}" for found in errors.values() for error in found)
        raise _refused("prompt_outputs_failed_validation", "Prompt outputs failed validation", said, nodes=told_of)
    return told_of


def outputs_of(graph: Graph, has_file: Callable[[str], bool]) -> list[str]:
    """Name the nodes that are run for what they show: those that save, and need nothing that is wrong."""
    saving = [node for node in graph if CLASSES[graph[node]["class_type"]].saves]
    return [node for node in saving if not any(list(_wrong(graph, one, has_file)) for one in above(graph, node))]


def above(graph: Graph, node: str) -> list[str]:
    """List the nodes that one needs, itself last, each behind those that it needs."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for value in graph[name]["inputs"].values():
            if _is_link(value) and value[0] in graph:
                visit(value[0])
        found[name] = None

    visit(node)
    return list(found)


def described(name: str, *, new: bool) -> dict[str, Any]:
    """Describe a class as `/object_info` does; new versions write some lists in another way."""
    required: dict[str, Any] = {}
    for key, kind in CLASSES[name].inputs.items():
        values = list(kind) if isinstance(kind, list) else None
        if values is not None:
            required[key] = ["COMBO", {"multiselect": False, "options": values}] if new else [values]
        elif isinstance(kind, Whole | Real):
            required[key] = ["INT" if isinstance(kind, Whole) else "FLOAT", {"min": kind.least, "max": kind.most}]
        else:
            required[key] = [kind, {}]
    return {"input": {"required": required}, "output": list(CLASSES[name].out), "name": name, "category": "fake"}


def _wrong(graph: Graph, node: str, has_file: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    inputs = graph[node]["inputs"]
    for name, kind in CLASSES[graph[node]["class_type"]].inputs.items():
        info: dict[str, Any] = {"input_name": name}
        if name not in inputs:
            yield _error("required_input_missing", "Required input is missing", name, info)
            continue
        value = inputs[name]
        info["received_value"] = value
        if _is_link(value):
            came = CLASSES[graph[value[0]]["class_type"]].out[value[1]]
            if isinstance(kind, str) and came != kind:
                details = f"{name}, received_type({came}) mismatch input_type({kind})"
                yield _error("return_type_mismatch", "Return type mismatch between linked nodes", details, info)
            continue
        yield from _wrong_value(name, kind, value, info, has_file)


def _wrong_value(
    name: str, kind: Any, value: Any, info: dict[str, Any], has_file: Callable[[str], bool]
) -> Iterator[dict[str, Any]]:
    if isinstance(kind, Whole | Real):
        try:
            number = int(value) if isinstance(kind, Whole) else float(value)
        except (TypeError, ValueError) as problem:
            message = f"Failed to convert an input value to a {'INT' if isinstance(kind, Whole) else 'FLOAT'} value"
            yield _error("invalid_input_type", message, f"{name}, {value}, {problem}", info)
            return
        if number < kind.least:
            yield _error("value_smaller_than_min", f"Value {value} smaller than min of {kind.least}", name, info)
        elif number > kind.most:
            yield _error("value_bigger_than_max", f"Value {value} bigger than max of {kind.most}", name, info)
    elif isinstance(kind, list):
        if value not in kind:
            yield _error("value_not_in_list", "Value not in list", f"{name}: {value!r} not in {kind}", info)
    elif kind == "FILE":
        if not has_file(str(value)):
            details = f"{name} - Invalid image file: {value}"
            yield _error("custom_validation_failed", "Custom validation failed for node", details, info)
    elif kind != "STRING":
        yield _error("return_type_mismatch", "Return type mismatch between linked nodes", name, info)


def _is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def _error(kind: str, message: str, details: str, info: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": info}


def _refused(
    kind: str, message: str, details: str, info: dict[str, Any] | None = None, *, nodes: dict[str, Any] | None = None
) -> RefusalError:
    return RefusalError(400, {"error": _error(kind, message, details, info or {}), "node_errors": nodes or {}})
