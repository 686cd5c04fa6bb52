"""Settings, read once: a TOML file, then the environment over it."""

from .bucket import BucketTable
from .loading import Config, load_config, read_server, read_text
from .middleware import MiddlewareConfig
from .providers import ProviderConfig
from .server import ServerTable, is_loopback
from .storing import StoreTable
from .values import ConfigError

__all__ = [
    "BucketTable",
    "Config",
    "ConfigError",
    "MiddlewareConfig",
    "ProviderConfig",
    "ServerTable",
    "StoreTable",
    "is_loopback",
    "load_config",
    "read_server",
    "read_text",
]
