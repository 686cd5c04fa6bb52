"""The calls on the pages about vendors work as written: params reach the vendor's fake, and a picture comes back."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import (
    azure_api,
    bedrock_api,
    bfl_api,
    comfyui_api,
    fal_api,
    openai_compatible_api,
    replicate_api,
    sdapi_api,
    stability_api,
    vertex_api,
)
from tests.support.docs_lines import block, documents, run_lines
from tests.support.pictures import png
from tests.support.server import configured_server
from tests.support.tools import require
from tests.support.vendor import FakeVendor


@dataclass(frozen=True)
class Page:
    """A page, the vendor's fake, what enables the provider there, and what the params of the page become."""

    fake: Callable[[], AbstractAsyncContextManager[FakeVendor]]
    key: tuple[str, str]
    sent: Mapping[str, Any]
    more: Mapping[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    """The fields of the request that lead to the params."""
    table: str = ""
    """The name of the provider's table, if it is not that of the page."""
    model: tuple[str, str] = ("", "")
    """The model of the page, and the one that the fake has in its place."""


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
    "comfyui": Page(
        lambda: comfyui_api.fake_comfyui(key=comfyui_api.KEY),
        ("COMFYUI_PROXY_KEY", comfyui_api.KEY),
        {"steps": 28, "cfg": 5.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "seed": 7},
        {"IMAGEGEN__PROVIDERS__COMFYUI__API_KEY__ENV": "COMFYUI_PROXY_KEY"},
        within=("prompt", "3", "inputs"),
    ),
    "fal": Page(fal_api.fake_fal, ("FAL_KEY", fal_api.KEY), {"num_inference_steps": 40, "guidance_scale": 3}),
    "openai-compatible": Page(
        lambda: openai_compatible_api.fake_server("sglang"),
        ("CLUSTER", openai_compatible_api.KEY),
        {"num_inference_steps": 20, "guidance_scale": 4.5},
        {
            "IMAGEGEN__PROVIDERS__CLUSTER__TYPE": "openai-compatible",
            "IMAGEGEN__PROVIDERS__CLUSTER__DIALECT": "sglang",
            "IMAGEGEN__PROVIDERS__CLUSTER__API_KEY__ENV": "CLUSTER",
        },
        table="cluster",
        model=("Qwen/Qwen-Image", openai_compatible_api.MODEL),
    ),
    "replicate": Page(
        replicate_api.fake_replicate,
        ("REPLICATE_API_TOKEN", replicate_api.KEY),
        {"num_inference_steps": 4, "go_fast": True, "disable_safety_checker": False},
        within=("input",),
    ),
    "sdapi": Page(
        lambda: sdapi_api.fake_sdapi("forge", locked=True),
        ("FORGE_KEY", sdapi_api.KEY),
        {"steps": 24, "cfg_scale": 6, "sampler_name": "Euler a"},
        {"IMAGEGEN__PROVIDERS__FORGE__TYPE": "sdapi", "IMAGEGEN__PROVIDERS__FORGE__API_KEY__ENV": "FORGE_KEY"},
        table="forge",
    ),
    "vertex": Page(
        vertex_api.fake_vertex,
        ("EXPRESS", vertex_api.KEY),
        {"labels": {"team": "posters"}},
        {"IMAGEGEN__PROVIDERS__VERTEX__API_KEY__ENV": "EXPRESS"},
    ),
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
        table = f"IMAGEGEN__PROVIDERS__{(page.table or name).upper()}__"
        environment = {
            page.key[0]: page.key[1],
            f"{table}BASE_URL": fake.base_url,
            "IMAGEGEN__FETCH__ALLOW": '["127.0.0.1"]',
            **page.more,
        }
        async with configured_server(**environment) as address:
            ran = await run_lines(lines.replace(*page.model), address, tmp_path)
        sent = next(request for request in fake.requests if request.method == "POST")

    assert not ran.stderr
    form = "form-data" in sent.media_type
    last = documents(ran.stdout)[-1]
    assert last.get("result", last)["images"]
    said: Any = {part.name: part.data.decode("latin-1") for part in sent.parts} if form else sent.json
    for step in page.within:
        said = said[step]
    assert {key: said[key] for key in page.sent} == page.sent
