"""The provider as the engine runs it, on a strict fake of the vendor."""

from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Phase, PreviewShown, Progress
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.providers.replicate import ReplicateSettings

from tests.support.generation import drawing
from tests.support.replicate_api import KEY, PREDICT_SECONDS, SEED, said
from tests.support.replicate_models import VERSION
from tests.support.replicate_provider import MODEL, replicate_workshop

DIFFUSION = "replicate/someone/diffusion"


async def test_pictures_are_drawn() -> None:
    """With what the vendor says of them: the seed in the logs, the seconds, its id of the prediction."""
    async with replicate_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=2))
    created, *questions = [call for call in made.fake.requests if call.path.startswith("/v1/")]
    fetched = [call for call in made.fake.requests if call.path.startswith("/delivery/")]

    assert (created.method, created.path) == ("POST", "/v1/models/black-forest-labs/flux-schnell/predictions")
    assert created.json == {"input": {"prompt": "a boat", "num_outputs": 2}}
    assert created.headers["authorization"] == f"Bearer {KEY}"
    assert 590 <= int(created.headers["cancel-after"].removesuffix("s")) <= 600
    assert "prefer" not in {name.lower() for name in created.headers}
    (number,) = made.fake.work.predictions
    assert [(call.method, call.path) for call in questions] == [("GET", f"/v1/predictions/{number}")] * 2
    assert all("authorization" not in {name.lower() for name in call.headers} for call in fetched)
    assert len(fetched) == 2
    assert [image.image.facts.media_type for image in result.images] == ["image/png"] * 2
    assert [image.seed for image in result.images] == [SEED] * 2
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (2, None)
    assert result.metadata["replicate"] == {"predict_time": PREDICT_SECONDS, "total_time": 2.5, "version": "hidden"}
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == number
    assert made.fake.work.canceled == []


async def test_a_version_is_named_in_the_body() -> None:
    """As the API wants it of all models but official ones."""
    async with replicate_workshop() as made:
        result = await made.workshop.result(drawing(f"replicate/qwen/qwen-image:{VERSION}", aspect_ratio="16:9"))
    schema, created = made.fake.requests[:2]

    assert schema.path == f"/v1/models/qwen/qwen-image/versions/{VERSION}"
    assert created.path == "/v1/predictions"
    assert created.json == {"version": VERSION, "input": {"prompt": "a boat", "aspect_ratio": "16:9"}}
    assert result.metadata["replicate"]["version"] == VERSION


async def test_progress_is_told() -> None:
    """Queued while the model starts, then the steps that the logs tell."""
    async with replicate_workshop() as made:
        events = await made.workshop.run(drawing(MODEL))
    told_of = [event for event in events if isinstance(event, Progress)]

    assert Phase.QUEUED in [event.phase for event in told_of]
    assert (0.5, 2, 4) in [(event.fraction, event.step, event.steps) for event in told_of]


async def test_a_list_that_grows_is_previews() -> None:
    """Of a model that hands over what it has; the last is the picture."""
    async with replicate_workshop() as made:
        made.fake.work.statuses = ("starting", "processing", "processing", "processing", "succeeded")
        events = await made.workshop.run(drawing(DIFFUSION, preview_count=5))
        result = events[-1]
    shown = [event for event in events if isinstance(event, PreviewShown)]
    fetched = [call.path for call in made.fake.requests if call.path.startswith("/delivery/")]

    assert [event.number for event in shown] == [1, 2]
    assert fetched == ["/delivery/png-0", "/delivery/png-1", "/delivery/png-2"]
    assert len(result.result.images) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name", ["flux-schnell", "owner/../predictions", "owner/name?x=y", "owner/name:latest!", "a/b/c"]
)
async def test_what_can_be_no_model_is_not_asked_for(name: str) -> None:
    """Nothing of it comes into the path of a request."""
    async with replicate_workshop() as made:
        broken = await made.workshop.broken(drawing(f"replicate/{name}"))

    assert (broken.error.reason, broken.error.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)
    assert made.fake.requests == []


@pytest.mark.parametrize(
    ("prompt", "reason", "code"),
    [("something forbidden", Reason.CONTENT_FILTERED, "E005"), ("something broken", Reason.PROVIDER_ERROR, "failed")],
)
async def test_a_prediction_that_fails(prompt: str, reason: Reason, code: str) -> None:
    """The vendor does not charge for it, if the model is public; nothing is called off any more."""
    async with replicate_workshop() as made:
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))
        private = await made.workshop.broken(replace(drawing("replicate/someone/secret"), prompt=prompt))

    assert (broken.error.reason, broken.error.provider_code, broken.error.billed) == (reason, code, Billed.NO)
    assert private.error.billed is Billed.UNKNOWN
    assert made.fake.work.canceled == []


async def test_a_wrong_key() -> None:
    """Is told as one."""
    async with replicate_workshop(key="r8_wrong") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)


async def test_settings_are_checked() -> None:
    """What cannot be used is named."""
    with pytest.raises(ValueError, match="collections"):
        ReplicateSettings(collections=("Text To Image",))
    with pytest.raises(ValueError, match="models"):
        ReplicateSettings(models=("flux",))


PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"detail": f"{KEY} said {PROMPT}", "title": KEY}),
        (
            422,
            {"title": PROMPT, "detail": PROMPT, "invalid_fields": [{"field": f"input.{KEY}", "description": PROMPT}]},
        ),
        (500, {"error": f"{KEY}: {PROMPT}"}),
        (201, {"id": KEY, "status": "starting"}),
        (201, {"id": "p1", "status": "failed", "error": f"{PROMPT}: {KEY}"}),
        (201, {"id": "p1", "status": f"{KEY} {PROMPT}", "urls": {"get": f"https://x.example/{KEY}"}}),
    ],
    ids=range(6),
)
async def test_what_the_vendor_repeats_goes_no_further(status: int, body: object) -> None:
    """Neither key nor prompt is in an error, or in what is told on the way."""
    async with replicate_workshop() as made:
        made.fake.answer_next(said(status, body))
        events = await made.workshop.run(replace(drawing(MODEL), prompt=PROMPT))
    last = events[-1]
    shown = repr((events, vars(last.error), last.error.facts()))  # type: ignore[union-attr]

    assert KEY not in shown
    assert "Ermintrude" not in shown


@pytest.mark.parametrize("step", ["create", "ask"])
async def test_words_of_the_caller_do_not_decide_what_is_wrong(step: str) -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: flagged as sensitive by a safety filter (E005), NSFW content"
    failed = {"id": "p1", "status": "failed", "error": f"Cannot draw {prompt}"}
    async with replicate_workshop() as made:
        answer = said(422, {"detail": f"Cannot draw {prompt}"}) if step == "create" else said(201, failed)
        made.fake.answer_next(answer)
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason in (Reason.INVALID_REQUEST, Reason.PROVIDER_ERROR)


async def test_words_of_the_caller_in_the_logs_tell_nothing() -> None:
    """Neither a seed, nor that something was kept back."""
    prompt = "a poster: seed: 99, NSFW content detected"
    async with replicate_workshop() as made:
        logs = f"Prompt: {prompt}\n"
        output = [f"{made.fake.origin}/delivery/png-1"]
        done = {"id": "p1", "status": "succeeded", "output": output, "logs": logs}
        made.fake.answer_next(said(201, done))
        result = await made.workshop.result(replace(drawing(MODEL, count=2), prompt=prompt))

    assert [image.seed for image in result.images] == [None]
    assert [failure.error.reason for failure in result.failures] == [Reason.INVALID_RESPONSE]


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown; of a model that nobody knows it is the question for its inputs."""
    async with replicate_workshop() as made:
        (planned,) = await made.workshop.explained(drawing(MODEL, seed=5))
        (unknown,) = await made.workshop.explained(drawing("replicate/someone/secret"))
        assert made.fake.requests == []

    assert (planned.method, planned.url.rpartition("/v1")[2]) == (
        "POST",
        "/models/black-forest-labs/flux-schnell/predictions",
    )
    assert '"seed":5' in planned.body
    assert KEY not in repr(planned)
    assert (unknown.method, unknown.url.rpartition("/v1")[2]) == ("GET", "/models/someone/secret")
