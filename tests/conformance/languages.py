"""The languages: whether their tools are there, how their drivers are built and started."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.v1 import driver_pb2
from google.protobuf.json_format import Parse, ParseError

from tests.support.tools import ROOT

from .comparing import as_json

_LONGEST_LINE: Final = 64 * 1024 * 1024
_PATIENCE: Final = 90.0
"""Seconds for one step. Nothing takes that long."""


class Broken(Exception):
    """The tools of a language do not do what they should: a driver ended, hung, or answered what is no outcome."""


@dataclass(frozen=True)
class Language:
    """One language: a folder in clients/ and a driver."""

    name: str

    @property
    def is_python(self) -> bool:
        """Whether its client is installed in this very environment, and needs no other tools."""
        return self.name == "python"

    @property
    def command(self) -> Sequence[str]:
        """What starts the driver."""
        if self.is_python:
            return [sys.executable, "-m", "tests.conformance.python.driver"]
        return [str(ROOT / "clients" / self.name / "build" / "driver")]

    def sample(self, name: str) -> Sequence[str]:
        """What starts a sample program."""
        if self.is_python:
            return [sys.executable, str(ROOT / "clients" / "python" / "examples" / f"{name}.py")]
        return [str(ROOT / "clients" / self.name / "build" / "samples" / name)]

    async def missing(self) -> str:
        """What the machine lacks for it, on one line; empty = nothing.

        Raises:
            Broken: it could not be found out.
        """
        status, output = await self._make("missing")
        if status:
            raise Broken(output)
        return ", ".join(output.split("\n"))

    async def build(self) -> str:
        """Compile the client and its driver; what went wrong, or nothing."""
        status, output = await self._make("build")
        if status:
            return output
        return "" if Path(self.command[0]).exists() else f"there is no {self.command[0]}"

    async def _make(self, target: str) -> tuple[int, str]:
        if self.is_python:
            return 0, ""
        process = await asyncio.create_subprocess_exec(
            "make", "--no-print-directory", "-s", "-C", str(ROOT / "clients" / self.name), target,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace").strip()


LANGUAGES: Final = {name: Language(name) for name in ("python", "go", "typescript", "java", "rust", "cpp")}


class Driver:
    """A driver that runs, and does one step after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Talk to a process that was started."""
        self._process = process

    async def do(self, step: driver_pb2.Step, line: str) -> dict[str, Any]:
        """Let it do a step, given as `line` of JSON; what came of it, as JSON.

        Raises:
            Broken: it did not answer an outcome.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        operation = step.WhichOneof("operation")
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
            async with asyncio.timeout(_PATIENCE):
                answered = (await self._process.stdout.readline()).decode()
        except TimeoutError as problem:
            raise Broken(f"no answer to {operation} within {_PATIENCE:.0f} s") from problem
        except OSError as problem:
            raise Broken(f"it ended before {operation}: {problem}") from problem
        if not answered:
            raise Broken(f"it ended during {operation} with status {await self._process.wait()}")
        try:
            return as_json(Parse(answered, driver_pb2.Outcome()))
        except ParseError as problem:
            raise Broken(f"no outcome: {problem}: {answered[:500]}") from problem


@asynccontextmanager
async def driving(language: Language) -> AsyncIterator[Driver]:
    """Start a language's driver. When the block ends so does its input; if it minds neither, it is killed."""
    process = await asyncio.create_subprocess_exec(
        *language.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        cwd=ROOT,
        env=environment(),
    )
    try:
        yield Driver(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def environment() -> dict[str, str]:
    """Let no driver see settings, keys or proxies of whoever runs it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("IMAGEGEN") and not name.upper().endswith("_PROXY")
    }
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "conformance" / "gen")])}
