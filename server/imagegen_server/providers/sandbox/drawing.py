"""The thread's side of the work: an order in, image files out."""

from imagegen_server.images.encoding import encode

from .order import Order
from .spoiling import padded_png
from .workers import Stop


class Drawing:
    """One picture of an order, and its previews. Used by one thread at a time."""

    def __init__(self, order: Order, seed: int) -> None:
        """Remember what to draw; nothing is done before the first preview."""
        self._order = order
        self._seed = seed
        self.words: list[str] = []

    def preview(self, number: int, of: int, stop: Stop) -> bytes:
        """Draw preview `number` (from 1) of so many, at rising detail."""
        scale = 2.0 ** (-3 + 3 * (number - 1) / of)
        return self._file(scale, stop)

    def final(self, stop: Stop) -> bytes:
        """Draw the finished picture."""
        data = self._file(1.0, stop)
        return data if self._order.size_bytes is None else padded_png(data, self._order.size_bytes)

    def _file(self, scale: float, stop: Stop) -> bytes:
        import numpy as np
        from PIL import Image

        stop.check()
        w, h = self._order.size.width, self._order.size.height
        sw, sh = max(1, round(w * scale)), max(1, round(h * scale))
        rng = np.random.Generator(np.random.PCG64(self._seed & (2**64 - 1)))
        top, bottom = rng.uniform(60, 255, 3), rng.uniform(0, 160, 3)
        cx, cy = rng.uniform(0.2, 0.8, 2)
        y = (np.arange(sh, dtype=np.float32) + 0.5)[:, None, None] / sh
        x = (np.arange(sw, dtype=np.float32) + 0.5)[None, :, None] / sw
        sky = top + (bottom - top) * y + 120 * np.exp(-60 * ((x - cx) ** 2 + (y - cy) ** 2))
        image = Image.fromarray(np.clip(sky + 6 * np.sin(40 * x) * np.sin(33 * y), 0, 255).astype(np.uint8))
        if scale < 1:
            image = image.resize((w, h), Image.Resampling.BICUBIC)
        if self._order.images:
            from imagegen_server.images.decoding import decode
            from imagegen_server.images.masks import read_mask

            base = decode(self._order.images[0]).convert("RGB")
            mask = read_mask(self._order.mask).image() if self._order.mask else Image.new("L", base.size, 128)
            image = Image.composite(image, base, mask)
        return encode(image, self._order.format, self._order.compression)
