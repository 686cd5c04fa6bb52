"""Workflows in the API format: `{"3": {"class_type": "KSampler", "inputs": {"seed": 1, "model": ["4", 0]}}}`.

A link is `[node, output]`. Which input is what is told by a map of fields, or found by the classes of the nodes.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from imagegen_server.domain.json import JsonValue

IMAGES = ("image", *(f"image{number}" for number in range(2, 10)))
"""Fields of input images, in the order in which a caller gives them."""

OWN = frozenset({"prompt", "negative_prompt", "seed", "width", "height", "batch_size", "mask", *IMAGES})
"""Fields that are not params of their own name."""

Graph = Mapping[str, Mapping[str, Any]]
Link = tuple[str, int]

_INPUTS = ".inputs."
_SAMPLER = re.compile(r"Sampler(?!Select)")


@dataclass(frozen=True, slots=True)
class Place:
    """One input of one node."""

    node: str
    input: str

    def __str__(self) -> str:
        """As a map of fields writes it."""
        return f"{self.node}{_INPUTS}{self.input}"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph, where in it our fields are, and the node whose pictures are meant; "" = any."""

    graph: Graph
    fields: Mapping[str, tuple[Place, ...]]
    output: str = ""

    @property
    def image_fields(self) -> tuple[str, ...]:
        """Those of input images, in their order."""
        return tuple(name for name in IMAGES if name in self.fields)

    @property
    def samplers(self) -> tuple[str, ...]:
        """Nodes that draw step by step."""
        return tuple(node for node in self.graph if _SAMPLER.search(self.class_of(node)))

    def class_of(self, node: str) -> str:
        """Name the class of a node; "" = it is none of this graph, such as one that another node has made."""
        found = self.graph.get(node)
        return str(found["class_type"]) if found else ""

    def input_of(self, place: Place) -> Any:
        """Tell what an input says."""
        return self.graph[place.node]["inputs"].get(place.input)

    def field_at(self, node: str, name: str) -> str:
        """Name the field that an input is; "" = none."""
        return next((field for field, places in self.fields.items() if Place(node, name) in places), "")

    def outputs_used(self, node: str) -> set[int]:
        """Tell which outputs of a node others take."""
        inputs = (value for other in self.graph.values() for value in other["inputs"].values())
        return {link[1] for value in inputs if (link := link_of(value)) and link[0] == node}

    def filled(self, values: Mapping[str, JsonValue], direct: Mapping[Place, JsonValue]) -> dict[str, Any]:
        """Copy the graph with values of fields, and with those of single inputs, which win."""
        graph = copy.deepcopy(dict(self.graph))
        for name, value in values.items():
            for place in self.fields.get(name, ()):
                graph[place.node]["inputs"][place.input] = value
        for place, value in direct.items():
            graph[place.node]["inputs"][place.input] = value
        return graph


def read_place(text: str) -> Place | None:
    """Read "6.inputs.text"; None = it is no place."""
    node, found, name = text.partition(_INPUTS)
    return Place(node, name) if found and node and name else None


def link_of(value: object) -> Link | None:
    """Read an input that is a link."""
    match value:
        case [str(node), int(output)]:
            return node, output
        case _:
            return None


def read_workflow(path: str, fields: Mapping[str, str | tuple[str, ...]], output: str = "") -> Workflow:
    """Read a file.

    :raises ValueError: names the file, and the node and the input that is wrong
    """
    from .detection import found_fields  # noqa: PLC0415 - the two know each other

    graph = _read_graph(path)
    if fields:
        mapped = {name: tuple(_places(path, graph, name, places)) for name, places in fields.items()}
    else:
        mapped = dict(found_fields(graph))
    if output and output not in graph:
        raise ValueError(f"output: {path} has no node {output!r}; {_some(graph)}")
    gaps = [name for before, name in pairwise(IMAGES) if name in mapped and before not in mapped]
    if gaps:
        raise ValueError(f"fields.{gaps[0]}: there is none before it")
    return Workflow(graph, mapped, output)


def _read_graph(path: str) -> Graph:
    try:
        read = json.loads(Path(path).read_bytes(), parse_constant=_no_number)
    except OSError as problem:
        raise ValueError(f"file: {path} cannot be read: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"file: {path} is no JSON") from None
    if wrong := _problem(read):
        raise ValueError(f"file: {path}{wrong}")
    graph: Graph = read
    for node, told in graph.items():
        for name, value in told["inputs"].items():
            if (link := link_of(value)) and link[0] not in graph:
                where = f"node {node} ({told['class_type']}), input {name}"
                raise ValueError(f"file: {path}, {where}: leads to node {link[0]}, which is not there")
    return graph


def _problem(read: object) -> str:
    """Say why what was read is no graph; "" = it is one."""
    if isinstance(read, dict) and isinstance(read.get("nodes"), list):
        return " is as the editor saves a workflow; export it with Export (API)"
    if not isinstance(read, dict) or not read:
        return " is no workflow: nodes by their ids"
    for node, told in read.items():
        if not isinstance(told, dict) or not isinstance(told.get("class_type"), str):
            return f", node {node}: has no class_type"
        if not isinstance(told.get("inputs"), dict):
            return f", node {node} ({told['class_type']}): has no inputs"
    return ""


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _places(path: str, graph: Graph, name: str, said: str | tuple[str, ...]) -> Iterator[Place]:
    """Read where a field is.

    :raises ValueError: there is no such place
    """
    for text in (said,) if isinstance(said, str) else said:
        place = read_place(text)
        if place is None:
            raise ValueError(f'fields.{name}: {text!r} names no input; write it as "6.inputs.text"')
        node = _node(graph, place.node)
        if not node:
            raise ValueError(f"fields.{name}: {path} has no node {place.node!r}; {_some(graph)}")
        inputs = graph[node]["inputs"]
        if place.input not in inputs:
            known = ", ".join(inputs) or "none"
            where = f"{path}, node {node} ({graph[node]['class_type']})"
            raise ValueError(f"fields.{name}: {where} has no input {place.input!r}; it has {known}")
        yield Place(node, place.input)


def _node(graph: Graph, name: str) -> str:
    """Find a node by its id, or by its title if only one has that; "" = there is none."""
    if name in graph:
        return name
    titled = [node for node, told in graph.items() if _title(told) == name]
    return titled[0] if len(titled) == 1 else ""


def _title(told: Mapping[str, Any]) -> object:
    meta = told.get("_meta")
    return meta.get("title") if isinstance(meta, Mapping) else None


def _some(graph: Graph) -> str:
    """List nodes, as far as a line of a message goes."""
    most = 30
    known = [f"{node} ({told['class_type']})" for node, told in graph.items()]
    return "it has " + ", ".join(known[:most]) + (", and more" if len(known) > most else "")
