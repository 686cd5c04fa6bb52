"""Settings, read once: a TOML file, then the environment over it."""

from .loading import Config, ServerTable, StoreTable, is_loopback, load_config
from .providers import ProviderConfig
from .values import ConfigError

__all__ = ["Config", "ConfigError", "ProviderConfig", "ServerTable", "StoreTable", "is_loopback", "load_config"]
