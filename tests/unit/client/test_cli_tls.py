"""What the command says when it speaks another protocol than what listens, or is not trusted, or does not trust."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import trustme
from imagegen import ImageGenError, Reason
from imagegen.cli._failure import describe

from tests.support.authority import issue
from tests.unit.client.command import Run

HOPELESS = "Is a server running"
CLEAR_TEXT = "speaks no gRPC in clear text. Does it speak TLS? Then give --tls, or --ca"
NOT_TRUSTED = "is not trusted: --ca names a file with the roots that issued it, --tls alone"
OTHER_NAME = "give --address a name that stands in it, --tls and --ca"
CLIENT_CERTIFICATE = "that --tls or --ca asked for. Does it want a client certificate?"
NO_TLS = "speaks no TLS: leave --tls and --ca out"


@contextmanager
def listening(credentials: grpc.ServerCredentials | None) -> Iterator[int]:
    """A gRPC server, in clear text without credentials; its port."""
    with ThreadPoolExecutor() as pool:
        server = grpc.server(pool)
        address = "127.0.0.1:0"
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who issues the server's certificates."""
    return trustme.CA()


@pytest.fixture
def roots(authority: trustme.CA, tmp_path: Path) -> None:
    """Write files of roots: those of the server and those of somebody else."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))


def credentials(authority: trustme.CA, name: str, client_ca: trustme.CA | None = None) -> grpc.ServerCredentials:
    """Those of a server that is called so; with `client_ca` it asks for client certificates."""
    pair = issue(authority, name)
    roots = client_ca.cert_pem.bytes() if client_ca else None
    return grpc.ssl_server_credentials([(pair.key, pair.chain)], roots, client_ca is not None)


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("127.0.0.1", [], CLEAR_TEXT),
        ("127.0.0.1", ["--tls"], NOT_TRUSTED),
        ("127.0.0.1", ["--ca", "other.pem"], NOT_TRUSTED),
        ("images.example", ["--ca", "ca.pem"], OTHER_NAME),
    ],
)
def test_a_server_with_tls(run: Run, authority: trustme.CA, name: str, options: list[str], says: str) -> None:
    """Clear text, an unknown issuer and another name are told apart, each with the options that help."""
    with listening(credentials(authority, name)) as port:
        done = run("models", "--address", f"127.0.0.1:{port}", *options)

    assert done.exit_code == 6
    assert says in done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert HOPELESS not in done.stderr


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(("options", "says"), [([], CLEAR_TEXT), (["--ca", "ca.pem"], CLIENT_CERTIFICATE)])
def test_a_server_that_asks_for_client_certificates(
    run: Run, authority: trustme.CA, options: list[str], says: str
) -> None:
    """The command has none to give, and says who has."""
    with listening(credentials(authority, "127.0.0.1", trustme.CA())) as port:
        done = run("models", "--address", f"127.0.0.1:{port}", *options)

    assert done.exit_code == 6
    assert says in done.stderr
    assert HOPELESS not in done.stderr


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize("options", [["--tls"], ["--ca", "ca.pem"]])
def test_a_server_without_tls(run: Run, options: list[str]) -> None:
    """TLS to a server in clear text is told as such."""
    with listening(None) as port:
        done = run("models", "--address", f"127.0.0.1:{port}", *options)

    assert done.exit_code == 6
    assert NO_TLS in done.stderr
    assert HOPELESS not in done.stderr


def test_a_web_server(run: Run) -> None:
    """What answers HTTP/1 is no server of ours, at least not in clear text."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                with line:
                    line.recv(1)
                    line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        done = run("models", "--address", f"127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert done.exit_code == 6
    assert CLEAR_TEXT in done.stderr


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize("options", [[], ["--tls"], ["--ca", "ca.pem"]])
def test_nobody_listens(run: Run, options: list[str]) -> None:
    """A refused connection asks for a server, with TLS and without."""
    done = run("models", "--address", "127.0.0.1:1", *options)

    assert done.exit_code == 6
    assert f"{HOPELESS} at 127.0.0.1:1?" in done.stderr


@pytest.mark.parametrize(
    ("told", "tls", "says"),
    [
        ("UNKNOWN: ipv4:1.2.3.4:1: Peer name a is not in peer certificate", True, OTHER_NAME),
        ("UNKNOWN: ipv4:1.2.3.4:1: Ssl handshake failed: CERTIFICATE_VERIFY_FAILED: unable to get", True, NOT_TRUSTED),
        ("UNKNOWN: Cannot check peer: missing selected ALPN property.", True, "speaks TLS but not gRPC"),
        ("SSL_ERROR_SSL: TLSV1_ALERT_CERTIFICATE_REQUIRED", True, CLIENT_CERTIFICATE),
        ("UNAVAILABLE: ipv4:1.2.3.4:1: recvmsg:Connection reset by peer", True, CLIENT_CERTIFICATE),
        ("UNAVAILABLE: ipv4:1.2.3.4:1: recvmsg:Connection reset by peer", False, CLEAR_TEXT),
        ("INTERNAL: ipv4:1.2.3.4:1: Trying to connect an http1.x server (HTTP status 400)", False, CLEAR_TEXT),
        ("INTERNAL: Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame)", False, CLEAR_TEXT),
        (
            "UNKNOWN: ipv4:1.2.3.4:1: Failed to connect to remote host: connect: Connection refused (111)",
            True,
            HOPELESS,
        ),
    ],
)
def test_words_of_other_versions_and_servers(told: str, tls: bool, says: str) -> None:
    """What gRPC said before, or says of servers that are not at hand."""
    error = ImageGenError(
        f"failed to connect to all addresses; last error: {told}",
        reason=Reason.NETWORK_ERROR,
        code=grpc.StatusCode.UNAVAILABLE,
        billed="no",
    )

    assert says in describe(error, "host:1", tls=tls)


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_broke_later_is_no_matter_of_tls(tls: bool) -> None:
    """Once connected, both speak the same; then it is the server that is gone."""
    error = ImageGenError("Socket closed", reason=Reason.NETWORK_ERROR, code=grpc.StatusCode.UNAVAILABLE)

    assert HOPELESS in describe(error, "host:1", tls=tls)
