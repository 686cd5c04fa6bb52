"""The built-in graphs: to draw, to change a picture, and to change a part of it, with one checkpoint.

A checkpoint is one file with a diffusion model, its text encoder and its VAE, such as Stable Diffusion XL. The classes
are the server's own: no extension is needed, in old versions either.
"""

from collections.abc import Mapping
from typing import Any

from .settings import ComfyUISettings
from .workflow import Graph, Place, Workflow

CHECKPOINT = "checkpoint"
"""The field of the model's own file."""

LOADER, LOADER_INPUT = "CheckpointLoaderSimple", "ckpt_name"
STEP = 8
"""Sides are multiples of so many pixels: a latent picture is an eighth of the picture."""

LEAST_SIDE = 16

_SAMPLER, _LOADER, _LATENT, _PROMPT, _NEGATIVE, _DECODER, _SAVER = "3", "4", "5", "6", "7", "8", "9"
_PICTURE, _ENCODER, _MASK, _MASKED, _BATCH = "10", "11", "12", "13", "14"
_PREFIX = "imagegen"

_FIELDS: Mapping[str, tuple[Place, ...]] = {
    CHECKPOINT: (Place(_LOADER, LOADER_INPUT),),
    "prompt": (Place(_PROMPT, "text"),),
    "negative_prompt": (Place(_NEGATIVE, "text"),),
    **{name: (Place(_SAMPLER, name),) for name in ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")},
}


def drawing(settings: ComfyUISettings, usual: Mapping[str, int | float | str]) -> Workflow:
    """Draw from words. `usual` is what is drawn with unless asked."""
    latent = _node("EmptyLatentImage", width=usual["width"], height=usual["height"], batch_size=1)
    size = {name: (Place(_LATENT, name),) for name in ("width", "height", "batch_size")}
    return Workflow(_graph(settings, {**usual, "denoise": 1.0}, {_LATENT: latent}, _LATENT), {**_FIELDS, **size})


def editing(settings: ComfyUISettings, usual: Mapping[str, int | float | str]) -> Workflow:
    """Change a whole picture, which keeps its size."""
    nodes = {**_encoded(), _BATCH: _node("RepeatLatentBatch", samples=[_ENCODER, 0], amount=1)}
    return Workflow(_graph(settings, usual, nodes, _BATCH), {**_FIELDS, **_edit_fields()})


def masking(settings: ComfyUISettings, usual: Mapping[str, int | float | str]) -> Workflow:
    """Change a part of a picture, which is drawn anew there."""
    nodes = {
        **_encoded(),
        _MASK: _node("LoadImageMask", image="", channel="red"),
        _MASKED: _node("SetLatentNoiseMask", samples=[_ENCODER, 0], mask=[_MASK, 0]),
        _BATCH: _node("RepeatLatentBatch", samples=[_MASKED, 0], amount=1),
    }
    graph = _graph(settings, {**usual, "denoise": 1.0}, nodes, _BATCH)
    return Workflow(graph, {**_FIELDS, **_edit_fields(), "mask": (Place(_MASK, "image"),)})


def _graph(
    settings: ComfyUISettings, usual: Mapping[str, int | float | str], latents: Graph, latent: str
) -> dict[str, Any]:
    """Put a graph together: what is drawn on are `latents`, the last of which is `latent`."""
    chosen = {name: usual[name] for name in ("steps", "cfg", "sampler_name", "scheduler", "denoise")}
    links = {"model": [_LOADER, 0], "positive": [_PROMPT, 0], "negative": [_NEGATIVE, 0], "latent_image": [latent, 0]}
    picture = [_DECODER, 0]
    saver = _node("SaveImage", images=picture, filename_prefix=_PREFIX)
    return {
        _SAMPLER: _node("KSampler", seed=0, **chosen, **links),
        _LOADER: _node(LOADER, **{LOADER_INPUT: ""}),
        **latents,
        _PROMPT: _node("CLIPTextEncode", text="", clip=[_LOADER, 1]),
        _NEGATIVE: _node("CLIPTextEncode", text="", clip=[_LOADER, 1]),
        _DECODER: _node("VAEDecode", samples=[_SAMPLER, 0], vae=[_LOADER, 2]),
        _SAVER: saver if settings.save_images else _node("PreviewImage", images=picture),
    }


def _encoded() -> dict[str, Any]:
    return {
        _PICTURE: _node("LoadImage", image=""),
        _ENCODER: _node("VAEEncode", pixels=[_PICTURE, 0], vae=[_LOADER, 2]),
    }


def _edit_fields() -> Mapping[str, tuple[Place, ...]]:
    return {"image": (Place(_PICTURE, "image"),), "batch_size": (Place(_BATCH, "amount"),)}


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
