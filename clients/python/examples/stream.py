"""Shows a picture while it develops: saves each preview as it comes, then the finished picture."""

from imagegen import Client, Complete, Preview, Progress

with Client() as client, client.stream("sandbox/scene", "a harbour at dawn", preview_count=3, resumable=True) as stream:
    for event in stream:
        match event:
            case Progress(phase=phase, fraction=float() as fraction):
                print(f"{phase}: {fraction:.0%}")
            case Preview(number=number, image=image):
                print(f"preview {number}: {image.save(f'preview-{number}')}")
            case Complete(image=image):
                print(f"finished: {image.save('harbour')}")
    print(f"drawn by {stream.result().model}")
