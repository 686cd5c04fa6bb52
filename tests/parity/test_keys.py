"""With which key the vendor is asked."""

import asyncio
from pathlib import Path

import pytest
from imagegen import AsyncClient

from tests.parity.configured import FIRST_KEY, KEY, configured_service, key_file, limited, sent_keys
from tests.parity.forms import FORMS, begin, call, refused
from tests.parity.service import MODEL, recorded

BOTH = [FIRST_KEY, KEY]


@pytest.mark.parametrize("form", FORMS)
async def test_a_refused_key_is_left_for_the_next(form: str, tmp_path: Path) -> None:
    """The vendor refuses the first key: the same call goes on with the second, and the next calls begin with it."""
    async with configured_service(tmp_path, keys=BOTH) as service:
        await call(service, form)
        assert sent_keys(service) == [FIRST_KEY, KEY]
        await call(service, form)

        assert sent_keys(service) == [FIRST_KEY, KEY, KEY]


@pytest.mark.parametrize("failure", ["limited", "exhausted"])
async def test_a_limited_or_exhausted_key_is_left_for_the_next(failure: str, tmp_path: Path) -> None:
    """So it is where the first key has run into a limit, however long the vendor asks to wait, or has no money left."""
    async with configured_service(tmp_path, keys=BOTH) as service:
        service.fake.answer_next(limited(3_600_000) if failure == "limited" else recorded("insufficient_quota"))
        await call(service, "Generate")
        await call(service, "Generate")

        assert sent_keys(service) == [FIRST_KEY, KEY, KEY]


async def test_the_attempts_tell_of_both_keys(tmp_path: Path) -> None:
    """The result has the refused attempt beside the one that made the picture, and no key stands in it."""
    async with (
        configured_service(tmp_path, keys=BOTH) as service,
        AsyncClient(service.server.address) as client,
    ):
        result = await client.generate(MODEL, "a boat")

    assert [(attempt.outcome, attempt.reason, attempt.billed) for attempt in result.attempts] == [
        ("rejected", "AUTHENTICATION_FAILED", "no"),
        ("accepted", None, "yes"),
    ]
    assert not any(key in repr(result) for key in BOTH)


async def test_a_key_is_chosen_for_each_request(tmp_path: Path) -> None:
    """Keys take turns, from the first on."""
    async with configured_service(tmp_path, keys=BOTH) as service:
        # Said without a look at the key: both are good here.
        service.fake.answer_next(*(recorded("json_png") for _ in range(5)))
        for _ in range(5):
            await call(service, "Generate")

        assert sent_keys(service) == [FIRST_KEY, KEY, FIRST_KEY, KEY, FIRST_KEY]


async def test_weights_have_their_effect(tmp_path: Path) -> None:
    """By weight a key that weighs next to nothing has practically no turn, be it the first of the list."""
    keys = f'[{{file = "{key_file(tmp_path)}", weight = 1e-30}}, {{file = "{key_file(tmp_path, 1)}", weight = 1e30}}]'
    async with configured_service(tmp_path, 'key_strategy = "weighted"', keys=BOTH, api_key=keys) as service:
        for _ in range(5):
            await call(service, "Generate")

        assert sent_keys(service) == [KEY] * 5


async def test_when_no_key_is_good_the_call_says_so(tmp_path: Path) -> None:
    """Each key is tried once, and then the vendor's refusal is the caller's; no key is tried twice."""
    async with configured_service(tmp_path, keys=["sk-a", "sk-b", KEY]) as service:
        service.fake.key = "sk-none-of-them"

        assert await refused(begin(service, "Generate")) == "AUTHENTICATION_FAILED"
        assert sent_keys(service) == ["sk-a", "sk-b", KEY]


async def test_a_key_that_was_renewed_is_used_at_once(tmp_path: Path) -> None:
    """The vendor refuses a key that has been replaced in its file: the same call goes on with the new one."""
    async with configured_service(tmp_path, keys=[FIRST_KEY]) as service:
        await call(service, "Generate")
        await asyncio.to_thread(key_file(tmp_path).write_text, KEY)
        service.fake.key = KEY
        await call(service, "Generate")

        assert sent_keys(service) == [FIRST_KEY, FIRST_KEY, KEY]


async def test_a_single_key_that_is_refused_is_tried_once(tmp_path: Path) -> None:
    """Without another key the refusal is final, with retries on."""
    async with configured_service(tmp_path) as service:
        service.fake.key = "sk-another"

        assert await refused(begin(service, "Generate")) == "AUTHENTICATION_FAILED"
        assert sent_keys(service) == [KEY]


async def test_a_key_that_has_become_empty_is_no_key(tmp_path: Path) -> None:
    """A refused key whose file is empty now is not replaced by nothing: no request goes out with an empty key."""
    async with configured_service(tmp_path) as service:
        await asyncio.to_thread(key_file(tmp_path).write_text, "")
        service.fake.key = "sk-another"

        assert await refused(begin(service, "Generate")) == "AUTHENTICATION_FAILED"
        assert await refused(begin(service, "Generate")) == "AUTHENTICATION_FAILED"
        assert sent_keys(service) == [KEY, KEY]
