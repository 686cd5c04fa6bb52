"""Settings, read once: a TOML file, then the environment over it."""

from .loading import Config, ServerTable, is_loopback, load_config
from .middleware import MiddlewareConfig
from .providers import ProviderConfig
from .storing import StoreTable
from .values import ConfigError

__all__ = [
    "Config",
    "ConfigError",
    "MiddlewareConfig",
    "ProviderConfig",
    "ServerTable",
    "StoreTable",
    "is_loopback",
    "load_config",
]
