"""The keys of the provider's table in the configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenAISettings:
    """Whom the vendor bills where a key belongs to several: the ids of an organization and of a project.

    :raises ValueError: when one of them fits into no header
    """

    organization: str = ""
    project: str = ""

    def __post_init__(self) -> None:
        """Check what would otherwise fail with every request."""
        for name, value in (("organization", self.organization), ("project", self.project)):
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"{name} must be one line of ASCII characters")
