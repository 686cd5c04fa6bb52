"""The provider as the engine runs it, on a strict fake of the vendor."""

from imagegen_server.domain.errors import Billed
from imagegen_server.domain.result import AttemptOutcome, Cost

from tests.support.bfl_api import KEY, SEED
from tests.support.bfl_provider import MODEL, bfl_workshop
from tests.support.generation import drawing


async def test_a_picture_is_drawn() -> None:
    """With its price, its seed, the vendor's id of the task; the key goes to the API and not to the picture's host."""
    async with bfl_workshop() as made:
        result = await made.workshop.result(drawing(MODEL))
    submitted, asked, fetched = made.fake.requests

    assert (submitted.method, submitted.path, submitted.json) == ("POST", "/v1/flux-2-pro", {"prompt": "a boat"})
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1/get_result", "id=task-1")
    assert (fetched.method, fetched.path) == ("GET", "/delivery/16x16.jpeg")
    assert [call.headers.get("x-key") for call in made.fake.requests] == [KEY, KEY, None]
    (image,) = result.images
    assert (image.image.facts.media_type, image.seed, image.revised_prompt) == ("image/jpeg", SEED, None)
    assert image.metadata["bfl"]["duration"] == 2.25
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (1, Cost(0.045, "USD"))
    assert result.metadata["bfl"] == {"credits": 4.5, "input_mp": 0.0, "output_mp": 1.05}
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "task-1"
