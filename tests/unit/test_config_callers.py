"""The file of callers, and the addresses that need one."""

from pathlib import Path

import pytest
from imagegen_server.config import ConfigError, load_config
from imagegen_server.config.callers import TokensTable
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.credentials import KnownCallers

from tests.support.callers import OTHER_TOKEN, TOKEN, Safe, hash_of
from tests.support.settings import TYPES, complaint, keys, write

FULL = f"""
unlisted_certificates = true

[callers.billing]
tokens = ["{hash_of(TOKEN)}", "{hash_of(OTHER_TOKEN).upper().replace("SHA", "sha")}"]
certificates = ["billing.internal", "spiffe://house/billing"]
models = ["openai/*", "draft"]
max_calls = 20
images_per_minute = 60

[callers.batch-2]
models = []
"""


def digest(token: str) -> bytes:
    """Hash a token as it is looked up."""
    return bytes.fromhex(hash_of(token).removeprefix("sha256:"))


def read(folder: Path, text: str) -> KnownCallers:
    """Read a file of callers."""
    return Safe(folder).tokens(text).read()


def refused(folder: Path, text: str) -> list[str]:
    """List what a file of callers is refused for, without the key that names it."""
    lines = complaint(lambda: read(folder, text))
    assert set(keys(lines)) == {"server.tokens.file"}
    return [line.removeprefix("server.tokens.file: ") for line in lines]


def test_everything_that_a_caller_may_have(tmp_path: Path) -> None:
    """Tokens, certificates, models and limits; several proofs lead to one caller."""
    known = read(tmp_path, FULL)

    billing = Caller("billing", ("openai/*", "draft"), 20, 60)
    assert known.tokens == {digest(TOKEN): billing, digest(OTHER_TOKEN): billing}
    assert known.certificates == {"billing.internal": billing, "spiffe://house/billing": billing}
    assert known.unlisted


def test_what_is_left_out_is_no_limit(tmp_path: Path) -> None:
    """An empty list of models is one: none."""
    known = read(tmp_path, f'[callers.a]\ntokens = ["{hash_of(TOKEN)}"]')

    assert list(known.tokens.values()) == [Caller("a")]
    assert not known.unlisted
    none = read(tmp_path, f'[callers.a]\ntokens = ["{hash_of(TOKEN)}"]\nmodels = []')
    assert list(none.tokens.values()) == [Caller("a", models=())]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[callers.a]\ntoken = []", "callers.a.token"),
        ("[caller.a]\ntokens = []\n[callers.b]", "caller"),
        ("[callers.a]\ntokens = ['igt_secret']", "callers.a.tokens.0"),
        (f"[callers.a]\ntokens = ['{hash_of(TOKEN)[:-1]}']", "callers.a.tokens.0"),
        (f"[callers.a]\ntokens = ['md5:{hash_of(TOKEN)}']", "callers.a.tokens.0"),
        ("[callers.a]\ncertificates = ['']", "callers.a.certificates.0"),
        ("[callers.a]\nmodels = 'openai/*'", "callers.a.models"),
        ("[callers.a]\nmax_calls = 0", "callers.a.max_calls"),
        ("[callers.a]\nimages_per_minute = -1", "callers.a.images_per_minute"),
        ("[callers.'cert:a']", "callers.cert:a"),
        ("[callers.'']", "callers."),
        ("[callers.'a b']", "callers.a b"),
        ("[callers.anonymous]", "callers.anonymous"),
        (f"[callers.{'a' * 65}]", f"callers.{'a' * 65}"),
        (
            f"[callers.a]\ntokens = ['{hash_of(TOKEN)}']\n[callers.b]\ntokens = ['{hash_of(TOKEN)}']",
            "callers.b.tokens.0",
        ),
        ("[callers.a]\ncertificates = ['x']\n[callers.b]\ncertificates = ['y', 'x']", "callers.b.certificates.1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, key: str) -> None:
    """By its key within the file, and without its value, which may be a token."""
    (line,) = refused(tmp_path, text)

    assert line.partition(": ")[0] == key
    assert "secret" not in line


@pytest.mark.parametrize("key", ["tokens", "certificates", "models"])
def test_one_value_alone_is_no_list(tmp_path: Path, key: str) -> None:
    """The brackets are forgotten easily: it is said in the words of the file, not in those of Python."""
    assert refused(tmp_path, f"[callers.a]\n{key} = 'sha256:x'") == [f"callers.a.{key}: must be a list"]


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """A line for each."""
    lines = refused(tmp_path, "[callers.a]\ntokens = ['x', 'y']\nmax_calls = 'z'")

    assert keys(lines) == ["callers.a.tokens.0", "callers.a.tokens.1", "callers.a.max_calls"]
    assert "new-token" in lines[0]


@pytest.mark.parametrize("text", ["", "# nobody yet", "unlisted_certificates = false", "[callers]"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    """It may be one that is being written; nobody means to have no callers."""
    (line,) = refused(tmp_path, text or "\n")

    assert "names nobody" in line


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, no TOML, no text, too deep, or with a number that Python does not read."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "torn").write_text("[callers.a\n")
    (tmp_path / "deep").write_text("a = " + "[" * 10_000)
    (tmp_path / "long").write_text("a = " + "9" * 5_000)
    for name in ("missing", ".", "torn", "binary", "deep", "long"):
        with pytest.raises(ConfigError) as caught:
            TokensTable(file=tmp_path / name).read()
        assert str(caught.value).startswith(f"server.tokens.file: {tmp_path / name} ")


def test_the_start_refuses_a_wrong_file_of_callers(tmp_path: Path) -> None:
    """With everything else that is wrong."""
    Safe(tmp_path).tokens("[callers.a]\nx = 1")
    text = f'[server]\ntokens = {{file = "{tmp_path}/callers.toml"}}\n[aliases]\na = "b"'

    lines = complaint(lambda: load_config(TYPES, path=write(tmp_path, text)))

    assert keys(lines) == ["server.tokens.file", "aliases.a"]


FAR = 'listen = "0.0.0.0:1"'


@pytest.mark.parametrize(
    ("tls", "client_ca", "tokens", "lacks"),
    [
        (False, False, False, "neither TLS nor authentication"),
        (False, False, True, "tokens in clear text; set server.tls"),
        (True, False, False, "anybody; set server.tls.client_ca, server.tokens"),
        (True, True, False, None),
        (True, False, True, None),
        (True, True, True, None),
    ],
)
def test_beyond_loopback_it_takes_tls_and_authentication(
    tmp_path: Path, tls: bool, client_ca: bool, tokens: bool, lacks: str | None
) -> None:
    """What is missing is said; said twice, nothing is needed."""
    safe = Safe(tmp_path)
    text = f"[server]\n{FAR}\n"
    if tls:
        table = safe.tls(client_ca=client_ca)
        ca = f', client_ca = "{table.client_ca}"' if client_ca else ""
        text += f'tls = {{cert = "{table.cert}", key = "{table.key}"{ca}}}\n'
    if tokens:
        text += f'tokens = {{file = "{safe.tokens().file}"}}\n'

    if lacks is None:
        assert load_config(TYPES, path=write(tmp_path, text)).server.listen == "0.0.0.0:1"
    else:
        (line,) = complaint(lambda: load_config(TYPES, path=write(tmp_path, text)))
        assert keys([line]) == ["server.listen"]
        assert lacks in line
        twice = write(tmp_path, text + "allow_insecure = true\n")
        assert load_config(TYPES, path=twice, allow_insecure=True).server.allow_insecure
        complaint(lambda: load_config(TYPES, path=twice))


def test_the_environment_names_the_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by a variable of its own."""
    safe = Safe(tmp_path)
    table, tokens = safe.tls(client_ca=True), safe.tokens()
    for key in ("cert", "key", "client_ca"):
        monkeypatch.setenv(f"IMAGEGEN__SERVER__TLS__{key.upper()}", str(getattr(table, key)))
    monkeypatch.setenv("IMAGEGEN__SERVER__TOKENS__FILE", str(tokens.file))

    loaded = load_config(TYPES, listen="0.0.0.0:1")

    assert (loaded.server.tls, loaded.server.tokens) == (table, tokens)
