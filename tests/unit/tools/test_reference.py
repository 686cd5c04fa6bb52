"""The reference pages: what they show of proto/, what they refuse, and that those in docs/ are fresh."""

import json
import re
from pathlib import Path

import links
import pytest
import reference
from protodoc.api_page import ApiPage
from protodoc.errors_page import errors_page, parse_reason
from protodoc.markdown import prose, reflow, table
from protodoc.source import PACKAGE, Api, PageError, build, read

ROOT = Path(__file__).parents[3]
GOOD = """The provider takes no more.
Code: RESOURCE_EXHAUSTED. Billed: no. Try again: after RetryInfo.
Example: {"reason": "ERROR_REASON_X", "domain": "imagegen", "metadata": {"http_status": "429",
"billed": "no"}}"""


@pytest.fixture(scope="module")
def api() -> Api:
    """The API of this repository."""
    return read(build(ROOT))


@pytest.fixture(scope="module")
def page(api: Api) -> str:
    """Its reference."""
    return ApiPage(api).text()


def section(page: str, heading: str) -> str:
    """Cut out what stands under a heading."""
    return re.split(r"\n#+ ", page.partition(f"# {heading}\n")[2])[0]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what the pages are made from."""
    (tmp_path / "buf.yaml").write_text((ROOT / "buf.yaml").read_text())
    for module in ("proto", "tests/conformance/proto"):
        for file in (ROOT / module).rglob("*.proto"):
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text())
    return tmp_path


def test_the_pages_in_docs_are_fresh() -> None:
    """What is committed is what proto/ gives today."""
    for name, text in reference.pages(ROOT).items():
        assert (ROOT / name).read_text() == text, f"{name} is stale: run make gen"


def test_services_come_first_then_types_as_a_reader_meets_them(page: str) -> None:
    """ImageService, ModelService, the first request, what it holds, its answer; the errors last."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)

    assert [name for name in headings if name.endswith("Service")] == ["ImageService", "ModelService"]
    types = headings[headings.index("Messages and enums") + 1 :]
    assert types[:4] == ["GenerateRequest", "ImageInput", "ImageOptions", "PixelSize"]
    assert types.index("ImageResult") < types.index("EditRequest")
    assert types[-1] == "ErrorReason"


def test_every_name_of_the_api_is_on_the_page(api: Api, page: str) -> None:
    """Every method, type, field, oneof and value has its place, with its comment."""
    for name, comment in api.comments.items():
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", page)
        if not name.startswith(f"{PACKAGE}.ErrorReason.ERROR"):
            assert prose(reflow(comment)[0])[:12] in re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", page)


def test_a_method_tells_its_call_types_kind_and_idempotency(page: str) -> None:
    """Unary and streaming, declared and not."""
    assert section(page, "Generate").splitlines()[1] == (
        "`imagegen.v1.ImageService/Generate` · [`GenerateRequest`](#generaterequest) → "
        "[`ImageResult`](#imageresult) · unary · idempotency none"
    )
    assert section(page, "Resume").splitlines()[1] == (
        "`imagegen.v1.ImageService/Resume` · [`ResumeRequest`](#resumerequest) → stream of "
        "[`ImageStreamEvent`](#imagestreamevent) · server streaming · idempotency `NO_SIDE_EFFECTS`"
    )


@pytest.mark.parametrize(
    ("message", "row"),
    [
        ("ImageOptions", "| 1 | `count` | `uint32` | optional |"),
        ("ImageOptions", "| 2 | `size` | [`PixelSize`](#pixelsize) |  |"),
        ("ImageResult", "| 4 | `images` | [`GeneratedImage`](#generatedimage) | repeated |"),
        ("Attempt", "| 3 | `outcome` | [`AttemptOutcome`](#attemptoutcome) |  |"),
        ("ImageFailure", "| 5 | `metadata` | `map<string, string>` |  |"),
        ("GenerateRequest", "| 4 | `params` | [`map<string, Struct>`](https://protobuf.dev/"),
        ("Image", "| 2 | `expire_time` | [`Timestamp`](https://protobuf.dev/"),
        ("ImageSource", "|  | oneof `source` |  |  | Where the bytes come from."),
        ("ImageSource", "| 15 | `data` | `bytes` | oneof `source` |"),
        ("ErrorReason", "| 2 | [`ERROR_REASON_RATE_LIMITED`](errors.md#error_reason_rate_limited) |"),
    ],
)
def test_rows(page: str, message: str, row: str) -> None:
    """Each kind of field has its number, type and label."""
    assert row in section(page, message)


def test_all_links_of_the_pages_lead_somewhere(tmp_path: Path, repository: Path) -> None:
    """Every anchor exists, on the page itself and on the other."""
    made = reference.pages(repository)
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    report = links.check(tmp_path, [*made, "proto/imagegen/v1/image.proto"])

    assert report.checked > 200
    assert report.broken == []


def test_names_in_comments_are_links_but_plain_words_are_not(page: str) -> None:
    """A type of several words and a field that exists are links; "Warning" is a word."""
    assert "At most [ModelCapabilities.max_count](#modelcapabilities);" in page
    assert "comes back as a Warning, or" in page


def test_plain_text_as_markdown() -> None:
    """What Markdown would take for markup is escaped, outside of code."""
    assert prose('images as "<sha256, n bytes>", keys as "***", x[0] of `a<b>*`') == (
        r'images as "&lt;sha256, n bytes&gt;", keys as "\*\*\*", x\[0\] of `a<b>*`'
    )


def test_a_comment_is_reflowed() -> None:
    """Lines are joined, a blank line begins a paragraph."""
    assert reflow("One\n  two.\n\nThree.\n") == ["One two.", "Three."]


def test_pipes_stay_inside_their_cell() -> None:
    """Also in code, where GitHub splits a row too."""
    assert table(("a",), [("`x|y`",)])[-1] == r"| `x\|y` |"


def test_a_reason_is_read() -> None:
    """Meaning, code, bill, what to do, and the example over several lines."""
    reason = parse_reason("ERROR_REASON_X", GOOD)

    assert (reason.meaning, reason.code) == (("The provider takes no more.",), "RESOURCE_EXHAUSTED")
    assert (reason.billed, reason.try_again) == ("no", "after RetryInfo")
    assert reason.example["metadata"] == {"http_status": "429", "billed": "no"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Code: RESOURCE_EXHAUSTED. ", "", "must end with the lines"),
        (" Billed: no.", "", "must end with the lines"),
        (" Try again: after RetryInfo.", "", "must end with the lines"),
        ("Try again: after RetryInfo.", "Try again: after RetryInfo", "must end with the lines"),
        ("Example: ", "", "must end with the lines"),
        ("The provider takes no more.\n", "", "must end with the lines"),
        ('"imagegen",', '"imagegen"', "is no JSON"),
        ("ERROR_REASON_X", "ERROR_REASON_Y", "reason is 'ERROR_REASON_Y'"),
        ('"imagegen"', '"other"', "domain is 'other'"),
        ("RESOURCE_EXHAUSTED", "RESOURCES_EXHAUSTED", "names no gRPC code"),
        ("Billed: no", "Billed: maybe", "does not begin with"),
        ('"billed": "no"', '"billed": "yes"', "metadata.billed is 'yes'"),
        ('"billed": "no"', '"billed": 0', "object of strings"),
        ("http_status", "status", "keys that no error has: status"),
        ('"domain": "imagegen", ', "", "must have reason, domain and metadata"),
    ],
)
def test_a_reason_that_is_not_of_the_form_is_refused_by_name(old: str, new: str, problem: str) -> None:
    """Nothing of the contract goes missing in silence."""
    assert old in GOOD

    with pytest.raises(PageError, match=rf"^ERROR_REASON_X: .*{re.escape(problem)}"):
        parse_reason("ERROR_REASON_X", GOOD.replace(old, new))


def test_the_errors_page_has_every_reason_twice(api: Api) -> None:
    """Once in the table, once with meaning and example; the value that is never sent is not there."""
    page = errors_page(api)
    names = [name.rpartition(".")[2] for name in api.comments if name.startswith(f"{PACKAGE}.ErrorReason.")]

    assert len(names) > 30
    for name in names[1:]:
        assert page.count(f"\n| [`{name}`](#{name.lower()}) |") == 1
        (example,) = re.findall(r"```json\n(.+?)\n```", section(page, name), re.DOTALL)
        assert json.loads(example)["reason"] == name
    assert f"### {names[0]}" not in page


def test_a_fault_in_a_comment_stops_the_command(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, every wrong value by name, and no page is written."""
    proto = repository / "proto/imagegen/v1/error_reason.proto"
    text = proto.read_text().replace("// Code: NOT_FOUND.", "// Status: NOT_FOUND.")
    proto.write_text(text)

    assert reference.main([], repository) == 1
    said = capsys.readouterr().err
    for name in ("MODEL_NOT_FOUND", "GENERATION_NOT_FOUND", "IMAGE_NOT_FOUND"):
        assert f"ERROR_REASON_{name}: " in said
    assert not (repository / "docs").exists()


def test_a_fault_in_the_proto_stops_the_command(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the compiler says is passed on."""
    (repository / "proto/imagegen/v1/image.proto").write_text('syntax = "proto3"; message {')

    assert reference.main([], repository) == 1
    assert "image.proto:1:" in capsys.readouterr().err


def test_the_command_writes_then_finds_the_pages_fresh(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same proto gives the same pages, byte by byte, and each says where it comes from."""
    assert reference.main([], repository) == 0
    assert "wrote docs/api.md" in capsys.readouterr().out
    assert reference.main(["--check"], repository) == 0
    for name in ("api.md", "errors.md"):
        first = (repository / "docs" / name).read_text().partition("\n")[0]
        assert "`make gen`" in first
        assert "proto/" in first


def test_check_names_the_stale_page_and_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One page changed by hand, one missing."""
    reference.main([], repository)
    (repository / "docs/api.md").write_text("old")
    (repository / "docs/errors.md").unlink()
    capsys.readouterr()

    assert reference.main(["--check"], repository) == 1
    assert capsys.readouterr().err.splitlines() == [
        "reference: docs/api.md is stale; run make gen",
        "reference: docs/errors.md is stale; run make gen",
    ]
    assert (repository / "docs/api.md").read_text() == "old"
    assert not (repository / "docs/errors.md").exists()
