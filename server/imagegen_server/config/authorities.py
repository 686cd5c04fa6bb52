"""Files with certificate authorities."""

import ssl
from pathlib import Path

from .values import ConfigError


def read_authorities(key: str, path: Path) -> bytes:
    """Read certificates in PEM. `key` is the setting that names the file.

    :raises ConfigError: it cannot be read, or holds no certificate
    """
    try:
        pem = path.read_bytes()
        ssl.create_default_context(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{key}: holds no certificate in PEM") from None
    except OSError as problem:
        raise ConfigError(f"{key}: {path} cannot be read: {problem.strerror}") from None
    return pem
