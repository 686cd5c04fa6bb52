"""Which input of a workflow is what, told by the classes and the links of its nodes, where no map says it.

From the first sampler its links are followed upwards: `positive` to the prompt, `latent_image` to the size or to the
input image, `noise` and `sigmas` to the seed and the steps. What is not found is no field; nothing is guessed from
titles.
"""

from collections.abc import Iterator, Mapping, Sequence

from .workflow import Graph, Place, link_of

_TEXTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "value", "string")
"""Inputs that hold words, of text encoders and of the plain values that may lead there."""

_SEEDS = ("seed", "noise_seed", "value")
_SETTINGS = ("steps", "cfg", "sampler_name", "scheduler", "denoise", "guidance", "shift")
"""Inputs of samplers, and of the nodes that lead to them, that are params of the same name."""

_CONDITIONING = ("conditioning", "positive", "conditioning_1", "conditioning_to")
_LATENTS = ("latent_image", "samples", "latent")
_PIXELS = ("pixels", "image", "images")
_DEEPEST = 32
"""Links that are followed in a row."""


def found_fields(graph: Graph) -> Mapping[str, tuple[Place, ...]]:
    """Find what can be found."""
    fields: dict[str, tuple[Place, ...]] = {}
    sampler = next((node for node in graph if _samples(graph, node)), "")
    if sampler:
        fields |= _of_sampler(graph, sampler)
    pictures = fields.get("image") or _all(graph, "LoadImage", "image")[:1]
    if pictures:
        fields["image"] = pictures
    if masks := fields.get("mask") or _all(graph, "LoadImageMask", "image")[:1]:
        fields["mask"] = masks
    return {name: places for name, places in fields.items() if places}


def _of_sampler(graph: Graph, sampler: str) -> Mapping[str, tuple[Place, ...]]:
    guider = _linked(graph, sampler, "guider")
    led = [node for node in (sampler, guider) if node]
    positive = _words(graph, led, ("positive", "conditioning"))
    negative = _words(graph, led, ("negative",))
    fields = {
        "prompt": positive,
        # A negative that leads to the words of the prompt is that prompt with nothing left of it.
        "negative_prompt": () if set(negative) & set(positive) else negative,
        "seed": _seed(graph, sampler),
    }
    sources = [*led, *(node for name in ("sigmas", "sampler") if (node := _linked(graph, sampler, name)))]
    for name in _SETTINGS:
        fields[name] = tuple(Place(node, name) for node in sources if _plain(graph, node, name))[:1]
    return {**fields, **_latent(graph, sampler)}


def _samples(graph: Graph, node: str) -> bool:
    inputs = graph[node]["inputs"]
    return link_of(inputs.get("latent_image")) is not None and bool({"positive", "guider"} & set(inputs))


def _words(graph: Graph, nodes: Sequence[str], names: Sequence[str]) -> tuple[Place, ...]:
    """Follow a link of one of the nodes to the words that it leads to."""
    for node in nodes:
        for name in names:
            if start := _linked(graph, node, name):
                return _texts(graph, start)
    return ()


def _texts(graph: Graph, node: str) -> tuple[Place, ...]:
    for _ in range(_DEEPEST):
        inputs = graph[node]["inputs"]
        plain = tuple(Place(node, name) for name in _TEXTS if isinstance(inputs.get(name), str))
        if plain:
            return plain
        onward = [name for name in (*_TEXTS, *_CONDITIONING) if link_of(inputs.get(name))]
        if not onward:
            return ()
        node = _linked(graph, node, onward[0])
    return ()


def _seed(graph: Graph, sampler: str) -> tuple[Place, ...]:
    node = _linked(graph, sampler, "noise") or sampler
    for _ in range(_DEEPEST):
        for name in _SEEDS:
            if _plain(graph, node, name) and isinstance(graph[node]["inputs"][name], int):
                return (Place(node, name),)
        linked = [onward for name in _SEEDS if (onward := _linked(graph, node, name))]
        if not linked:
            return ()
        node = linked[0]
    return ()


def _latent(graph: Graph, sampler: str) -> Mapping[str, tuple[Place, ...]]:
    """Follow the latent picture to where its size stands, or to the picture that it was made of."""
    fields: dict[str, tuple[Place, ...]] = {}
    node = _linked(graph, sampler, "latent_image")
    for _ in range(_DEEPEST):
        if not node:
            break
        inputs = graph[node]["inputs"]
        if graph[node]["class_type"] == "RepeatLatentBatch" and _plain(graph, node, "amount"):
            fields["batch_size"] = (Place(node, "amount"),)
        if (mask := _linked(graph, node, "mask")) and "mask" not in fields:
            fields["mask"] = _mask(graph, mask)
        if "width" in inputs and "height" in inputs and not any(link_of(inputs.get(name)) for name in _PIXELS):
            fields["width"], fields["height"] = _number(graph, node, "width"), _number(graph, node, "height")
            fields["batch_size"] = _number(graph, node, "batch_size") or fields.get("batch_size", ())
            break
        if graph[node]["class_type"] == "LoadImage":
            fields["image"] = (Place(node, "image"),)
            break
        node = next((onward for name in (*_LATENTS, *_PIXELS) if (onward := _linked(graph, node, name))), "")
    return fields


def _mask(graph: Graph, node: str) -> tuple[Place, ...]:
    """Follow a mask to the file that it comes from: LoadImage gives one, too."""
    for _ in range(_DEEPEST):
        if graph[node]["class_type"] in ("LoadImage", "LoadImageMask"):
            return (Place(node, "image"),)
        onward = [found for name in ("mask", "image") if (found := _linked(graph, node, name))]
        if not onward:
            break
        node = onward[0]
    return ()


def _number(graph: Graph, node: str, name: str) -> tuple[Place, ...]:
    """Find the number that an input is, or is led to."""
    if _plain(graph, node, name):
        return (Place(node, name),)
    source = _linked(graph, node, name)
    return (Place(source, "value"),) if source and _plain(graph, source, "value") else ()


def _all(graph: Graph, class_type: str, name: str) -> tuple[Place, ...]:
    return tuple(_each(graph, class_type, name))


def _each(graph: Graph, class_type: str, name: str) -> Iterator[Place]:
    for node, told in graph.items():
        if told["class_type"] == class_type and name in told["inputs"]:
            yield Place(node, name)


def _linked(graph: Graph, node: str, name: str) -> str:
    """Name the node that an input is linked to; "" = none."""
    link = link_of(graph[node]["inputs"].get(name))
    return link[0] if link else ""


def _plain(graph: Graph, node: str, name: str) -> bool:
    """Tell whether an input is there and is no link."""
    return name in graph[node]["inputs"] and link_of(graph[node]["inputs"][name]) is None
