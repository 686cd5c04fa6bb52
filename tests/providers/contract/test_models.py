"""What every adapter tells of its models: without asking anybody, without contradiction, and as it then does."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import MAX_SIDE, Operation, Options, PixelSize, Wish
from imagegen_server.providers.base import Provider
from imagegen_server.providers.registry import installed_types

from tests.support.generation import as_entry, as_input, planner, told
from tests.support.pictures import png

from .asking import LISTS, OPTIONS, value_of, values_of
from .bench import Bench, bench_of
from .kit import SIDE, Kit, kit_name, kits

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)
SANDBOX = installed_types()["sandbox"]
PROVIDERS = pytest.mark.parametrize(
    "provider", [*(kit.provider() for kit in kits()), SANDBOX.build("sandbox", SANDBOX.settings())], ids=type
)
STRANGE = ["", "x", "no-such-model", "a/b", "a/b:c", "a:b", "..", "%2F", "ü\u2028", "a b", "\x00", "m" * 10_000]
_SIZE = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")
_RATIO = re.compile(r"\d+(\.\d+)?:\d+(\.\d+)?")


async def models_of(bench: Bench) -> list[Model]:
    """List all that is known: the adapter's own, what the vendor lists, and those of the kit."""
    provider, http = bench.entry.provider, bench.entry.http
    assert http is not None
    listed = [*await provider.list_models(http, bench.secret), *await provider.models()]
    own = [provider.model(name) for name in (bench.kit.draws, bench.kit.edits, bench.kit.masks, bench.kit.previews)]
    return list({model.id: model for model in [*listed, *own] if model.id}.values())


@PROVIDERS
@pytest.mark.parametrize("model_id", STRANGE)
def test_any_id_has_an_answer(provider: Provider, model_id: str) -> None:
    """At once: model() is no coroutine and has no client. It keeps the id, and says that it does not know it."""
    model = provider.model(model_id)

    assert model.id == model_id
    assert model.known is False
    assert model.retire_time is None
    assert list(contradictions(model)) == []


@PROVIDERS
async def test_the_models_are_alive(provider: Provider) -> None:
    """None has ended, each is there once, and is what model() says of it."""
    models = await provider.models()

    assert len({model.id for model in models}) == len(models)
    for model in models:
        assert model.known
        assert provider.model(model.id) == model
        assert model.retire_time is None or model.retire_time > datetime.now(UTC)


@KITS
async def test_the_vendors_list_is_kept(kit: Kit) -> None:
    """What it names is known, each once, and the provider's own words of it agree."""
    async with bench_of(kit) as bench:
        assert bench.entry.http is not None
        models = await bench.entry.provider.list_models(bench.entry.http, bench.secret)
        own = {model.id for model in await bench.entry.provider.models()}
        asked = bool(bench.said)

    assert models
    assert len({model.id for model in models}) == len(models)
    assert all(model.known for model in models)
    assert not asked or type(bench.entry.provider).list_models is not Provider.list_models
    assert asked or own == {model.id for model in models}
    for model in models:
        said = bench.entry.provider.model(model.id).capabilities
        assert said == model.capabilities, model.id


@KITS
async def test_capabilities_do_not_contradict_themselves(kit: Kit) -> None:
    """Of every model that is known, and of the kit's own."""
    async with bench_of(kit) as bench:
        found = {model.id: list(contradictions(model)) for model in await models_of(bench)}

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@KITS
def test_the_kit_agrees_with_the_capabilities(kit: Kit) -> None:
    """Nothing that its models are there for is said to be impossible."""
    provider = kit.provider()

    assert kit.draws or kit.edits
    for name, able in (
        (kit.draws, "generate"),
        (kit.edits, "edit"),
        (kit.masks, "mask"),
    ):
        assert not name or getattr(provider.model(name).capabilities, able) is not False
    assert not kit.previews or provider.model(kit.previews).capabilities.previews is PreviewSupport.IMAGES


@KITS
async def test_what_no_kit_model_does_no_model_does(kit: Kit) -> None:
    """A mask or previews that some model has must be shown to the suite."""
    async with bench_of(kit) as bench:
        able = [model.capabilities for model in await models_of(bench)]

    for name, can_it in (
        (kit.masks, [can.mask for can in able]),
        (kit.edits, [can.edit for can in able]),
        (kit.draws, [can.generate for can in able]),
        (kit.previews, [_previews(can) for can in able]),
    ):
        assert name or True not in can_it
        assert not name or set(can_it) != {False}


def _previews(able: Capabilities) -> bool | None:
    return None if able.previews is PreviewSupport.UNKNOWN else able.previews is PreviewSupport.IMAGES


def contradictions(model: Model) -> Iterator[str]:
    """Name what of a model's capabilities cannot be true together."""
    able = model.capabilities
    for name in ("max_images", "max_count", "max_input_images", "max_previews"):
        if (most := getattr(able, name)) is not None and not 1 <= most <= 10_000:
            yield f"{name} = {most}"
    if able.generate is False and able.edit is False:
        yield "it does nothing"
    if able.edit is False and (able.mask or able.max_input_images is not None or able.edits_without_words):
        yield "it does not edit, and something is said of its edits"
    if able.edit is True and able.max_input_images is None and model.known:
        yield "it edits, and nobody says how many images it takes"
    if able.mask and able.edit is not True:
        yield "it takes masks, and nobody says that it edits"
    if able.max_previews is not None and able.previews is not PreviewSupport.IMAGES:
        yield "it shows no previews, and their number is limited"
    if able.previews is PreviewSupport.IMAGES and able.streaming is False:
        yield "it shows previews, and does not stream"
    if able.max_images and able.max_count and able.max_images > able.max_count:
        yield "one request makes more than a call may ask for"
    yield from _wrong_options(able)


def _wrong_options(able: Capabilities) -> Iterator[str]:
    if able.options is not None:
        if unknown := able.options - set(OPTIONS):
            yield f"options that there are not: {sorted(unknown)}"
        for option, values in LISTS.items():
            if getattr(able, values) and option not in able.options:
                yield f"{values} are listed, but {option} is no option"
    for values in LISTS.values():
        listed = getattr(able, values)
        if len(set(listed)) != len(listed) or not all(isinstance(value, str) and value for value in listed):
            yield f"{values} are not texts, each once"
    if wrong := [value for value in able.sizes if value != "auto" and not _SIZE.fullmatch(value)]:
        yield f"sizes {wrong}"
    if wrong := [value for value in able.aspect_ratios if value != "auto" and not _RATIO.fullmatch(value)]:
        yield f"aspect_ratios {wrong}"
    if wrong := [value for value in able.formats if value != value.lower() or "/" in value]:
        yield f"formats {wrong}"


@KITS
async def test_every_value_that_is_listed_is_taken(kit: Kit) -> None:
    """By every model: what the capabilities name is neither refused nor warned about, nor without effect."""
    async with bench_of(kit) as bench:
        for model in await models_of(bench):
            if model.capabilities.generate is False:
                continue
            for option in sorted(model.capabilities.options or ()):
                beside = kit.along.get(option, {})
                values = values_of(model.capabilities, option) or [value_of(model.capabilities, option, kit.values)]
                bodies = [await explained(bench, kit.drawing(model=model.id, **beside))]
                bodies += [
                    await explained(bench, kit.drawing(model=model.id, **{**beside, option: value})) for value in values
                ]

                assert len(set(bodies)) > 1, f"{model.id} does nothing with {option}"
                assert all(one != other for one, other in pairwise(bodies[1:])), f"{model.id}: {option}"


async def explained(bench: Bench, wish: Wish) -> str:
    """Tell the request of a wish that nobody warns of."""
    (planned,) = await bench.workshop.explained(wish)
    noted = [note for note in planned.warnings if note.reason is not WarningReason.MODEL_RETIRING]
    assert noted == [], wish
    return planned.url + planned.body


WISHES = st.builds(
    Options,
    count=st.none() | st.integers(1, 16),
    size=st.none() | st.builds(PixelSize, st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE)),
    aspect_ratio=st.none() | st.sampled_from(["1:1", "auto", "0:0", "1:99999", "x", "16:9", "1.5:1", ":"]),
    resolution=st.none() | st.sampled_from(["1K", "4K", "1k", "512", "", "x", "0"]),
    quality=st.none() | st.sampled_from(["high", "auto", "hd", "x"]),
    background=st.none() | st.sampled_from(["transparent", "opaque", "x"]),
    format=st.none() | st.sampled_from(["png", "jpeg", "webp", "svg", "gif", "bmp"]),
    compression=st.none() | st.integers(0, 100),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    negative_prompt=st.none() | st.sampled_from(["", "rain", "r" * 50_000]),
    preview_count=st.none() | st.integers(0, 16),
)


@KITS
@given(options=WISHES, edits=st.booleans(), number=st.integers(0, 99))
async def test_no_wish_is_a_fault_of_ours(kit: Kit, options: Options, edits: bool, number: int) -> None:
    """Whatever options are asked of whatever model, prepare() takes them, or names the fields that are wrong."""
    entry = as_entry(kit.provider(), name=kit.name)
    names = [model.id for model in await entry.provider.models()] + ["no-such-model", kit.draws or kit.edits]
    operation = Operation.EDIT if edits else Operation.GENERATE
    images = (as_input(png(SIDE, SIDE)),) if edits else ()
    wish = Wish(operation, f"{kit.name}/{names[number % len(names)]}", "a boat", options, images)
    with suppress(ImageError):
        plan = await planner(entry).plan(wish)
        assert sum(task.count for _, task in plan.first.batches) == (options.count or 1)
        return
    with pytest.raises(ImageError) as caught:
        await planner(entry).plan(wish)
    error, fields = caught.value, told(caught.value)

    assert error.reason in {Reason.INVALID_REQUEST, Reason.OPERATION_NOT_SUPPORTED, Reason.MODEL_NOT_FOUND}
    assert bool(fields) == (error.reason is Reason.INVALID_REQUEST)
    assert all(re.match(r"(options|input|params)\.|model", field) for field in fields)
