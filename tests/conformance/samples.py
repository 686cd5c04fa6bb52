"""The sample programs of a language, run as their users run them."""

import asyncio
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagegen_server.images.facts import read_facts

from .languages import Language, environment

_PATIENCE: Final = 120.0


@dataclass(frozen=True)
class Sample:
    """A program, the pictures that it must leave behind, and what it must say."""

    name: str
    files: Sequence[str]
    says: str = ""


SAMPLES: Final = (
    Sample("generate", ["harbour.png"], r"harbour\.png"),
    Sample("stream", ["preview-1.png", "harbour.png"], r"preview"),
    Sample("edit", ["edited.png"], r"RATE_LIMITED"),
)


async def run_sample(language: Language, sample: Sample, address: str, folder: Path) -> list[str]:
    """Run a program in an empty folder against a server; what was wrong."""
    folder.mkdir(parents=True)
    if not Path(language.sample(sample.name)[0]).exists():
        return [f"there is no {language.sample(sample.name)[0]}"]
    process = await asyncio.create_subprocess_exec(
        *language.sample(sample.name),
        cwd=folder,
        env={**environment(), "IMAGEGEN_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            output = (await process.communicate())[0].decode(errors="replace")
    except TimeoutError:
        process.kill()
        return [f"it did not end within {_PATIENCE:.0f} s"]
    problems = [] if process.returncode == 0 else [f"it ended with status {process.returncode}"]
    if not re.search(sample.says, output):
        problems.append(f"it did not say {sample.says}")
    for name in sample.files:
        file = folder / name
        if not file.is_file():
            problems.append(f"it left no {name}")
        elif (facts := read_facts(file.read_bytes())) is None or facts.media_type != "image/png":
            problems.append(f"{name} is no PNG")
    return [*problems, f"it said:\n{output}"] if problems else []
