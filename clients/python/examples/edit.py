"""Changes a part of a picture, and tells what to do when a provider refuses."""

import struct
import zlib

from imagegen import Client, Image, ImageGenError, Reason


def right_half(width: int, height: int) -> Image:
    """A mask in black and white: only what is white may change."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes(width // 2) + b"\xff" * (width - width // 2)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(row * height)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return Image.from_bytes(png, media_type="image/png")


with Client() as client:
    harbour = client.generate("sandbox/scene", "a harbour at dawn", size="512x384").image
    edited = client.edit("sandbox/scene", "the same at night", image=harbour, mask=right_half(512, 384)).image
    print(edited.save("edited"))

    try:
        client.edit("sandbox/fail-rate-limited", "the same in winter", image=edited)
    except ImageGenError as error:
        print(f"{error.reason}: {error.message} (billed: {error.billed})")
        if error.reason == Reason.RATE_LIMITED and error.retry_delay is not None:
            print(f"try again in {error.retry_delay} s")
