"""The vendor's own lists: ListFoundationModels and ListInferenceProfiles of its control plane, which is another host.

Source: botocore's model of the service `bedrock`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from imagegen_server.domain.capabilities import Model
from imagegen_server.http.client import Answer, HttpClient, Sign
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.whole_answer import read_list

from .errors import error_of_answer
from .models import find_model
from .settings import DOMAINS

_FOUNDATION_MODELS = "/foundation-models?byOutputModality=IMAGE"
_PROFILES = "/inference-profiles?maxResults=1000"
_RUNTIME, _CONTROL = "https://bedrock-runtime", "https://bedrock"
"""What the addresses of the two begin with, before "-fips" and the region."""

_DOMAINS = ("amazonaws.com", *DOMAINS.values())
_MOST_LIST_BYTES = 16 * 1024 * 1024
_MOST_PAGES = 10
_MAKER = "stability."
"""Of others' models it is not known how they are asked."""


def control_plane(http: HttpClient) -> HttpClient:
    """Tell where lists are asked for: beside the vendor's own host, or at the same address if that is a gateway.

    Close `http` alone.
    """
    if not http.base_url.startswith(_RUNTIME) or not http.host.endswith(tuple(f".{domain}" for domain in _DOMAINS)):
        return http
    there, _ = http.at(_CONTROL + http.base_url.removeprefix(_RUNTIME), _DOMAINS)
    return there


async def image_models(
    http: HttpClient, headers: Mapping[str, str], sign: Sign | None, context_of: Callable[[Answer], ErrorContext]
) -> Sequence[Model]:
    """List the models that draw, under the names by which they can be run, with the day of their end where it is set.

    :raises ImageError: what the vendor said, or what happened to the connection
    """

    async def ask(path: str, key: str) -> tuple[list[Mapping[str, object]], str]:
        async with http.get(path, headers, sign) as answer:
            return await read_list(
                answer,
                context_of(answer),
                error_of_answer,
                lambda page: (
                    [entry for entry in page[key] if isinstance(entry, Mapping)],
                    page.get("nextToken") or "",
                ),
                most_bytes=_MOST_LIST_BYTES,
            )

    summaries, _ = await ask(_FOUNDATION_MODELS, "modelSummaries")
    drawing = {str(entry.get("modelId")): entry for entry in summaries if str(entry.get("modelId")).startswith(_MAKER)}
    profiles, more = await ask(_PROFILES, "inferenceProfileSummaries")
    for _ in range(_MOST_PAGES):
        if not more:
            break
        page, more = await ask(f"{_PROFILES}&nextToken={quote(str(more), safe='')}", "inferenceProfileSummaries")
        profiles += page
    models = [*_on_demand(drawing), *_by_profile(profiles, drawing)]
    return [model for model in models if model.retire_time is None or model.retire_time > datetime.now(UTC)]


def _on_demand(drawing: Mapping[str, Mapping[str, object]]) -> Iterator[Model]:
    for model_id, entry in drawing.items():
        kinds = entry.get("inferenceTypesSupported")
        if not isinstance(kinds, list) or "ON_DEMAND" in kinds:
            yield find_model(model_id, listed=True, display_name=_name(entry, "modelName"), end=_end(entry))


def _by_profile(
    profiles: Sequence[Mapping[str, object]], drawing: Mapping[str, Mapping[str, object]]
) -> Iterator[Model]:
    """Take the profiles through which one of the models is run; the model knows when it ends."""
    for profile in profiles:
        behind = profile.get("models")
        arns = (
            [str(model.get("modelArn")) for model in behind if isinstance(model, Mapping)]
            if isinstance(behind, list)
            else []
        )
        entry = next((drawing[name] for arn in arns if (name := arn.rpartition("/")[2]) in drawing), None)
        profile_id = profile.get("inferenceProfileId")
        if entry is not None and isinstance(profile_id, str) and profile_id:
            name = _name(profile, "inferenceProfileName")
            yield find_model(profile_id, listed=True, display_name=name, end=_end(entry))


def _name(entry: Mapping[str, object], key: str) -> str:
    name = entry.get(key)
    return name if isinstance(name, str) else ""


def _end(entry: Mapping[str, object]) -> datetime | None:
    """Tell when a model ends, where the vendor has set a day."""
    lifecycle = entry.get("modelLifecycle")
    told = lifecycle.get("endOfLifeTime") if isinstance(lifecycle, Mapping) else None
    try:
        end = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return end.replace(tzinfo=UTC) if end is not None and end.tzinfo is None else end
