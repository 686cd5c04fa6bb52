"""The calls on the pages about vendors work as written: params reach the vendor's fake, and a picture comes back."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import azure_api, bedrock_api, bfl_api, fal_api, stability_api
from tests.support.docs_lines import block, run_lines
from tests.support.pictures import png
from tests.support.process import server_process
from tests.support.tools import require
from tests.support.vendor import FakeVendor


@dataclass(frozen=True)
class Page:
    """A page, the vendor's fake, what enables the provider there, and what the params of the page become."""

    fake: Callable[[], AbstractAsyncContextManager[FakeVendor]]
    key: tuple[str, str]
    sent: Mapping[str, Any]
    more: Mapping[str, str] = field(default_factory=dict)


PAGES: Mapping[str, Page] = {
    "azure": Page(
        azure_api.fake_azure,
        ("AZURE_OPENAI_API_KEY", azure_api.KEY),
        {"user": "customer-17"},
        {"IMAGEGEN__PROVIDERS__AZURE__DEPLOYMENTS": '{"pictures": "gpt-image-2"}'},
    ),
    "bedrock": Page(
        bedrock_api.fake_bedrock,
        ("AWS_BEARER_TOKEN_BEDROCK", bedrock_api.KEY),
        {"left": 256, "right": 256, "creativity": 0.4},
        {"AWS_REGION": "us-west-2"},
    ),
    "bfl": Page(bfl_api.fake_bfl, ("BFL_API_KEY", bfl_api.KEY), {"steps": 28, "guidance": 4.5, "safety_tolerance": 1}),
    "fal": Page(fal_api.fake_fal, ("FAL_KEY", fal_api.KEY), {"num_inference_steps": 40, "guidance_scale": 3}),
    "stability": Page(
        stability_api.fake_stability,
        ("STABILITY_API_KEY", stability_api.KEY),
        {"left": "256", "right": "256", "creativity": "0.4"},
    ),
}
"""By the name of the provider, which is that of the page."""


@pytest.mark.parametrize("name", PAGES)
async def test_params_of_a_vendor(name: str, tmp_path: Path) -> None:
    """What the page says in the vendor's own words reaches the vendor."""
    require("grpcurl")
    page = PAGES[name]
    lines = block(f"docs/{name}.md")
    (tmp_path / "boat.png").write_bytes(png(512, 512))
    async with page.fake() as fake:
        table = f"IMAGEGEN__PROVIDERS__{name.upper()}__"
        environment = {
            page.key[0]: page.key[1],
            f"{table}BASE_URL": fake.base_url,
            "IMAGEGEN__FETCH__ALLOW": '["127.0.0.1"]',
            **page.more,
        }
        async with server_process(tmp_path, **environment) as server:
            ran = await run_lines(lines, server.address, tmp_path)
        sent = next(request for request in fake.requests if request.method == "POST")

    assert json.loads(ran.stdout)["images"]
    said = sent.json if "json" in sent.media_type else {part.name: part.data.decode("latin-1") for part in sent.parts}
    assert {key: said[key] for key in page.sent} == page.sent
