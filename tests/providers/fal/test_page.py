"""docs/fal.md says what the code does."""

import dataclasses
import re
import tomllib

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.task import Options
from imagegen_server.generation.catalogue import FRESH_SECONDS
from imagegen_server.http.polling import Pace
from imagegen_server.providers.fal import PROVIDER, FalSettings
from imagegen_server.providers.fal.inputs import MOST_INPUTS, NAMED_SIZES
from imagegen_server.providers.fal.models import known_ids, known_inputs, known_to_stream
from imagegen_server.providers.fal.provider import Fal
from imagegen_server.providers.fal.settings import DOMAINS

from tests.support.docs_page import Page
from tests.support.fal_provider import fal_provider

PAGE = Page("fal.md")
MODEL_ROWS = {Page.names(row[0])[0]: row for row in PAGE.rows("\n## Models\n")}
OPTION_ROWS = {Page.names(row[0])[0]: row for row in PAGE.rows("\n## Options\n")}


def test_the_key_is_that_of_the_environment() -> None:
    """The variable that enables the provider without a table, and where the key goes."""
    assert PROVIDER.remote is not None
    assert f"export {PROVIDER.remote.key_env}=" in PAGE.text
    assert PROVIDER.remote.base_url in PAGE.text
    told = PAGE.sentences.partition("to the hosts of the vendor below ")[2].partition("nowhere else")[0]
    assert tuple(Page.names(told)) == DOMAINS


def test_the_configuration_can_be_read() -> None:
    """Every block of TOML is a table that is taken, and together they name every setting."""
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)]
    (table,) = [block["providers"]["fal"] for block in blocks]
    own = {field.name for field in dataclasses.fields(FalSettings)}
    given = {name: value for name, value in table.items() if name in own}
    config = provider_config(
        "fal", ProviderTable.model_validate(given | {"api_key": {"env": "PATH"}}), {"fal": PROVIDER}
    )

    assert isinstance(config.settings, FalSettings)
    assert config.settings.headers(queued=True).keys() == {
        "X-Fal-Object-Lifecycle-Preference",
        "X-Fal-Store-IO",
        "X-Fal-Request-Timeout",
        "X-Fal-Queue-Priority",
        "X-Fal-No-Retry",
    }
    assert own - given.keys() == {"run_url", "api_url"}
    assert all(f"`{name}`" in PAGE.text for name in own - given.keys())
    assert FalSettings().sync_mode
    assert "It was never run against the live service." in PAGE.sentences


def test_every_known_model_stands_on_the_page() -> None:
    """In the order of the table in the code."""
    assert tuple(MODEL_ROWS) == known_ids()
    assert FRESH_SECONDS == 600
    assert "remembers them for ten minutes" in PAGE.sentences


@pytest.mark.parametrize("name", MODEL_ROWS)
def test_what_the_page_says_of_a_model_is_true(name: str) -> None:
    """What it does, its mask, its pictures a request, its options and previews."""
    inputs, able = known_inputs(name), fal_provider().model(name).capabilities
    _, does, mask, images, options, previews = MODEL_ROWS[name]

    assert does.split() == [what for what, can in (("draws", able.generate), ("edits", able.edit)) if can]
    needed = inputs.mask_field and inputs.mask_field in inputs.required
    assert mask == ("required" if needed else "yes" if able.mask else "")
    assert images == str(able.max_images)
    assert able.options == frozenset(Page.names(options))
    assert previews == ("yes" if known_to_stream(name) else "")
    assert able.previews is (PreviewSupport.IMAGES if previews else PreviewSupport.PROGRESS)


def test_every_option_is_the_field_that_the_page_names() -> None:
    """As the provider declares, and `image_size` for what it says besides; none is left out."""
    fields = {option: set(Page.names(row[1])) for option, row in OPTION_ROWS.items()}
    declared = {option: {field} for field, option in Fal.param_options.items()}
    also = {option: {"image_size"} for option in ("size", "aspect_ratio", "resolution")}

    assert set(OPTION_ROWS) == set(Options.__slots__)
    assert {option: names for option, names in fields.items() if names} == {
        option: declared.get(option, set()) | also.get(option, set()) for option in declared.keys() | also.keys()
    }
    told = Page.names(OPTION_ROWS["aspect_ratio"][2])
    assert dict(zip(told[::2], told[1::2], strict=True)) == {ratio: name for ratio, (name, _) in NAMED_SIZES.items()}
    assert f"More than {MOST_INPUTS} are refused." in PAGE.sentences


def test_every_param_of_the_server_stands_on_the_page() -> None:
    """Those that are options, and those that are refused."""
    said = Page.names(PAGE.text.partition("A param that says")[2].partition("## ")[0])

    assert set(said) == {*Fal.param_options, *Fal.controlled_params}


def test_the_pace_is_that_of_the_page() -> None:
    """Half a second to two seconds, and two minutes of trouble."""
    assert (Pace().first, Pace().longest, Pace().patience) == (0.5, 2.0, 120.0)


def test_reasons_exist() -> None:
    """Every reason of the table is one of the contract, and those that an adapter can have are there."""
    told = {row[0] for row in PAGE.rows("\n## Errors\n")}

    assert told <= set(Reason.__members__)
    assert {Reason(number).name for number in range(1, 12)} <= told
