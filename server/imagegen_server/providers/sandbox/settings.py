"""What an operator can set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Limits of the sandbox: a picture costs processor time of the server itself, about 0.25 s a megapixel."""

    max_pixels: int = 4096 * 4096
    """Pixels of one picture."""

    max_side: int = 8192
    """Pixels of one side."""

    workers: int = 2
    """Pictures drawn at the same time."""

    def __post_init__(self) -> None:
        """Refuse limits under which nothing can be drawn."""
        for name, least in (("max_pixels", 256), ("max_side", 16), ("workers", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
