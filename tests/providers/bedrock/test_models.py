"""What is known of models, by themselves and from the vendor's own lists."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.bedrock import BedrockSettings
from imagegen_server.providers.bedrock.listing import control_plane
from imagegen_server.providers.bedrock.models import find_model, known_models
from imagegen_server.providers.bedrock.provider import Bedrock
from imagegen_server.providers.registry import Registry

from tests.support.bedrock_api import ENDED, KEY, MODELS, REGION, fake_bedrock, models_body, profiles_body
from tests.support.bedrock_provider import bedrock_entry
from tests.support.vendor import Answer, html_answer, json_answer

UNREADABLE: list[Any] = [{}, [], None, 7, {"modelSummaries": None}, {"modelSummaries": 1}, {"models": []}]
RUNTIME = f"https://bedrock-runtime.{REGION}.amazonaws.com"


def test_the_known_models_are_those_that_the_vendor_runs() -> None:
    """The services by their profile; nothing that ended."""
    models = known_models()

    assert {model.id for model in models} == set(MODELS)
    assert all(model.known and model.retire_time is None for model in models)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_claimed_is_what_the_fake_takes(model: str) -> None:
    """Each option is a field, words and masks too; one picture a request, and nothing is shown on the way."""
    can = find_model(model).capabilities
    wanted, taken = MODELS[model]
    fields = wanted.keys() | taken.keys()
    spelled = {"format": "output_format"}

    assert set(can.options or ()) == {
        option
        for option in ("aspect_ratio", "seed", "negative_prompt", "format")
        if spelled.get(option, option) in fields
    }
    assert can.edit is bool(fields & {"image", "init_image"})
    assert can.generate is not bool(wanted.keys() & {"image", "init_image"})
    assert can.mask is ("mask" in fields)
    assert can.edits_without_words is ("prompt" not in wanted)
    assert (can.max_images, can.streaming, can.previews) == (1, False, PreviewSupport.NONE)
    checks = wanted | taken
    assert all(checks["output_format"](kind) for kind in can.formats)
    assert all(checks["aspect_ratio"](ratio) for ratio in can.aspect_ratios)


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("stability.stable-image-inpaint-v1:0", True),
        ("eu.stability.stable-image-inpaint-v1:0", True),
        ("us-gov.stability.stable-image-inpaint-v1:0", True),
        ("us.stability.stable-image-inpaint-v2:0", False),
        ("us.stability.stable-image-inpaint", False),
        ("arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.stability.stable-image-inpaint-v1:0", False),
    ],
)
def test_a_service_is_recognised_under_all_its_names(model: str, known: bool) -> None:
    """Of any place and version, and by its ARN; only those of today are said to be known."""
    found = find_model(model)

    assert found.known is known
    assert (found.capabilities.mask, found.capabilities.generate) == (True, False)


@pytest.mark.parametrize(
    "model", ["flux-9", "stability.paint-v9:0", "arn:aws:bedrock:x:1:application-inference-profile/a"]
)
def test_of_a_stranger_nothing_is_claimed_but_what_the_vendor_lacks(model: str) -> None:
    """No way to show anything on the way; what it takes, the vendor will say."""
    can = find_model(model).capabilities

    assert not find_model(model).known
    assert (can.generate, can.edit, can.mask) == (None,) * 3
    assert (can.streaming, can.previews, can.max_images) == (False, PreviewSupport.NONE, 1)


@pytest.mark.parametrize(
    ("model", "day"), [(ENDED[0], datetime(2026, 9, 30, tzinfo=UTC)), (ENDED[1], datetime(2026, 6, 30, tzinfo=UTC))]
)
def test_amazons_own_models_are_known_to_have_ended(model: str, day: datetime) -> None:
    """The day is told; they are not listed."""
    assert (find_model(model).known, find_model(model).retire_time) == (True, day)
    assert model not in {known.id for known in known_models()}


async def test_the_vendors_lists_are_read_once() -> None:
    """By the key. Names and days are the vendor's; others' models are left out; a profile stands for what it runs."""
    async with fake_bedrock() as fake:
        entry = bedrock_entry(fake.base_url)
        catalogue = Catalogue({entry.name: Upstream(UpstreamSettings((ProviderKey(Secret(KEY)),)))})
        models = await catalogue.models(entry)
        assert await catalogue.models(entry) == models
        core = entry.provider.model("stability.stable-image-core-v1:1")
        await Registry([entry]).close()

    assert [request.path for request in fake.requests] == ["/foundation-models", "/inference-profiles"]
    assert {model.id for model in models} == set(MODELS)
    assert all(model.known and model.display_name for model in models)
    assert core.retire_time == datetime(2030, 1, 31, tzinfo=UTC)
    assert {model.retire_time for model in models if model.id != core.id} == {None}


def listing(models: dict[str, Any], profiles: dict[str, Any]) -> list[Answer]:
    """Answer both lists."""
    return [json_answer(200, models), json_answer(200, profiles)]


async def listed(*answers: Answer) -> list[str]:
    """Tell which models are listed for these answers."""
    async with fake_bedrock() as fake:
        entry = bedrock_entry(fake.base_url)
        assert entry.http is not None
        fake.answer_next(*answers)
        try:
            return [model.id for model in await entry.provider.list_models(entry.http, Secret(KEY))]
        finally:
            await Registry([entry]).close()


async def test_pages_of_profiles_are_followed() -> None:
    """To the last one."""
    profiles = profiles_body()["inferenceProfileSummaries"]
    first = {"inferenceProfileSummaries": profiles[:2], "nextToken": "a b/+"}
    second = {"inferenceProfileSummaries": profiles[2:]}
    async with fake_bedrock() as fake:
        entry = bedrock_entry(fake.base_url)
        assert entry.http is not None
        fake.answer_next(*listing(models_body(), first), json_answer(200, second))
        models = await entry.provider.list_models(entry.http, Secret(KEY))
        await Registry([entry]).close()

    assert {model.id for model in models} == set(MODELS)
    assert fake.requests[2].query == "maxResults=1000&nextToken=a%20b%2F%2B"


async def test_what_has_ended_is_not_listed() -> None:
    """Should the vendor still name it; a day that cannot be read is none."""
    models = models_body()
    for entry, end in zip(models["modelSummaries"], ["2026-01-01T00:00:00Z", "soon", 7], strict=False):
        entry["modelLifecycle"] = {"status": "LEGACY", "endOfLifeTime": end}
    ids = await listed(*listing(models, profiles_body()))

    assert set(ids) == set(MODELS) - {"stability.stable-image-core-v1:1"}


async def test_odd_members_of_the_lists_are_passed_over() -> None:
    """Only what can be read is a model."""
    models = {
        "modelSummaries": [1, {}, {"modelId": 7}, {"modelId": "stability.a-v1:0", "inferenceTypesSupported": None}]
    }
    odd = [1, {}, {"models": 1}, {"models": [1, {}]}, {"models": [{"modelArn": "x/stability.a-v1:0"}]}]
    profiles = {
        "inferenceProfileSummaries": [
            *odd,
            {"models": [{"modelArn": "x/stability.a-v1:0"}], "inferenceProfileId": "us.a"},
        ]
    }

    assert await listed(*listing(models, profiles)) == ["stability.a-v1:0", "us.a"]


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
async def test_a_list_that_cannot_be_read(body: Any) -> None:
    """It is the vendor's mistake, not an empty list."""
    with pytest.raises(ImageError, match="a list of models that cannot be read") as caught:
        await listed(json_answer(200, body))

    assert caught.value.reason is Reason.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            json_answer(403, {"Message": "no"}, {"x-amzn-errortype": "AccessDeniedException"}),
            Reason.AUTHENTICATION_FAILED,
        ),
        (json_answer(429, {"message": "no"}, {"x-amzn-errortype": "ThrottlingException"}), Reason.RATE_LIMITED),
        (html_answer(503), Reason.PROVIDER_UNAVAILABLE),
        (html_answer(200), Reason.INVALID_RESPONSE),
    ],
)
async def test_a_list_that_is_refused(answer: Answer, reason: Reason) -> None:
    """With the reason that the vendor gives."""
    with pytest.raises(ImageError) as caught:
        await listed(answer)

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("base_url", "there"),
    [
        (RUNTIME, f"https://bedrock.{REGION}.amazonaws.com"),
        (f"https://bedrock-runtime-fips.{REGION}.amazonaws.com", f"https://bedrock-fips.{REGION}.amazonaws.com"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "https://bedrock.cn-north-1.amazonaws.com.cn"),
        ("https://bedrock-runtime.example.com", "https://bedrock-runtime.example.com"),
        ("https://bedrock-runtime.notamazonaws.com", "https://bedrock-runtime.notamazonaws.com"),
        (f"http://bedrock-runtime.{REGION}.amazonaws.com", f"http://bedrock-runtime.{REGION}.amazonaws.com"),
        ("http://127.0.0.1:9/gateway", "http://127.0.0.1:9/gateway"),
    ],
)
async def test_where_lists_are_asked_for(base_url: str, there: str) -> None:
    """At the vendor's other host; at a gateway's own address, for the key is the gateway's."""
    http = HttpClient(HttpSettings(base_url))

    assert control_plane(http).base_url == there
    await http.close()


async def test_the_key_goes_to_the_vendors_other_host_and_to_no_third() -> None:
    """Both lists are asked for there."""
    hosts: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append((request.url.host, request.headers["host"]))
        assert request.headers["authorization"] == f"Bearer {KEY}"
        return httpx.Response(200, json=profiles_body() if "profiles" in request.url.path else models_body())

    http = HttpClient(HttpSettings(RUNTIME), httpx.MockTransport(answer))
    await Bedrock("bedrock", BedrockSettings(REGION)).list_models(http, Secret(KEY))

    assert hosts == [(f"bedrock.{REGION}.amazonaws.com",) * 2] * 2
