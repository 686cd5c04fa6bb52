"""Python client of imagegen: one typed API in front of every image model.

`AsyncClient` is for asyncio, `Client` for everything else; both speak of the same values. The generated messages and
stubs are in `imagegen.v1`.
"""

from imagegen._catalogue import AsyncModelList, Capabilities, ModelInfo, PreviewSupport, UnreachableProvider
from imagegen._client import AsyncClient
from imagegen._errors import FieldViolation, ImageGenError
from imagegen._events import Complete, Failed, ImageEvent, Phase, Preview, Progress, Started
from imagegen._explain import PlannedCall
from imagegen._image import GeneratedImage, Image
from imagegen._model import AsyncImageModel
from imagegen._options import CallSettings, DeliveryMode, ImageOptions, OnDisconnect, Size
from imagegen._params import JsonInput, JsonValue, Metadata, Params
from imagegen._reason import Billed, Reason
from imagegen._result import (
    Attempt,
    AttemptOutcome,
    Cost,
    ImageFailure,
    ImageResult,
    ImageUsage,
    ImageWarning,
    WarningReason,
)
from imagegen._stream import AsyncImageStream
from imagegen._sync import Client, ModelList
from imagegen._sync_model import ImageModel, ImageStream
from imagegen._version import __version__

__all__ = [
    "AsyncClient",
    "AsyncImageModel",
    "AsyncImageStream",
    "AsyncModelList",
    "Attempt",
    "AttemptOutcome",
    "Billed",
    "CallSettings",
    "Capabilities",
    "Client",
    "Complete",
    "Cost",
    "DeliveryMode",
    "Failed",
    "FieldViolation",
    "GeneratedImage",
    "Image",
    "ImageEvent",
    "ImageFailure",
    "ImageGenError",
    "ImageModel",
    "ImageOptions",
    "ImageResult",
    "ImageStream",
    "ImageUsage",
    "ImageWarning",
    "JsonInput",
    "JsonValue",
    "Metadata",
    "ModelInfo",
    "ModelList",
    "OnDisconnect",
    "Params",
    "Phase",
    "PlannedCall",
    "Preview",
    "PreviewSupport",
    "Progress",
    "Reason",
    "Size",
    "Started",
    "UnreachableProvider",
    "WarningReason",
    "__version__",
]
