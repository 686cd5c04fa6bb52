"""An S3-speaking server of the tests' own: versitygw over a folder, which this project did not write."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagegen_server.domain.secret import Secret
from imagegen_server.store.bucket import BucketSettings

from .tools import find, require

REGION = "eu-test-1"
KEY_ID, SECRET = "the-key-id", "the-secret-key"
_PATIENCE = 20.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class BucketServer:
    """A server that can be stopped and started again at the same address. A bucket is a folder in its folder."""

    folder: Path
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections. Its own port 0 does not tell which one it got."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            self.process = subprocess.Popen(
                [
                    find("versitygw"),
                    *("--port", f"127.0.0.1:{self.port}", "--region", REGION, "--quiet", "--keep-alive"),
                    *("posix", "--nometa", str(self.folder)),
                ],
                env={"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY_ID": KEY_ID, "ROOT_SECRET_ACCESS_KEY": SECRET},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while self.process.poll() is None:
                assert time.monotonic() < deadline, "versitygw does not start"
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                except OSError:
                    time.sleep(0.01)
                else:
                    if self.process.poll() is None:
                        return
            assert time.monotonic() < deadline, "versitygw ends at once"
            self.port = _free_port()  # somebody else has taken it meanwhile

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def settings(self, **others: Any) -> BucketSettings:
        """Tell how a bucket of its own is reached, which there is then."""
        bucket = f"pictures-{secrets.token_hex(8)}"
        (self.folder / bucket).mkdir()
        keys = (Secret(KEY_ID), Secret(SECRET))
        return BucketSettings(
            **({"bucket": bucket, "endpoint": self.endpoint, "region": REGION, "keys": keys} | others)
        )


@contextmanager
def bucket_server() -> Iterator[BucketServer]:
    """Run a server until the block ends. Skips the test where there is no versitygw, and fails it in CI."""
    require("versitygw")
    folder = Path(tempfile.mkdtemp(prefix="buckets-"))
    server = BucketServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
