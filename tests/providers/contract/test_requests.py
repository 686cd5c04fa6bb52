"""What every adapter sends: what the caller asked for, and a warning where it does not."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Finished
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, Wish
from PIL import Image

from tests.support.generation import told
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest

from .asking import OPTIONS, sent, value_of
from .bench import bench_of
from .kit import SIDE, Kit, kit_name, kits

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)
ODD_PARAMS: dict[str, Any] = {
    "zz_text": 'ünï\u2028 "quoted" <b>',
    "zz_whole": 2**52 + 1,
    "zz_real": 0.1,
    "zz_truth": [True, False, None],
    "zz_deep": {"zz_inner": [{"a": 1, "b": [1.5, "x", {}]}]},
}


async def asked(kit: Kit, wish: Wish) -> tuple[list[object], tuple[Warning, ...]]:
    """Run a wish that works: what is sent for it, and what is warned about."""
    async with bench_of(kit) as bench:
        # What an adapter chooses by itself, such as a seed, belongs to the caller's request.
        last = await bench.ended(wish, request_id="the same")
        assert isinstance(last, Finished), vars(last.error)
        return sent(bench.orders, kit.own_ids), last.result.warnings


def makers(kit: Kit) -> Iterator[tuple[str, Any]]:
    """Name the model of each operation, with what makes a wish for it."""
    if kit.draws:
        yield kit.draws, kit.drawing
    if kit.edits:
        yield kit.edits, kit.editing


@KITS
async def test_the_same_wish_is_the_same_request(kit: Kit) -> None:
    """Nothing is left to chance, so that a retry asks for the same."""
    for wish in kit.wishes():
        assert await asked(kit, wish) == await asked(kit, wish)


@KITS
@pytest.mark.parametrize("option", OPTIONS)
async def test_an_option_is_sent_or_warned_about(kit: Kit, option: str) -> None:
    """One that the capabilities name changes the request of a drawing; any other changes nothing and is a warning."""
    for model, make in makers(kit):
        able = kit.provider().model(model).capabilities
        assert able.options is not None, "a model that the suite uses is known"
        beside = kit.along.get(option, {})
        plain, before = await asked(kit, make(**beside))
        with_it, warned = await asked(kit, make(**beside, **{option: value_of(able, option, kit.values)}))
        about = {(warning.field, warning.reason) for warning in warned if warning not in before}

        if option not in able.options:
            assert about == {(f"options.{option}", WarningReason.IGNORED)}
            assert with_it == plain
        elif make == kit.drawing:
            assert about == set()
            assert with_it != plain
        else:
            # An edit may keep what its picture has.
            assert (with_it != plain) != (f"options.{option}" in {field for field, _ in about})


@KITS
async def test_previews_are_asked_for_or_warned_about(kit: Kit) -> None:
    """A model that shows none is not asked for them; of one that may show some nothing is said."""
    for model, make in makers(kit):
        shows = kit.provider().model(model).capabilities.previews
        plain, _ = await asked(kit, make())
        with_them, warned = await asked(kit, make(preview_count=1))

        if shows is PreviewSupport.IMAGES:
            assert with_them != plain
        elif shows is not PreviewSupport.UNKNOWN:
            assert with_them == plain
        said = [warning.field for warning in warned]
        assert said == ([] if shows in {PreviewSupport.IMAGES, PreviewSupport.UNKNOWN} else ["options.preview_count"])


@KITS
async def test_params_pass_unmodified(kit: Kit) -> None:
    """What the adapter has never heard of goes to the vendor as it is: texts, numbers, lists and objects."""
    for _, make in makers(kit):
        async with bench_of(kit) as bench:
            await bench.ended(make(params=ODD_PARAMS))
            (call, *_) = bench.orders
            found = dict(_named(call, "zz_"))

        if call.media_type == "application/json":
            assert found == ODD_PARAMS
            assert json.dumps(found) == json.dumps(ODD_PARAMS)
        else:
            assert found["zz_text"] == ODD_PARAMS["zz_text"]
            assert (found["zz_whole"], found["zz_real"]) == (str(2**52 + 1), "0.1")


def _named(call: RecordedRequest, prefix: str) -> Iterator[tuple[str, object]]:
    """Find what has a name of ours, at any place of a body."""
    if call.media_type != "application/json":
        yield from ((part.name, part.data.decode()) for part in call.parts if part.name.startswith(prefix))
        return
    left = [call.json]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            mine = {name: item for name, item in value.items() if name.startswith(prefix)}
            yield from mine.items()
            left += [item for name, item in value.items() if name not in mine]
        elif isinstance(value, list):
            left += value


@KITS
async def test_params_that_the_adapter_sets_are_refused(kit: Kit) -> None:
    """Each of them, before anything is sent; the prompt is always among them, or stands where no param can be."""
    async with bench_of(kit) as bench:
        for name in bench.entry.provider.controlled_params:
            for _, make in makers(kit):
                with pytest.raises(ImageError) as caught:
                    await bench.run(make(params={name: "x"}))
                assert caught.value.reason is Reason.INVALID_REQUEST
                assert f"params.{kit.name}.{name}" in told(caught.value)
    assert bench.said == []


@KITS
async def test_what_the_adapter_says_no_param_unsays(kit: Kit) -> None:
    """Each field beside which params go is an option, or refused as a param, or the kit says that it may be changed."""
    provider = kit.provider()
    for _, make in makers(kit):
        async with bench_of(kit) as bench:
            await bench.ended(make(params={"zz_mark": "x"}))
            (call, *_) = bench.orders
        ours = {name.partition("[")[0] for name in _beside(call, "zz_mark")}

        assert ours - {"zz_mark", *provider.param_options, *provider.controlled_params, *kit.open_fields} == set()


def _beside(call: RecordedRequest, mark: str) -> set[str]:
    """Name the fields of the object, or of the form, that a param is in."""
    if call.media_type != "application/json":
        return {part.name for part in call.parts}
    left = [call.json]
    while left:
        value = left.pop()
        if isinstance(value, dict) and mark in value:
            return set(value)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += inner
    raise AssertionError("params are not sent")


@KITS
def test_params_that_are_options_are_declared_well(kit: Kit) -> None:
    """They name options, each once, and none that is refused."""
    provider = kit.provider()

    assert set(provider.param_options.values()) <= set(Options.__slots__)
    assert not set(provider.param_options) & provider.controlled_params


@KITS
async def test_what_is_explained_is_what_would_be_sent(kit: Kit) -> None:
    """Explain sends nothing, shows no key, and tells the method and the address of the first request."""
    wishes = kit.wishes() + ([kit.editing(mask=half_mask(clear=False))] if kit.masks else [])
    async with bench_of(kit) as bench:
        for wish in wishes:
            bench.forget()
            (planned,) = await bench.workshop.explained(wish)

            assert bench.said == []
            assert bench.seen == []
            assert bench.key not in repr(planned)
            assert planned.body

            await bench.ended(wish)
            call = bench.said[0][0]
            target = call.path + (f"?{call.query}" if call.query else "")
            assert (planned.method, planned.url) == (call.method, f"{origin(bench.fake.base_url)}{target}")


def origin(url: str) -> str:
    """Take the path off a URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def half_mask(*, clear: bool) -> bytes:
    """Draw a mask whose left half may change, by transparency or by white."""
    half = (0, 0, SIDE // 2, SIDE)
    image = Image.new("RGBA", (SIDE, SIDE), (90, 90, 90, 255)) if clear else Image.new("L", (SIDE, SIDE), 0)
    image.paste((90, 90, 90, 0) if clear else 255, half)
    return encoded(image, "PNG")


@KITS
@pytest.mark.parametrize("clear", [True, False], ids=["by transparency", "by white"])
async def test_a_mask_has_the_vendors_polarity(kit: Kit, clear: bool) -> None:
    """Half of it says "edit", and that half is what the vendor will edit; it is as large as the picture."""
    if not kit.masks:
        async with bench_of(kit) as bench:
            with pytest.raises(ImageError) as caught:
                await bench.run(kit.editing(mask=half_mask(clear=clear), model=kit.edits or kit.draws))
        assert caught.value.reason is Reason.OPERATION_NOT_SUPPORTED
        assert bench.said == []
        return
    assert kit.mask_in is not None
    async with bench_of(kit) as bench:
        last = await bench.ended(kit.editing(png(SIDE, SIDE), mask=half_mask(clear=clear)))
        assert isinstance(last, Finished), vars(last.error)
        mask = Image.open(io.BytesIO(kit.mask_in((bench.uploads or bench.orders)[-1])))
    edited, kept = {"transparent": (0, 255), "white": (255, 0), "black": (0, 255)}[kit.mask_edits]
    channel = mask.getchannel("A") if kit.mask_edits == "transparent" else mask.convert("L")

    assert mask.size == (SIDE, SIDE)
    assert channel.tobytes() == (bytes([edited]) * (SIDE // 2) + bytes([kept]) * (SIDE // 2)) * SIDE
