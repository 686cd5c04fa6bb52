"""Wishes and tasks."""

from imagegen_server.domain.image import ImageFacts, InputImage
from imagegen_server.domain.task import Operation, Options, PixelSize, Task, Wish

FACTS = ImageFacts("image/png", 1, 1, alpha=False)


def test_options_tell_what_was_said() -> None:
    """Only options that were said count as given, zero and empty text included."""
    assert Options(seed=0, preview_count=0, quality="").given() == ["quality", "seed", "preview_count"]
    assert Options().given() == []


def test_a_size_is_written_as_vendors_write_it() -> None:
    """Width, x, height."""
    assert str(PixelSize(1024, 768)) == "1024x768"


def test_a_task_wants_one_picture_and_no_previews_unless_told() -> None:
    """The defaults of the API stand in one place."""
    task = Task(Operation.GENERATE, "any", "a boat", Options())

    assert (task.count, task.preview_count) == (1, 0)


def test_input_bytes_are_those_of_images_and_mask() -> None:
    """What a wish brings along is counted whole."""
    images = (InputImage(b"12345", FACTS), InputImage(b"123", FACTS))
    wish = Wish(Operation.EDIT, "test/any", "a boat", Options(), images=images, mask=InputImage(b"12", FACTS))

    assert wish.input_bytes == 10
    assert Wish(Operation.GENERATE, "test/any", "a boat", Options()).input_bytes == 0
