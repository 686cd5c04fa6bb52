"""nginx as a proxy for gRPC: as its documentation sets it up, with a short patience, or by a configuration of ours."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from .tools import find, require

_CONFIG = """
daemon off;
master_process off;  # one process, of whoever runs it
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
}}
"""
_PLAIN = """
  client_max_body_size 65m;
  client_body_timeout {idle}s;
  send_timeout {idle}s;
  keepalive_timeout {idle}s;
  grpc_read_timeout {idle}s;
  grpc_send_timeout {idle}s;
  server {{
    listen {listen} http2;
    location / {{ grpc_pass grpc://{server}; }}
  }}
"""


@asynccontextmanager
async def nginx(server: str, *, idle: int) -> AsyncIterator[str]:
    """Run nginx in front of `server`, "host:port", until the block ends; yields the address for clients.

    It cuts what is silent for `idle` seconds, on either side.
    """
    async with _running(lambda listen: _PLAIN.format(listen=listen, server=server, idle=idle)) as address:
        yield address


@asynccontextmanager
async def nginx_of(config: Path, port: str, servers: Mapping[str, str]) -> AsyncIterator[str]:
    """Run nginx by a file for its http block until the block ends; yields the address for clients.

    What the file says stands for where it is run: `port` for the socket, the keys of `servers` for their values.
    """

    def http(listen: str) -> str:
        text = config.read_text()
        for shown, real in {f"listen {port} ": f"listen {listen} ", **servers}.items():
            assert text.count(shown) == 1
            text = text.replace(shown, real)
        return text

    async with _running(http) as address:
        yield address


@asynccontextmanager
async def _running(http: Callable[[str], str]) -> AsyncIterator[str]:
    """Run nginx on a socket in a folder of its own: it cannot be asked for any free port.

    Skips the test where nginx is not installed, and fails it in CI.
    """
    require("nginx")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        socket = f"unix:{folder}/socket"
        (folder / "nginx.conf").write_text(_CONFIG.format(folder=folder, http=http(socket)))
        process = await asyncio.create_subprocess_exec(
            *(find("nginx"), "-p", name, "-c", "nginx.conf", "-e", f"{name}/error.log"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            while not (folder / "socket").exists():
                assert process.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.01)
            yield socket
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
