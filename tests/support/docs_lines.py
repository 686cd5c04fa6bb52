"""The shell lines of the docs, found and run as they stand."""

import asyncio
import json
import os
import re
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .tools import PATH, ROOT, require

SHOWN_ADDRESS: Final = "127.0.0.1:50051"
_PROGRAMS: Final = ("grpcurl", "buf", "jq", "grpc_health_probe")
_BLOCK: Final = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What a block of lines did."""

    status: int
    stdout: str
    stderr: str


def blocks(page: str) -> list[str]:
    """Find the shell blocks of a page, by its path in the repository."""
    return [textwrap.dedent(found) for found in _BLOCK.findall((ROOT / page).read_text())]


def calls(page: str) -> list[str]:
    """Find those that call a server at the address which the docs show."""
    return [block for block in blocks(page) if SHOWN_ADDRESS in block and "imagegen-server serve" not in block]


def block(page: str, *words: str) -> str:
    """Find the one block with all of the words, and see that its programs are there."""
    (found,) = [text for text in calls(page) if all(word in text for word in words)]
    for program in _PROGRAMS:
        if re.search(rf"\b{program} ", found):
            require(program)
    return found


async def run_lines(script: str, address: str, directory: Path) -> Ran:
    """Run lines as they are, but against our address."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-o",
        "pipefail",
        "-ec",
        script.replace(SHOWN_ADDRESS, address),
        cwd=directory,
        env={**os.environ, "PATH": PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, stdout.decode(), stderr.decode())


def documents(text: str) -> list[dict[str, Any]]:
    """Read the JSON documents that stand one behind the other, in lines or over several."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while rest := text[at:].strip():
        document, end = decoder.raw_decode(rest)
        found.append(document)
        at = len(text) - len(text[at:].lstrip()) + end
    return found
