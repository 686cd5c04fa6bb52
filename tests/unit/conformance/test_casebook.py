"""The cases of the conformance suite are of use: each can fail, and together they cover what they should."""

import json
from pathlib import Path

import pytest
from conformance.v1 import driver_pb2
from imagegen.v1 import error_reason_pb2

from tests.conformance.casebook import Case, CaseError, fill, load
from tests.conformance.comparing import as_json, differences

CASES = load()
REASONS = [name for name in error_reason_pb2.ErrorReason.keys() if not name.endswith("UNSPECIFIED")]  # noqa: SIM118 - no dict


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_that_does_nothing_fails(case: Case) -> None:
    """No case is content with the outcome of a driver that did nothing."""
    nothing = as_json(driver_pb2.Outcome())

    assert any([*differences(act.get("expect", {}), nothing, "")] or act.get("checks") for act in case.acts)


@pytest.mark.parametrize("face", ["plain", "helper"])
def test_every_reason_has_a_case(face: str) -> None:
    """Each ErrorReason is raised by a server in a case, with both faces."""
    raised = {
        act["expect"]["failure"]["reason"]
        for case in CASES
        if case.name.startswith("reasons/") and face in case.faces
        for act in case.acts
    }

    assert sorted(raised) == sorted(REASONS)


def test_there_are_enough_of_both_faces() -> None:
    """At least 40 cases with the helper, and 12 with plain stubs beside those of the reasons."""
    assert sum("helper" in case.faces for case in CASES) >= 40
    assert sum("plain" in case.faces for case in CASES if not case.name.startswith("reasons/")) >= 12


def test_a_case_with_a_field_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """A misspelt field is an error, not something that is never looked at."""
    act = {"step": {}, "expect": {"lastSequenz": 1}}
    suite = {"cases": [{"name": "a", "proves": "b", "faces": ["FACE_PLAIN"], "acts": [act]}]}
    (tmp_path / "bad.json").write_text(json.dumps(suite))

    with pytest.raises(CaseError, match="lastSequenz"):
        load(tmp_path)


def test_a_case_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Names are unique."""
    case = {"name": "a", "proves": "b", "faces": ["FACE_PLAIN"], "acts": [{"step": {}}]}
    (tmp_path / "bad.json").write_text(json.dumps({"cases": [case, case]}))

    with pytest.raises(CaseError, match="twice"):
        load(tmp_path)


def test_places_are_filled(tmp_path: Path) -> None:
    """What stands for something becomes that, inside of texts too."""
    file = tmp_path / "a.bin"
    file.write_bytes(b"hello")
    said = {"a": ["${0.result.images.0.id}", "x-${run}"], "b": "${file:a.bin}", "c": "${path:a.bin}", "d": 5}

    filled = fill(said, "r1", [{"result": {"images": [{"id": "img_1"}]}}], {"a.bin": file})

    assert filled == {"a": ["img_1", "x-r1"], "b": "aGVsbG8=", "c": str(file), "d": 5}


@pytest.mark.parametrize("place", ["${1.result}", "${0.result.images.1.id}", "${0.nothing}", "${odd:a}"])
def test_a_place_without_meaning_is_an_error(place: str) -> None:
    """What was never there cannot be put in."""
    with pytest.raises((CaseError, OSError)):
        fill(place, "r1", [{"result": {"images": [{"id": "img_1"}]}}], {})
