"""Draws a picture and saves it."""

from imagegen import Client

with Client() as client:
    harbour = client.image("sandbox/scene", size="1024x768")
    result = harbour.generate("a harbour at dawn, with sailing boats", seed=7)
    picture = result.image
    print(f"{picture.save('harbour')}: {picture.width}x{picture.height} pixels, {picture.size_bytes} bytes")
    for warning in result.warnings:
        print(f"not done as asked: {warning.field}: {warning.message}")
