"""Boats: at their moorings or under sail."""

from .silhouettes import Sheet


def draw_boat(
    dark: Sheet, sails: Sheet, x: float, y: float, size: float, heading: int, *, under_sail: bool, up: int = 1
) -> None:
    """Draw one on the water at (x, y). `size` is the height of its mast; `up` -1 draws its mirror image.

    Hull and rigging go to one sheet, sails to another.
    """

    def at(along: float, above: float) -> tuple[float, float]:
        return x + heading * along * size, y - up * above * size

    dark.polygon([at(-0.33, 0.105), at(-0.29, 0.0), at(0.24, 0.0), at(0.42, 0.135), at(0.1, 0.1)])
    dark.polygon([at(-0.2, 0.1), at(-0.18, 0.155), at(0.06, 0.15), at(0.12, 0.1)])
    thin = size * 0.006
    dark.line([at(0.04, 0.1), at(0.04, 1.0)], thin * 2.4)
    dark.line([at(0.41, 0.13), at(0.04, 0.97)], thin)
    dark.line([at(-0.32, 0.105), at(0.04, 0.98)], thin)
    if under_sail:
        sails.polygon([at(0.02, 0.95), at(-0.06, 0.55), at(-0.31, 0.2), at(0.02, 0.19)])
        sails.polygon([at(0.06, 0.9), at(0.17, 0.52), at(0.39, 0.17), at(0.09, 0.19)])
        dark.line([at(0.04, 0.19), at(-0.32, 0.2)], thin * 1.6)
    else:
        dark.polygon([at(0.04, 0.235), at(0.04, 0.19), at(-0.3, 0.19), at(-0.3, 0.215)])
