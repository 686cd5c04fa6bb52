"""What the contract suite must know of a provider type. README.md tells how to add one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import Operation, Options, Wish
from imagegen_server.providers.base import Provider, ProviderType

from tests.support.generation import as_input
from tests.support.pictures import png
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, FakeVendor
from tests.support.wire import WireFixture

PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"
SIDE = 64
"""Pixels of the input images; every vendor takes such small ones."""


def _say(fixture: WireFixture, _fake: FakeVendor) -> Sequence[Answer]:
    return [fixture.answer()]


@dataclass(frozen=True, kw_only=True)
class Kit:
    """One provider type, the fake that it talks to, and models that the fake has.

    `variant` names what sets it apart from other kits of the same type, if there are any.

    `draws`, `edits` and `masks` are ids of models that draw, edit, and edit with a mask; `previews` is one that shows
    previews. "" = the vendor has none, which the suite holds against the capabilities.
    `build` makes the provider if there is more to it than default settings: a region, a fast pace of asking.
    `environment` is what enables the type without a table besides its key's variable; a type that no variable enables
    has a `table`, and what that refers to is in `environment`.
    `page` and `wire` name the page in docs and the folder of wire fixtures, where they are not the type's own.
    `values` are values of options, where the capabilities list none and the usual one of the suite will not do;
    `along` are options that must stand beside one: compression beside a format.
    `open_fields` are fields that the adapter sends by itself and params may change: objects that are merged, defaults.
    `own_ids` are members of a request that name it and no other, so that no two wishes are sent alike. `uploads` is how
    the paths begin where pictures are put beforehand, which asks for nothing yet; "" = they go with the request.
    `edit_params` are params without which the vendor takes no edit.
    `mask_in` finds the mask's bytes in a request, and `mask_edits` tells which part of it the vendor edits.
    `missing` names roles of ROLES that the vendor has no answer for, each with the reason.
    `asks` makes the wish that a fixture answers; `says` what the fake must say, request by request, to come to it.
    `tells_cost`: the vendor tells the price. `calls_off`: leaving also tells the vendor to stop, by this request.
    """

    kind: ProviderType[Any]
    fake: Callable[[], AbstractAsyncContextManager[FakeVendor]]
    key: str
    draws: str
    edits: str = ""
    masks: str = ""
    previews: str = ""
    build: Callable[[], Provider] | None = None
    variant: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    table: Mapping[str, object] = field(default_factory=dict)
    page: str = ""
    wire: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    along: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    open_fields: frozenset[str] = frozenset()
    own_ids: frozenset[str] = frozenset()
    uploads: str = ""
    edit_params: JsonObject = field(default_factory=dict)
    mask_in: Callable[[RecordedRequest], bytes] | None = None
    mask_edits: Literal["transparent", "white", "black"] = "white"
    missing: Mapping[str, str] = field(default_factory=dict)
    asks: "Callable[[Kit, WireFixture], Wish] | None" = None
    says: Callable[[WireFixture, FakeVendor], Sequence[Answer]] = _say
    tells_cost: bool = False
    calls_off: str = ""

    @property
    def name(self) -> str:
        """The type's name, under which the provider is set up, too."""
        return self.kind.name

    def provider(self) -> Provider:
        """Build a provider as the app does."""
        return self.build() if self.build else self.kind.build(self.name, self.kind.settings())

    def drawing(self, *, model: str = "", prompt: str = "a boat", params: JsonObject | None = None, **o: Any) -> Wish:
        """Wish for new pictures; `o` are options."""
        mine = {self.name: params} if params else {}
        return Wish(Operation.GENERATE, f"{self.name}/{model or self.draws}", prompt, Options(**o), params=mine)

    def editing(
        self,
        *images: bytes,
        mask: bytes | None = None,
        model: str = "",
        prompt: str = "a boat",
        params: JsonObject | None = None,
        **o: Any,
    ) -> Wish:
        """Wish for changed pictures, by default for one; `o` are options."""
        given = tuple(map(as_input, images or (png(SIDE, SIDE),)))
        mine = {self.name: {**self.edit_params, **(params or {})}} if self.edit_params or params else {}
        name = f"{self.name}/{model or (self.masks if mask else self.edits)}"
        covered = None if mask is None else as_input(mask)
        return Wish(Operation.EDIT, name, prompt, Options(**o), given, covered, params=mine)

    def wishes(self) -> list[Wish]:
        """Wish for a picture in each way that the vendor has."""
        found = [self.drawing()] if self.draws else []
        found += [self.editing()] if self.edits else []
        found += [self.drawing(model=self.previews, preview_count=1)] if self.previews else []
        return found

    def kinds_of_answers(self) -> list[Wish]:
        """Wish for a picture in each way that is answered in another form."""
        return [wish for wish in self.wishes() if wish.operation is Operation.GENERATE] or self.wishes()[:1]

    def asked_by(self, fixture: WireFixture) -> Wish:
        """Wish for what a fixture answers."""
        if self.asks:
            return self.asks(self, fixture)
        make = self.editing if fixture.operation.endswith("edit") else self.drawing
        return make(prompt=PROMPT, count=fixture.count, preview_count=fixture.partial_images)


BY_ITSELF: Mapping[str, str] = {
    "sandbox": "draws without a vendor; tests/unit/providers/sandbox",
    "imagegen": "asks a whole server of ours, and not by HTTP; tests/providers/imagegen",
}
"""Types that need no kit: why, and where their own suite is."""


def kits() -> list[Kit]:
    """Load every kit, in the order of their names. A module of kits has one, or a tuple of variants."""
    names = sorted(path.stem for path in (Path(__file__).parent / "kits").glob("*.py"))
    modules = [import_module(f"tests.providers.contract.kits.{name}") for name in names]
    return [kit for module in modules for kit in getattr(module, "KITS", None) or (module.KIT,)]


def kit_name(kit: Kit) -> str:
    """Name a kit in the name of a test."""
    return f"{kit.name}-{kit.variant}" if kit.variant else kit.name
