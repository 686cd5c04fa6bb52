"""What every adapter makes of a refusal: the same reason and the same answer to "was it billed?" as all others."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Complete
from imagegen_server.domain.result import AttemptOutcome

from tests.support.wire import WireFixture, wire_fixtures

from .bench import bench_of
from .kit import Kit, kit_name, kits

KITS = pytest.mark.parametrize("kit", kits(), ids=kit_name)


@dataclass(frozen=True)
class Role:
    """A refusal that every vendor has: which fixtures show it, and what it must say."""

    reason: Reason
    billed: frozenset[Billed] = frozenset({Billed.NO})
    waits: bool | None = None
    """Whether a wait is told; None = either."""

    def shown_by(self, fixture: WireFixture) -> bool:
        """Tell whether a fixture is about it."""
        expect = fixture.expect
        waits = expect.get("retry_after") is not None
        return expect.get("reason") == self.reason.name and self.waits in {None, waits} and self._free(fixture)

    def _free(self, fixture: WireFixture) -> bool:
        # What an accepted task comes to later is another story than a refusal.
        return self.billed != frozenset({Billed.NO}) or fixture.expect["billed"] == "no"


ROLES = {
    "bad_key": Role(Reason.AUTHENTICATION_FAILED),
    "rate_limit": Role(Reason.RATE_LIMITED, waits=True),
    "quota": Role(Reason.QUOTA_EXCEEDED, waits=False),
    "overload": Role(Reason.PROVIDER_UNAVAILABLE),
    "unknown_model": Role(Reason.MODEL_NOT_FOUND, waits=False),
    "moderation": Role(Reason.CONTENT_FILTERED, frozenset(Billed), waits=False),
    "wrong_field": Role(Reason.INVALID_REQUEST, waits=False),
}


def fixtures_of(kit: Kit, shown: Callable[[WireFixture], bool]) -> list[WireFixture]:
    """Find the answers of a vendor that are about something."""
    return [fixture for fixture in wire_fixtures(kit.wire or kit.name) if shown(fixture)]


@KITS
@pytest.mark.parametrize("name", ROLES)
async def test_a_refusal_has_its_reason(kit: Kit, name: str) -> None:
    """Each that a fixture shows: reason, bill and wait; and no refusal is an accepted task."""
    role = ROLES[name]
    found = fixtures_of(kit, role.shown_by)
    assert bool(found) != (name in kit.missing), "a fixture shows it, or the kit says why there is none"
    async with bench_of(kit) as bench:
        for fixture in found:
            bench.will_say(fixture)
            error = (await bench.broken(kit.asked_by(fixture))).error

            assert (error.reason, error.billed in role.billed) == (role.reason, True), fixture.name
            assert role.waits in {None, error.retry_after is not None}, fixture.name
            assert (len(error.message) in range(10, 700), error.message.isprintable()) == (True, True), fixture.name
            if error.billed is Billed.NO and name != "moderation":
                # Of a task that was taken on only the vendor can say that it was free.
                assert bench.accepted == [] or error.billed_told, fixture.name


@KITS
async def test_a_wrong_key_is_refused_by_the_fake_itself(kit: Kit) -> None:
    """Not by its form, but by the vendor: AUTHENTICATION_FAILED, free of charge."""
    for wish in kit.wishes():
        async with bench_of(kit, key="key-of-somebody-else-0123456789") as bench:
            broken = await bench.broken(wish)
        (attempt,) = broken.failure.attempts

        assert (broken.error.reason, broken.error.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
        assert attempt.outcome is AttemptOutcome.REJECTED
        assert bench.seen == []
        assert "somebody-else" not in repr(vars(broken.error))


@KITS
async def test_an_unknown_model_is_asked_for_and_refused(kit: Kit) -> None:
    """The vendor's list is always ahead of ours, so it is asked; or its adapter knows that there is no such path."""
    async with bench_of(kit) as bench:
        broken = (await bench.broken(kit.drawing(model="no-such-model-of-anybody"))).error

    assert (broken.reason, broken.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)
    assert bench.seen == []


@KITS
async def test_every_answer_of_the_vendor_gives_a_picture_or_a_reason(kit: Kit) -> None:
    """None of them is a fault of the adapter's, and none gives both or neither."""
    async with bench_of(kit) as bench:
        for fixture in fixtures_of(kit, lambda _: True):
            bench.will_say(fixture)
            error = await bench.direct(await bench.task(kit.asked_by(fixture)))
            came = any(isinstance(event, Complete) for event in bench.events)

            if error is not None:
                assert error.reason not in {Reason.INTERNAL_ERROR, Reason.CANCELLED}, fixture.name
            assert came or not fixture.expect["images"], fixture.name
