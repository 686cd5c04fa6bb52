"""Which models there are: pages, aliases, and providers that do not answer."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
import structlog
from imagegen.v1 import error_reason_pb2, model_service_pb2
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.plan import Planner
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.rpc.callers import acting_for
from imagegen_server.rpc.model_service import ModelService

from tests.support.context import FakeContext
from tests.support.generation import as_entry, told
from tests.support.provider import ScriptedProvider

CONTEXT = cast("Any", FakeContext())


def service(aliases: dict[str, str] | None = None, /, **providers: ScriptedProvider) -> ModelService:
    """Make the servicer of these providers."""
    registry = Registry([as_entry(provider, name=name) for name, provider in providers.items()])
    return ModelService(
        registry, Planner(registry, {alias: (target,) for alias, target in (aliases or {}).items()}), Catalogue({})
    )


def listing(*ids: str) -> ScriptedProvider:
    """Make a provider with these models."""
    return ScriptedProvider(known_models=[Model(model_id, Capabilities()) for model_id in ids])


def failing(problem: Exception) -> ScriptedProvider:
    """Make a provider whose list cannot be read."""

    async def fail() -> Sequence[Model]:
        raise problem

    return ScriptedProvider(list_slowly=fail)


async def listed(made: ModelService, **fields: Any) -> tuple[list[str], str]:
    """List a page: its names, and the token for the next one."""
    answer = await made.ListModels(model_service_pb2.ListModelsRequest(**fields), CONTEXT)
    return [model.name for model in answer.models], answer.next_page_token


async def test_models_are_ordered_by_name() -> None:
    """All providers together, by their full names."""
    made = service(b=listing("2", "1"), a=listing("z", "a/b"))

    assert await listed(made) == (["a/a/b", "a/z", "b/1", "b/2"], "")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_cover_all_models_once(size: int) -> None:
    """Following the tokens gives every model, in order, in pages of the wanted size."""
    made = service(a=listing(*"gfedcba"))
    names: list[str] = []
    token = ""
    while True:
        page, token = await listed(made, page_size=size, page_token=token)
        names += page
        if not token:
            break
        assert len(page) == size

    assert names == [f"a/{letter}" for letter in "abcdefg"]


@pytest.mark.parametrize(("size", "expected"), [(0, 100), (1000, 1000), (1001, 1000), (2**32 - 1, 1000)])
async def test_the_page_size_has_a_default_and_a_cap(size: int, expected: int) -> None:
    """0 is 100, and more than 1000 is taken as 1000."""
    made = service(a=listing(*(f"{number:04}" for number in range(1001))))

    page, token = await listed(made, page_size=size)

    assert len(page) == expected
    assert token


async def test_one_provider_can_be_chosen() -> None:
    """By its configured name; another name is PROVIDER_NOT_CONFIGURED."""
    made = service(a=listing("1"), b=listing("2"))

    assert await listed(made, provider="b") == (["b/2"], "")
    with pytest.raises(ImageError) as caught:
        await listed(made, provider="c")
    assert caught.value.reason is Reason.PROVIDER_NOT_CONFIGURED


@pytest.mark.parametrize("token", ["é", "a", "////", "gICA"])
async def test_a_token_that_was_not_given_out_is_refused(token: str) -> None:
    """INVALID_REQUEST that names the field."""
    with pytest.raises(ImageError) as caught:
        await listed(service(a=listing("1")), page_token=token)

    assert caught.value.reason is Reason.INVALID_REQUEST
    assert told(caught.value) == ["page_token"]


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (ImageError(Reason.AUTHENTICATION_FAILED, "bad key"), error_reason_pb2.ERROR_REASON_AUTHENTICATION_FAILED),
        (RuntimeError("the secret key"), error_reason_pb2.ERROR_REASON_INTERNAL_ERROR),
    ],
    ids=["error", "fault"],
)
async def test_a_provider_that_does_not_answer_hides_nobody_else(problem: Exception, reason: int) -> None:
    """Its name and why are told in every page, beside the models of the others; a fault is logged without its text."""
    made = service(a=failing(problem), b=listing("1", "2"))

    with structlog.testing.capture_logs() as lines:
        for token in ("", (await listed(made, page_size=1))[1]):
            request = model_service_pb2.ListModelsRequest(page_size=1, page_token=token)
            answer = await made.ListModels(request, CONTEXT)
            assert len(answer.models) == 1
            assert [(item.provider, item.reason) for item in answer.unreachable] == [("a", reason)]

    assert {line["exception"] for line in lines} <= {"RuntimeError"}
    assert bool(lines) == isinstance(problem, RuntimeError)
    assert "secret" not in str(lines)


async def test_one_model_by_name_or_alias() -> None:
    """The alias gives the model that it means, with all aliases of it; unknown ids pass through."""
    made = service({"draft": "a/1", "alt": "a/1"}, a=listing("1"))

    for name in ("a/1", "draft"):
        answer = await made.GetModel(model_service_pb2.GetModelRequest(model=name), CONTEXT)
        assert (answer.model.name, list(answer.model.aliases), answer.model.known) == ("a/1", ["alt", "draft"], True)
    answer = await made.GetModel(model_service_pb2.GetModelRequest(model="a/unknown"), CONTEXT)
    assert not answer.model.known


async def test_a_model_is_told_of_though_its_vendor_cannot_be_asked() -> None:
    """What is known without the vendor's list is told then."""
    provider = listing("1")
    registry = Registry([ProviderEntry("a", "a", provider, http=HttpClient(HttpSettings("http://127.0.0.1:9")))])

    async def refuse(_http: object, _key: object) -> Sequence[Model]:
        raise ImageError(Reason.AUTHENTICATION_FAILED, "bad key")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider, "list_models", refuse)
        made = ModelService(registry, Planner(registry, {}), Catalogue({"a": Upstream(UpstreamSettings())}))
        answer = await made.GetModel(model_service_pb2.GetModelRequest(model="a/unknown"), CONTEXT)

    assert (answer.model.name, answer.model.known) == ("a/unknown", False)


@pytest.mark.parametrize(
    ("name", "reason", "fields"),
    [
        ("", Reason.INVALID_REQUEST, ["model"]),
        ("drfat", Reason.MODEL_NOT_FOUND, []),
        ("b/1", Reason.PROVIDER_NOT_CONFIGURED, []),
    ],
)
async def test_what_get_model_cannot_find(name: str, reason: Reason, fields: list[str]) -> None:
    """No name is malformed; a wrong one has its own reason."""
    with pytest.raises(ImageError) as caught:
        await service(a=listing("1")).GetModel(model_service_pb2.GetModelRequest(model=name), CONTEXT)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)


@pytest.mark.parametrize(
    ("models", "names", "aliases"),
    [
        (("*",), ["a/1", "a/2", "b/1"], ["draft"]),
        (("a/*",), ["a/1", "a/2"], ["draft"]),
        (("a/1", "b/1"), ["a/1", "b/1"], ["draft"]),
        (("draft",), ["a/1"], ["draft"]),
        (("b/*",), ["b/1"], []),
        ((), [], []),
    ],
)
async def test_a_caller_is_shown_what_it_may_use(models: tuple[str, ...], names: list[str], aliases: list[str]) -> None:
    """By name or by alias; a model that it may not use is not there, and pages are full all the same."""
    made = service({"draft": "a/1"}, a=listing("1", "2"), b=listing("1"))

    with acting_for(Caller("c", models)):
        answer = await made.ListModels(model_service_pb2.ListModelsRequest(), CONTEXT)
        assert [model.name for model in answer.models] == names
        assert [alias for model in answer.models for alias in model.aliases] == aliases
        assert (await listed(made, page_size=1))[0] == names[:1]


async def test_a_caller_is_told_only_of_the_providers_that_it_may_use() -> None:
    """One that does not answer is nobody's business who may not use it."""
    made = service(a=failing(ImageError(Reason.TIMEOUT, "late")), b=failing(ImageError(Reason.TIMEOUT, "late")))

    with acting_for(Caller("c", ("b/*",))):
        answer = await made.ListModels(model_service_pb2.ListModelsRequest(), CONTEXT)

    assert [item.provider for item in answer.unreachable] == ["b"]


async def test_a_caller_reads_of_one_model_only_what_it_may_use() -> None:
    """CALLER_NOT_ALLOWED for another; an alias that is allowed opens its model under the alias alone."""
    made = service({"draft": "a/1", "alt": "a/1"}, a=listing("1", "2"))

    with acting_for(Caller("c", ("draft",))):
        answer = await made.GetModel(model_service_pb2.GetModelRequest(model="draft"), CONTEXT)
        assert (answer.model.name, list(answer.model.aliases)) == ("a/1", ["draft"])
        for name in ("a/1", "a/2", "alt"):
            with pytest.raises(ImageError) as caught:
                await made.GetModel(model_service_pb2.GetModelRequest(model=name), CONTEXT)
            assert caught.value.reason is Reason.CALLER_NOT_ALLOWED
            assert caught.value.metadata["model"].startswith("a/")
