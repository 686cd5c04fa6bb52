"""The servicer of ModelService."""

import asyncio
import base64
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
from imagegen.v1 import error_reason_pb2, model_service_pb2, model_service_pb2_grpc

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.generation.callers import may_use, may_use_provider
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.faults import describe_fault
from imagegen_server.generation.fitting import MAX_COUNT
from imagegen_server.generation.plan import Planner
from imagegen_server.providers.base import Listing
from imagegen_server.providers.registry import ProviderEntry, Registry

from .boundary import Context, note
from .callers import current_caller
from .encode import model_message

_logger = structlog.get_logger("imagegen.call")

DEFAULT_PAGE = 100
LARGEST_PAGE = 1000
LIST_SECONDS = 5.0
"""How long one provider may take to list its models."""

_ToldT = TypeVar("_ToldT")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Tells which models there are and what they can do."""

    def __init__(self, registry: Registry, planner: Planner, catalogue: Catalogue) -> None:
        """Be wired by the app."""
        self._registry = registry
        self._planner = planner
        self._catalogue = catalogue

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, _context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """List a page of the known models that the caller may use, by name or by alias."""
        entries = self._chosen(request.provider)
        after = _from_token(request.page_token)
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        lists = await asyncio.gather(*(self._in_time(entry, self._catalogue.listing(entry)) for entry in entries))
        models = [
            (f"{entry.name}/{model.id}", entry, model)
            for entry, listed in zip(entries, lists, strict=True)
            if not isinstance(listed, Reason)
            for model in listed.models
            if self._may_use(f"{entry.name}/{model.id}")
        ]
        unreachable = [
            model_service_pb2.UnreachableProvider(
                provider=name, reason=error_reason_pb2.ErrorReason.ValueType(reason.value)
            )
            for entry, listed in zip(entries, lists, strict=True)
            if may_use_provider(current_caller(), entry.name)
            for name, reason in _missing(entry.name, listed)
        ]
        models = sorted((item for item in models if item[0] > after), key=lambda item: item[0])
        page = models[:size]
        note(models=len(page))
        return model_service_pb2.ListModelsResponse(
            models=[
                model_message(model, entry.name, self._usable_aliases(name), MAX_COUNT) for name, entry, model in page
            ],
            next_page_token=_to_token(page[-1][0]) if len(models) > size else "",
            unreachable=unreachable,
        )

    async def GetModel(
        self, request: model_service_pb2.GetModelRequest, _context: Context
    ) -> model_service_pb2.GetModelResponse:
        """Tell of one model or alias."""
        note(model=request.model)
        if not request.model:
            problem = "is required: provider/model or an alias"
            raise ImageError(Reason.INVALID_REQUEST, f"model: {problem}", violations=[Violation("model", problem)])
        entry, model = self._planner.names.resolve(request.model)[0]
        name = f"{entry.name}/{model.id}"
        if not may_use(current_caller(), request.model, name):
            raise ImageError(
                Reason.CALLER_NOT_ALLOWED,
                f"{current_caller().name} may not use {name}; ListModels tells what it may use",
                metadata={"model": name},
            )
        found = await self._in_time(entry, self._catalogue.model(entry, model.id))
        model = model if isinstance(found, Reason) else found
        aliases = self._usable_aliases(name)
        return model_service_pb2.GetModelResponse(model=model_message(model, entry.name, aliases, MAX_COUNT))

    async def _in_time(self, entry: ProviderEntry, asking: Coroutine[Any, Any, _ToldT]) -> _ToldT | Reason:
        """Wait for what a provider's vendor may have to be asked for, or tell why it cannot be had now."""
        try:
            async with asyncio.timeout(LIST_SECONDS):
                return await asking
        except TimeoutError:
            return Reason.TIMEOUT
        except Exception as problem:  # noqa: BLE001 - a fault in one adapter must not hide the models of the others
            return _reason_of(problem, entry.name)

    def _usable_aliases(self, name: str) -> list[str]:
        """List the aliases by which the caller may use "provider/model"."""
        return [alias for alias in self._planner.names.aliases_of(name) if may_use(current_caller(), alias, name)]

    def _may_use(self, name: str) -> bool:
        return may_use(current_caller(), name, name) or bool(self._usable_aliases(name))

    def _chosen(self, provider: str) -> list[ProviderEntry]:
        if not provider:
            return list(self._registry.entries.values())
        if provider not in self._registry.entries:
            known = ", ".join(self._registry.entries) or "none"
            raise ImageError(
                Reason.PROVIDER_NOT_CONFIGURED,
                f"provider {provider!r} is not configured on this server (configured: {known})",
            )
        return [self._registry.entries[provider]]


def _missing(provider: str, listed: Listing | Reason) -> list[tuple[str, Reason]]:
    """Name what could not be listed: the provider itself, or some behind it."""
    if isinstance(listed, Reason):
        return [(provider, listed)]
    return [(f"{provider}/{name}", reason) for name, reason in listed.unreachable.items()]


def _reason_of(problem: Exception, provider: str) -> Reason:
    if isinstance(problem, ImageError):
        return problem.reason
    _logger.error("adapter fault", provider=provider, **describe_fault(problem))
    return Reason.INTERNAL_ERROR


def _to_token(last_name: str) -> str:
    return base64.urlsafe_b64encode(last_name.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        problem = "is no next_page_token of this server"
        raise ImageError(
            Reason.INVALID_REQUEST, f"page_token: {problem}", violations=[Violation("page_token", problem)]
        ) from None
