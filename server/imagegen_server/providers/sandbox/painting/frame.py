"""Where the pixels are: y runs from 0 at the top to 1 at the bottom, x from 0 to the aspect ratio."""

from dataclasses import dataclass

import numpy as np

from .colour import Floats


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of so many pixels. `aspect` is that of the finished picture, also in a small preview of it."""

    width: int
    height: int
    aspect: float
    detail: int
    """Octaves of the finest noise that this size can show and the wanted quality asks for."""

    @property
    def columns(self) -> Floats:
        """The x of every column."""
        return ((np.arange(self.width, dtype=np.float32) + 0.5) * np.float32(self.aspect / self.width)).astype(
            np.float32
        )

    def rows(self, first: int, last: int) -> Floats:
        """The y of some rows."""
        return (np.arange(first, last, dtype=np.float32) + 0.5) / np.float32(self.height)

    def octaves(self, frequency: float, most: int) -> int:
        """How many octaves, from so many bumps a unit on, these pixels can show."""
        finest = self.height / 2 / max(frequency, 1e-6)
        return max(1, min(most, self.detail, 1 + int(np.log2(max(finest, 1)))))
