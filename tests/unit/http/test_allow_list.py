"""What an operator allows beyond public addresses."""

import re
from ipaddress import ip_address

import pytest
from imagegen_server.http.allow_list import AllowList
from imagegen_server.http.target import read_target


def allows(entry: str, url: str, address: str) -> bool:
    """Ask a list of one entry about a URL that leads to an address."""
    target = read_target(url)
    return AllowList([entry]).allows(target.host, target.port, ip_address(address))


@pytest.mark.parametrize(
    ("entry", "url", "address"),
    [
        ("cdn.internal", "http://cdn.internal/", "10.0.0.1"),
        ("CDN.internal.", "https://cdn.INTERNAL.:8443/", "10.0.0.1"),
        ("bücher.example", "http://xn--bcher-kva.example/", "10.0.0.1"),
        ("cdn.internal:8080", "http://cdn.internal:8080/", "10.0.0.1"),
        ("cdn.internal:80", "http://cdn.internal/", "10.0.0.1"),
        ("*.corp.example", "http://a.corp.example/", "10.0.0.1"),
        ("*.corp.example", "http://a.b.corp.example/", "10.0.0.1"),
        ("*.corp.example:81", "http://a.corp.example:81/", "10.0.0.1"),
        ("10.1.0.0/16", "http://10.1.2.3/", "10.1.2.3"),
        ("10.1.0.0/16", "http://any.example:9/", "10.1.2.3"),
        ("10.1.2.3", "http://any.example:9/", "10.1.2.3"),
        ("10.1.2.3:80", "http://10.1.2.3/", "10.1.2.3"),
        ("10.1.2.3:80", "http://any.example/", "10.1.2.3"),
        ("fd00:1::/32", "http://[fd00:1::5]/", "fd00:1::5"),
        ("fd00::1", "http://any.example/", "fd00::1"),
        ("[fd00::1]", "http://any.example/", "fd00::1"),
        ("[fd00::1]:8080", "http://[fd00::1]:8080/", "fd00::1"),
        ("127.0.0.1/32", "http://[::ffff:127.0.0.1]/", "127.0.0.1"),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, url: str, address: str) -> None:
    """Names, names below one, addresses and networks, with a port or without."""
    assert allows(entry, url, address)


@pytest.mark.parametrize(
    ("entry", "url", "address"),
    [
        ("cdn.internal", "http://a.cdn.internal/", "10.0.0.1"),
        ("cdn.internal", "http://xcdn.internal/", "10.0.0.1"),
        ("cdn.internal", "http://cdn.internal.example/", "10.0.0.1"),
        ("cdn.internal", "http://10.0.0.1/", "10.0.0.1"),
        ("cdn.internal:8080", "http://cdn.internal/", "10.0.0.1"),
        ("*.corp.example", "http://corp.example/", "10.0.0.1"),
        ("*.corp.example", "http://xcorp.example/", "10.0.0.1"),
        ("*.corp.example:81", "http://a.corp.example/", "10.0.0.1"),
        ("10.1.0.0/16", "http://10.2.0.1/", "10.2.0.1"),
        ("10.1.2.3", "http://10.1.2.4/", "10.1.2.4"),
        ("10.1.2.3:80", "http://10.1.2.3:81/", "10.1.2.3"),
        ("10.1.2.3:80", "https://10.1.2.3/", "10.1.2.3"),
        ("fd00:1::/32", "http://[fd00:2::5]/", "fd00:2::5"),
        ("::/0", "http://10.1.2.3/", "10.1.2.3"),
        ("[fd00::1]:8080", "http://[fd00::1]/", "fd00::1"),
    ],
)
def test_an_entry_allows_nothing_else(entry: str, url: str, address: str) -> None:
    """No neighbour, no other port, no name that only looks like it."""
    assert not allows(entry, url, address)


def test_an_empty_list_allows_nothing() -> None:
    """The default."""
    assert not AllowList([]).allows("localhost", 80, ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "entry",
    ["", " ", "*", "*.", "*.*", "a.*.example", "http://cdn.internal", "cdn.internal/", "cdn.internal:0",
     "cdn.internal:99999", "cdn.internal:", "10.1.2.3/16", "10.1.0.0/33", "10.1", "*.10.1.2.3",
     "*.[::1]", "[::1", "::1%eth0", "fd00::1::2", "a b", "0x7f.1"],
)  # fmt: skip
def test_a_wrong_entry_is_refused_and_named(entry: str) -> None:
    """What is neither a host, an address nor a network, or a network with bits that do not count."""
    with pytest.raises(ValueError, match=f"^{re.escape(repr(entry))}: "):
        AllowList(["cdn.internal", entry])


@pytest.mark.parametrize("entry", ["https://user:secret@cdn.internal/a@b", "secret@cdn.internal", "secret@10.1.0.0/16"])
def test_a_password_in_an_entry_is_not_repeated(entry: str) -> None:
    """Somebody has written a whole URL; the refusal goes into logs."""
    with pytest.raises(ValueError, match="has no user or password") as caught:
        AllowList([entry])
    assert "secret" not in str(caught.value)
