"""Who is measured: the service as shipped, and the two servers that it is held against."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import Cores, Program, program, script


@dataclass(frozen=True, slots=True)
class Arm:
    """One server. `letter` and `title` name it in reports; `upstream` tells whether it asks the provider."""

    name: str
    letter: str
    title: str
    upstream: bool = True


ECHO = Arm("echo", "a", "gRPC echo", upstream=False)
PLAIN = Arm("plain", "b", "httpx + json + base64")
SERVICE = Arm("service", "c", "the service")
ARMS = (ECHO, PLAIN, SERVICE)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements stand on: the upstream that runs, the cores, and where programs may write."""

    upstream: Program
    cores: Cores
    directory: Path

    @contextmanager
    def arm(self, arm: Arm, mode: str = "plain", wrapper: tuple[str, ...] = ()) -> Iterator[Program]:
        """Run a fresh server of an arm, whose provider is the upstream in a mode. `wrapper` stands for its program."""
        base_url = f"http://{self.upstream.address}/{mode}/v1"
        environment = {}
        if arm is SERVICE:
            command = [*(wrapper or (str(Path(sys.executable).with_name("imagegen-server")),))]
            command += ["serve", "--listen", "127.0.0.1:0"]
            environment = {"OPENAI_API_KEY": "bench", "IMAGEGEN__PROVIDERS__OPENAI__BASE_URL": base_url}
        else:
            command = script("baselines.py", arm.name, base_url)
        with program(arm.name, command, self.cores.server, self.directory / f"{arm.name}.log", environment) as server:
            yield server


@contextmanager
def running_bench(cores: Cores, directory: Path) -> Iterator[Bench]:
    """Run the upstream until the block ends."""
    with program("upstream", script("upstream.py"), cores.load, directory / "upstream.log") as upstream:
        yield Bench(upstream, cores, directory)
