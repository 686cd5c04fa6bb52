"""Ids that cannot be guessed and tell who made them."""

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.ids import Ids

UNKNOWN = Reason.IMAGE_NOT_FOUND


def reason_of(ids: Ids, given: str) -> Reason | None:
    """Tell why an id is refused; None = it is not."""
    try:
        ids.check(given, UNKNOWN)
    except ImageError as error:
        return error.reason
    return None


def test_an_id_names_its_kind_and_its_process() -> None:
    """All ids of a process have the kind asked for and one tag."""
    ids = Ids()
    generation, image = ids.new("gen").split("_"), ids.new("img").split("_")

    assert (generation[0], image[0]) == ("gen", "img")
    assert generation[1] == image[1]


def test_the_secret_of_an_id_has_128_bits() -> None:
    """32 hex digits hold 128 bits, and no two ids are the same."""
    ids = Ids()
    secrets = [ids.new("img").split("_")[2] for _ in range(1000)]

    assert {len(secret) for secret in secrets} == {32}
    assert set("".join(secrets)) == set("0123456789abcdef")
    assert len(set(secrets)) == 1000


def test_another_process_has_another_tag() -> None:
    """The tag of a process is chosen at random, of 40 bits."""
    tags = [Ids().new("img").split("_")[1] for _ in range(100)]

    assert {len(tag) for tag in tags} == {8}
    assert len(set(tags)) == 100


@pytest.mark.parametrize("kind", ["gen", "img", "req"])
def test_an_own_id_is_good(kind: str) -> None:
    """What this process made it knows again."""
    ids = Ids()

    assert reason_of(ids, ids.new(kind)) is None


def test_an_id_of_another_process_is_told_apart() -> None:
    """An id of another replica, or from before a restart, is WRONG_INSTANCE and not unknown."""
    assert reason_of(Ids(), Ids().new("img")) is Reason.WRONG_INSTANCE


@pytest.mark.parametrize(
    "given",
    ["", "img", "img_1", "img__", "__", "a_b_c", "img_aaaaaaaa_", "IMG_AAAAAAAA_AAAA", "img_aaaaaaaa_b c", "é_é_é"],
)
def test_what_is_no_id_at_all_is_unknown(given: str) -> None:
    """Nobody is sent to another instance for something that none can have made."""
    assert reason_of(Ids(), given) is UNKNOWN
