"""What is in front of everything: boats on the open water, birds, balloons."""

import numpy as np

from .boats import draw_boat
from .colour import Floats, colour, mix
from .composition import Composition
from .forms import Forms
from .frame import Frame
from .noise import stream
from .silhouettes import Cover, Sheet
from .words import Motif

_CANOPIES = tuple(colour(text) for text in ("#c8472f", "#e0a030", "#2f6f8f", "#7a4a86"))


def launch_boats(frame: Frame, scene: Composition, forms: Forms) -> list[tuple[Cover, Floats]]:
    """Boats on the water, the far ones first. Returns their mirror images, which the water breaks up."""
    random = stream(scene.seed, "boats")
    palette = scene.palette
    mirrored: list[tuple[Cover, Floats]] = []
    for place, below in ((0.13, 0.02), (-0.23, 0.045), (0.035, 0.14)):
        x = scene.aspect * (0.5 + scene.side * (place + float(random.uniform(-0.035, 0.035))))
        y = scene.horizon + below * float(random.uniform(0.85, 1.2))
        size = 0.05 + 1.15 * (y - scene.horizon)
        heading = 1 if random.random() < 0.5 else -1
        near = min(0.7 + 2 * (y - scene.horizon), 1.0)
        hull = mix(palette.haze, palette.land * np.float32(0.8), near)
        sail = mix(mix(palette.light, palette.horizon, 0.4), palette.haze, 0.25 + 0.2 * (1 - near))
        for up in (1, -1):
            dark, sails = Sheet(frame), Sheet(frame)
            draw_boat(dark, sails, x, y, size, heading, under_sail=True, up=up)
            pair = [(sails.coverage(), sail), (dark.coverage(), hull)]
            (forms.covers if up > 0 else mirrored).extend(pair)
    return mirrored


def release_birds(frame: Frame, scene: Composition, forms: Forms) -> None:
    """A loose flock on the side of the light."""
    random = stream(scene.seed, "birds")
    sheet = Sheet(frame)
    middle_x, middle_y = scene.light_x + 0.1 * scene.side, scene.horizon * float(random.uniform(0.42, 0.6))
    for _ in range(int(random.integers(7, 12))):
        x, y = middle_x + float(random.normal(0, 0.13)), middle_y + float(random.normal(0, 0.055))
        _draw_bird(
            sheet,
            x,
            y,
            float(random.uniform(0.007, 0.0165)),
            float(random.uniform(-0.4, 0.7)),
            float(random.normal(0, 0.18)),
        )
    forms.covers.append((sheet.coverage(), mix(scene.palette.land, scene.palette.haze, 0.12)))


def _draw_bird(sheet: Sheet, x: float, y: float, span: float, beat: float, lean: float) -> None:
    """Two wings in a flat curve; `beat` is how far they are raised, `lean` how far it banks."""

    def at(along: float, above: float) -> tuple[float, float]:
        return x + span * (along - lean * above), y - span * (above + lean * along)

    for wing in (-1, 1):
        sheet.polygon(
            [
                at(0.0, 0.06),
                at(0.45 * wing, 0.2 + 0.42 * beat),
                at(1.0 * wing, 0.02 + 0.5 * beat),
                at(0.45 * wing, 0.08 + 0.38 * beat),
                at(0.0, -0.1),
            ]
        )


def inflate_balloons(frame: Frame, scene: Composition, forms: Forms) -> None:
    """A few hot-air balloons, at different distances."""
    random = stream(scene.seed, "balloons")
    palette = scene.palette
    for number in range(5):
        far = number / 4
        radius = 0.062 * (1 - 0.72 * (1 - far) ** 0.8)
        x = scene.aspect * float((number * 0.37 + random.uniform(0.05, 0.3)) % 0.9 + 0.05)
        y = scene.horizon * float(random.uniform(0.18, 0.62))
        air = 0.62 * (1 - far) ** 0.7
        body = mix(_CANOPIES[int(random.integers(len(_CANOPIES)))], palette.land, 0.15)
        stripe = mix(body, palette.light, 0.55)
        for gores, paint in (((-1.0, 1.0), body), ((-0.62, -0.24), stripe), ((0.16, 0.55), stripe)):
            sheet = Sheet(frame)
            sheet.polygon(_canopy(x, y, radius, *gores))
            forms.covers.append((sheet.coverage(), mix(paint, palette.haze, air)))
        basket = Sheet(frame)
        basket.box(x - radius * 0.16, y + radius * 1.55, x + radius * 0.16, y + radius * 1.8)
        for rope in (-0.14, 0.14):
            basket.line(
                [(x + rope * 1.6 * radius, y + radius * 1.15), (x + rope * radius, y + radius * 1.6)], radius * 0.02
            )
        forms.covers.append((basket.coverage(), mix(palette.land, palette.haze, air)))


def _canopy(x: float, y: float, radius: float, left: float, right: float) -> list[tuple[float, float]]:
    """The part of an envelope between two meridians, -1 to 1."""
    heights = np.linspace(-1, 1.25, 22)
    widths = np.where(
        heights < 0.2,
        np.sqrt(np.maximum(1 - heights**2, 0)),
        0.98 - 0.72 * (np.maximum(heights - 0.2, 0) / 1.05) ** 1.3,
    )
    edge = [
        (x + left * float(wide) * radius, y + float(tall) * radius) for wide, tall in zip(widths, heights, strict=True)
    ]
    back = [
        (x + right * float(wide) * radius, y + float(tall) * radius) for wide, tall in zip(widths, heights, strict=True)
    ]
    return edge + back[::-1]


def populate(frame: Frame, scene: Composition, forms: Forms) -> list[tuple[Cover, Floats]]:
    """Everything that the words ask for. Returns the mirror images of what floats."""
    if scene.shows(Motif.BALLOONS):
        inflate_balloons(frame, scene, forms)
    if scene.shows(Motif.BIRDS):
        release_birds(frame, scene, forms)
    return launch_boats(frame, scene, forms) if scene.has_water and scene.shows(Motif.BOATS) else []
