"""The cases: read from their files, checked against their schema, filled in with what earlier acts came to."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import google.rpc.error_details_pb2  # noqa: F401 - the details in scripts are messages of it
from conformance.v1 import case_pb2
from google.protobuf.json_format import ParseDict, ParseError

HERE: Final = Path(__file__).parent
CASES: Final = HERE / "cases"
IMAGES: Final = HERE / "images"
_PLACE: Final = re.compile(r"\$\{([^}]*)\}")


class CaseError(Exception):
    """A case is not written as the schema says."""


@dataclass(frozen=True)
class Case:
    """A case, as JSON whose names and types were checked. `faces` are those of the schema, in short."""

    name: str
    faces: Sequence[str]
    not_in: Mapping[str, str]
    data: Mapping[str, Any]

    @property
    def acts(self) -> Sequence[Mapping[str, Any]]:
        """Its steps and what must come of them."""
        acts: Sequence[Mapping[str, Any]] = self.data.get("acts", ())
        return acts


def load(folder: Path = CASES) -> list[Case]:
    """Read every case.

    Raises:
        CaseError: one is not as the schema says, or two have the same name.
    """
    cases = [case for file in sorted(folder.glob("*.json")) for case in _read(file)]
    names = [case.name for case in cases]
    if len(names) != len(set(names)):
        raise CaseError(f"twice: {sorted({name for name in names if names.count(name) > 1})}")
    return cases


def _read(file: Path) -> Iterator[Case]:
    try:
        suite = json.loads(file.read_text())
        ParseDict(_filled(suite, _stand_in), case_pb2.Suite())
    except (ParseError, ValueError) as problem:
        raise CaseError(f"{file.name}: {problem}") from problem
    for data in suite["cases"]:
        if not (data.get("name") and data.get("proves") and data.get("faces") and data.get("acts")):
            raise CaseError(f"{file.name}: {data.get('name')}: a case has a name, what it proves, faces and acts")
        faces = [face.removeprefix("FACE_").lower() for face in data["faces"]]
        yield Case(data["name"], faces, data.get("notIn", {}), data)


def _stand_in(place: str) -> str:
    """Something of the right type: base64 for a file, a number for all others, as texts and numbers accept that."""
    return "AAAA" if place.startswith("file:") else "1"


def fill(value: Any, run: str, outcomes: Sequence[Mapping[str, Any]], files: Mapping[str, Path]) -> Any:
    """Put in what stands for something: the name of this run, an earlier outcome, or a file by its name.

    Raises:
        CaseError: there is no such thing.
    """

    def meaning(place: str) -> str:
        kind, colon, name = place.partition(":")
        if place == "run":
            return run
        if not colon:
            return str(_at(outcomes, place))
        data = files[name].read_bytes() if name in files else (IMAGES / name).read_bytes()
        match kind:
            case "file":
                return base64.b64encode(data).decode("ascii")
            case "sha256":
                return hashlib.sha256(data).hexdigest()
            case "path":
                return str(files.get(name, IMAGES / name))
            case _:
                raise CaseError(f"there is no ${{{place}}}")

    return _filled(value, meaning)


def _at(outcomes: Sequence[Mapping[str, Any]], place: str) -> Any:
    found: Any = outcomes
    for key in re.split(r"[.\[\]]+", place.rstrip("]")):
        try:
            found = found[int(key)] if isinstance(found, Sequence) else found[key]
        except (LookupError, ValueError) as problem:
            raise CaseError(f"there is no ${{{place}}}: the outcome has not got that far") from problem
    return found


def _filled(value: Any, meaning: Any) -> Any:
    match value:
        case str():
            return _PLACE.sub(lambda found: meaning(found[1]), value)
        case list():
            return [_filled(item, meaning) for item in value]
        case dict():
            return {key: _filled(item, meaning) for key, item in value.items()}
        case _:
            return value
