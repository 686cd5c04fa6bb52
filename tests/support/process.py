"""The server as a process of its own, as its users start it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
COMMAND = (str(BIN / "imagegen-server"),)


@dataclass(frozen=True)
class ServerProcess:
    """A server that serves on `address`."""

    process: asyncio.subprocess.Process
    address: str
    log: Path


@asynccontextmanager
async def server_process(
    directory: Path, *arguments: str, command: Sequence[str] = COMMAND, **environment: str
) -> AsyncIterator[ServerProcess]:
    """Start `imagegen-server serve` on a free port, logging into `directory`, and kill it at the end."""
    log = directory / "server.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command,
            "serve",
            "--listen",
            "127.0.0.1:0",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **environment},
        )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line, log.read_text()
        yield ServerProcess(process, line.split()[-1], log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
