"""URLs are read in one way only."""

# ruff: noqa: RUF001 - letters that look like others are the examples

import re
import socket
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from imagegen_server.http.target import LONGEST_URL, Target, read_host, read_target


@pytest.mark.parametrize(
    ("url", "read", "name"),
    [
        ("http://a.example", Target("http", "a.example", 80, "/"), "a.example"),
        ("HTTPS://A.Example./x?y#z", Target("https", "a.example", 443, "/x?y"), "a.example"),
        ("https://a.example:443/", Target("https", "a.example", 443, "/"), "a.example"),
        ("https://a.example:80/", Target("https", "a.example", 80, "/"), "a.example:80"),
        ("http://a.example:/x", Target("http", "a.example", 80, "/x"), "a.example"),
        ("http://a_b.internal:00080/", Target("http", "a_b.internal", 80, "/"), "a_b.internal"),
        ("http://a.example?x=1#y?z", Target("http", "a.example", 80, "/?x=1"), "a.example"),
        ("http://a.example#@b.example/", Target("http", "a.example", 80, "/"), "a.example"),
        ("http://8.8.8.8/", Target("http", ip_address("8.8.8.8"), 80, "/"), "8.8.8.8"),
        ("http://127.0.0.1./", Target("http", ip_address("127.0.0.1"), 80, "/"), "127.0.0.1"),
        ("http://[2001:DB8:0::1]:81/", Target("http", ip_address("2001:db8::1"), 81, "/"), "[2001:db8::1]:81"),
        ("http://[::ffff:7f00:1]/", Target("http", ip_address("127.0.0.1"), 80, "/"), "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/", Target("http", ip_address("127.0.0.1"), 80, "/"), "127.0.0.1"),
        ("http://bücher.example/", Target("http", "xn--bcher-kva.example", 80, "/"), "xn--bcher-kva.example"),
        ("http://127。0．0｡1/", Target("http", ip_address("127.0.0.1"), 80, "/"), "127.0.0.1"),
        ("http://LOCALHOST:8/", Target("http", "localhost", 8, "/"), "localhost:8"),
        (
            "http://a.example/ü/%2F%7e/../+?q=ö&s=a%2Bb",
            Target("http", "a.example", 80, "/%C3%BC/%2F%7e/../+?q=%C3%B6&s=a%2Bb"),
            "a.example",
        ),
        ('http://a.example/<">^`{|}', Target("http", "a.example", 80, "/%3C%22%3E%5E%60%7B%7C%7D"), "a.example"),
    ],
)
def test_a_url_is_read(url: str, read: Target, name: str) -> None:
    """Scheme and host in one spelling, the path as it was given but for what no URL may hold."""
    target = read_target(url)

    assert target == read
    assert target.name == name
    assert read_target(target.url) == target


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin with"),
        ("a.example/x", "begin with"),
        ("//a.example/x", "begin with"),
        ("ftp://a.example/", "begin with"),
        ("file:///etc/passwd", "begin with"),
        ("gopher://a.example/", "begin with"),
        ("data:image/png;base64,AAAA", "begin with"),
        ("unix:/x", "begin with"),
        ("http:/a.example", "begin with"),
        ("http:a.example", "begin with"),
        (" http://a.example/", "space"),
        ("http://a.example/x y", "space"),
        ("http://a.example/x\r\nHost: b.example", "space"),
        ("http://a.example\t/", "space"),
        ("http://a.example\x00.b.example/", "space"),
        ("http://a.example\\@b.example/", "backslash"),
        ("http://a.example/\xa0", "space"),
        ("http://user@a.example/", "user"),
        ("http://user:secret@a.example/", "user"),
        ("http://@a.example/", "user"),
        ("http://a.example:80@b.example/", "user"),
        ("http://", "neither"),
        ("http:///x", "neither"),
        ("http://:80/", "neither"),
        ("http://./", "neither"),
        ("http://a..example/", "neither"),
        ("http://a.example../", "neither"),
        ("http://.a.example/", "neither"),
        ("http://127.0.0.1../", "neither"),
        ("http://a.example:0/", "port"),
        ("http://a.example:65536/", "port"),
        ("http://a.example:8o/", "port"),
        ("http://a.example:-1/", "port"),
        ("http://a.example:1:2/", "port"),
        ("http://a.example:٨/", "port"),
        ("http://::1/", "port"),
        ("http://[::1/", "port"),
        ("http://[::1]x/", "port"),
        ("http://[]/", "no IPv6"),
        ("http://[1.2.3.4]/", "no IPv6"),
        ("http://[v1.a]/", "no IPv6"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://[fe80::1%eth0]/", "zone"),
        ("http://%31%32%37.0.0.1/", "four decimal"),
        ("http://a%2eexample/", "neither"),
        ("http://a.example,b.example/", "neither"),
        ("http://" + "a" * 64 + ".example/", "neither"),
        ("http://" + "a." * 127 + "example/", "neither"),
        ("http://１２７.0.0.1/", "no name"),
        ("http://ⓛocalhost/", "no name"),
        ("http://a.example／b.example/", "no name"),
        ("http://ü,.example/", "neither"),
        ("http://\ud800.example/", "no name"),
        ("http://a.example/\ud800", "no text"),
        ("http://a.example/" + "x" * LONGEST_URL, "longer"),
        ("http://2130706433/", "four decimal"),
        ("http://0x7f000001/", "four decimal"),
        ("http://0X7F.1/", "four decimal"),
        ("http://0177.0.0.1/", "four decimal"),
        ("http://017700000001/", "four decimal"),
        ("http://127.1/", "four decimal"),
        ("http://127.0.1/", "four decimal"),
        ("http://127.0.0.01/", "four decimal"),
        ("http://127.0.0.1.2/", "four decimal"),
        ("http://256.1.1.1/", "four decimal"),
        ("http://8.8.8.0x8./", "four decimal"),
        ("http://0/", "four decimal"),
        ("http://0x/", "four decimal"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(url: str, why: str) -> None:
    """Other schemes, users, odd hosts and every other spelling of an IPv4 address; the message repeats nothing."""
    with pytest.raises(ValueError, match=why) as refused:
        read_target(url)

    assert "example" not in str(refused.value)
    assert "secret" not in str(refused.value)


_OCTET = st.sampled_from([0, 1, 10, 127, 169, 172, 192, 254, 255]) | st.integers(0, 255)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """An IPv4 address as inet_aton(3) reads it: one to four numbers, each decimal, octal or hexadecimal."""
    number = int.from_bytes(bytes(draw(st.tuples(_OCTET, _OCTET, _OCTET, _OCTET))))
    count = draw(st.integers(1, 4))
    parts = [(number >> (24 - 8 * index)) & 0xFF for index in range(count - 1)]
    parts.append(number & ((1 << (8 * (5 - count))) - 1))
    forms = ["{}", "0{:o}", "00{:o}", "0x{:x}", "0X{:X}", "0x0{:x}"]
    dot = st.sampled_from([".", "。", "．", "｡"])
    text = draw(st.sampled_from(forms)).format(parts[0])
    for part in parts[1:]:
        text += draw(dot) + draw(st.sampled_from(forms)).format(part)
    return text + draw(st.sampled_from(["", "."]))


@given(spellings())
@example("0x7f.1")
@example("2130706433")
def test_no_spelling_hides_an_address(text: str) -> None:
    """Whatever inet_aton of the system reads is either refused, or read as the same address."""
    system = socket.inet_ntoa(socket.inet_aton(re.sub("[。．｡]", ".", text).removesuffix(".")))
    try:
        host = read_host(text)
    except ValueError:
        return
    assert host == ip_address(system)


@given(st.text(alphabet="0123456789abcdefxX.", min_size=1, max_size=20))
@example("0x7f.1")
@example("1.2.3.0xff")
@example("10.1")
def test_what_the_system_takes_for_an_address_is_never_a_name(text: str) -> None:
    """Not handed to a resolver that would read it otherwise."""
    try:
        address = ip_address(socket.inet_ntoa(socket.inet_aton(text)))
    except OSError:
        return
    try:
        assert read_host(text) == address
    except ValueError:
        assert text != str(address)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """With a ValueError and nothing else; what was read is read the same again."""
    for url in (text, f"http://{text}", f"https://a.example/{text}"):
        try:
            target = read_target(url)
        except ValueError:
            continue
        assert read_target(target.url) == target
        assert target.url.isascii()
        assert target.url.isprintable()
