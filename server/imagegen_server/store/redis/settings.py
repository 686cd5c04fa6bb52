"""How Redis is reached."""

from dataclasses import dataclass

from imagegen_server.domain.secret import Secret

COMMAND_SECONDS = 2.0
"""How long one command may take before Redis counts as away."""

BYTES_SECONDS = 5.0
"""The same for a command that carries an image. An image that takes longer than 10 s to be kept is lost if its
generation was stopped (runner.ARRIVAL_SECONDS), so that Redis is given up before."""

LEASE_SECONDS = 10.0
"""So long after it was last heard of a process counts as gone, with all that it was doing."""

BEAT_SECONDS = 1.0
"""How often a process is heard of."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """`url` without a password: redis://, rediss:// or unix://. `prefix` is what every key begins with."""

    url: str
    password: Secret | None = None
    prefix: str = "imagegen"
    ca: str | None = None
    """A file with authorities that rediss:// trusts beside those of the machine; None = there are none."""
