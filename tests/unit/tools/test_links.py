"""The check of links: what counts as a link, what as an anchor, and what is said of one that leads nowhere."""

import subprocess
from pathlib import Path

import links
import pytest


def check(root: Path, **pages: str) -> links.Report:
    """Write README.md ("readme") and pages of docs/ by their names, and check them all."""
    for name, text in pages.items():
        path = root / ("README.md" if name == "readme" else f"docs/{name}.md")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return links.check(root, [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()])


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("How an error looks", "how-an-error-looks"),
        ("ERROR_REASON_RATE_LIMITED", "error_reason_rate_limited"),
        ("[providers.NAME]", "providersname"),
        ('type = "sandbox"', "type--sandbox"),
        ("`serve --config`, and _more_ **words**", "serve---config-and-more-words"),
        ("`map<string, Struct>`", "mapstring-struct"),
        ("`__init__` of <b>it</b>", "__init__-of-it"),
        ("See [the page](page.md#x)", "see-the-page"),
        ("Größe & Maß", "größe--maß"),
    ],
)
def test_a_heading_has_the_anchor_of_github(heading: str, anchor: str) -> None:
    """Markup goes, punctuation goes, spaces become hyphens, underscores stay."""
    assert links.slug(heading) == anchor


def test_anchors_of_a_page() -> None:
    """Both kinds of headings and ids count, equal ones are numbered, and code is no heading."""
    page = """# One

## Same

## Same

Under
-----

<a id="here"></a>

```sh
# not one
```
<!--
# nor this
-->
"""

    assert links.anchors(page) == {"one", "same", "same-1", "under", "here"}


def test_links_of_a_page() -> None:
    """All ways to write a link are found with their lines, and none in code or comments."""
    page = """[a](a.md "title") ![b](<b c.png>)
[two
lines](c.md#x) [![d](d.png)](e.md)
[ref]: f.md

<a href="g.md"><img src='h.png'></a> [p](i_(1).md)
`[no](no.md)` <!-- [no](no.md) -->
```
[no](no.md)
```
[^1]: no note
[last](j.md)
"""

    found = [(link.line, link.target) for link in links.links(page)]

    assert found == [
        (1, "a.md"),
        (1, "b c.png"),
        (3, "c.md#x"),
        (3, "d.png"),
        (3, "e.md"),
        (4, "f.md"),
        (6, "i_(1).md"),
        (6, "g.md"),
        (6, "h.png"),
        (12, "j.md"),
    ]


def test_links_that_lead_somewhere(tmp_path: Path) -> None:
    """Files, folders, anchors here and there, paths from the root, escapes and lines of a source are followed."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a b.py").write_text("one\ntwo\n")
    readme = (
        "# Top\n[1](#top) [2](docs/page.md#part) [3](docs) [4](src/) [5](src/a%20b.py#L1-L2) [6](docs/page.md?plain=1)"
    )

    report = check(tmp_path, readme=readme, page="# Part\n[7](../README.md#top) [8](/docs/page.md) [9](.)")

    assert (report.checked, report.broken) == (9, [])


def test_addresses_are_not_asked_for(tmp_path: Path) -> None:
    """A link with a scheme is neither followed nor counted."""
    report = check(tmp_path, readme="[a](https://example.org/x#y) <a href='mailto:a@b'>b</a> [c](//example.org)")

    assert (report.checked, report.broken) == (0, [])


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("docs/none.md", "no such file in the repository"),
        ("docs/Page.md", "no such file in the repository"),
        ("docs/page.md#none", "no such heading"),
        ("#none", "no such heading"),
        ("../secret.md", "leads out of the repository"),
        ("code.py#L3", "the file has 2 lines"),
        ("code.py#name", "an anchor in a file that has no headings"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, target: str, problem: str) -> None:
    """The report has the file, the line, the link and what is wrong with it."""
    (tmp_path / "code.py").write_text("one\ntwo\n")

    report = check(tmp_path, readme=f"# Top\n\n[x]({target})\n", page="# Page\n")

    assert report.broken == [f"README.md:3: {target}: {problem}"]


def test_what_git_ignores_is_neither_checked_nor_linked_to(tmp_path: Path) -> None:
    """A page in an ignored folder is skipped, and a link to an ignored file is broken: nobody else has it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("node_modules/\nout/\n")
    for name in ("clients/x/node_modules/README.md", "out/made.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("[x](none.md)")
    (tmp_path / "README.md").write_text("[made](out/made.png)")

    report = links.check(tmp_path, links.repository_files(tmp_path))

    assert report.broken == ["README.md:1: out/made.png: git ignores this file"]


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("README.md", True),
        ("SECURITY.md", True),
        ("docs/a/b.md", True),
        ("clients/README.md", True),
        ("clients/go/README.md", True),
        ("examples/provider/README.md", True),
        ("notes.md", False),
        ("clients/go/notes.md", False),
        ("tests/README.md", False),
    ],
)
def test_which_files_are_pages(name: str, checked: bool) -> None:
    """The documentation is checked, other Markdown is not."""
    assert bool(links.PAGES.fullmatch(name)) is checked


def test_the_command_counts_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken links are listed, the last line counts, and the exit status is 1."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "README.md").write_text("# Top\n[a](#top) [b](none)")
    monkeypatch.setattr(links, "__file__", str(tmp_path / "tools/links.py"))
    monkeypatch.setattr(links, "repository_files", lambda _: ["README.md"])

    status = links.main()

    assert status == 1
    assert capsys.readouterr().out.splitlines() == [
        "README.md:2: none: no such file in the repository",
        "links: 2 checked, 1 broken",
    ]
