"""The store that the settings ask for. What it needs beside this package is imported here, and only then."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from .config import BucketTable, Config, ConfigError
from .generation.caller_limits import CallerLimits, OwnCallerLimits
from .generation.ids import Ids
from .generation.peers import Peers
from .generation.store import Store, StoreSettings
from .http.addresses import is_loopback
from .store.memory import MemoryStore
from .store.redis.settings import RedisSettings

if TYPE_CHECKING:
    from .store.bucket import BucketBytes
    from .store.redis.store import RedisStore

_logger = structlog.get_logger("imagegen.store")


class Kept:
    """The store of a server, and what it has in common with other processes that share it."""

    def __init__(self, config: Config) -> None:
        """Connect to nothing yet.

        :raises ConfigError: a package is missing
        """
        table = config.store
        settings = StoreSettings(table.ttl, table.max_bytes, table.request_ttl)
        self.ids = Ids(shared=table.shared)
        self.peers: Peers | None = None
        self.limits: CallerLimits = OwnCallerLimits()
        self._redis: RedisStore | None = None
        self._bucket: BucketBytes | None = None
        self.in_clear_text: Sequence[str] = ()
        """Other machines to which pictures travel unencrypted."""
        self.store: Store
        if not table.shared:
            self.store = MemoryStore(settings, self.ids)
            return
        try:
            from .store.redis.store import open_store  # noqa: PLC0415 - the package redis is an extra
        except ModuleNotFoundError as problem:
            if problem.name != "redis":
                raise
            raise ConfigError("store.url: needs the package redis; install imagegen-server[redis]") from None
        reached = RedisSettings(table.url, table.read(), table.prefix, table.ca or None)
        self._bucket = _open_bucket(table.bytes) if table.bytes else None
        self.store = self._redis = open_store(settings, reached, self.ids, self._bucket)
        self.peers, self.limits = self._redis.peers, self._redis.limits
        places = (table.url, table.bytes.place()[0]) if table.bytes else (table.url,)
        self.in_clear_text = [host for place in places for host in _in_clear_text(place)]

    async def start(self) -> None:
        """Be ready.

        :raises OSError: the store cannot be used
        """
        for host in self.in_clear_text:
            _logger.warning("insecure: pictures travel unencrypted", host=host)
        if self._bucket is not None:
            await self._bucket.check()
        if self._redis is not None:
            await self._redis.start()


def _in_clear_text(url: str) -> Iterator[str]:
    """Name the host of a URL that is another machine and reached without TLS."""
    parts = urlsplit(url)
    if parts.scheme in {"redis", "http"} and parts.hostname and not is_loopback(parts.hostname):
        yield parts.hostname


def _open_bucket(table: BucketTable) -> "BucketBytes":
    try:
        from .store.bucket import BucketBytes, BucketSettings  # noqa: PLC0415 - the package obstore is an extra
    except ModuleNotFoundError as problem:
        if problem.name != "obstore":
            raise
        raise ConfigError("store.bytes: needs the package obstore; install imagegen-server[s3]") from None
    endpoint, region = table.place()
    return BucketBytes(
        BucketSettings(
            bucket=table.bucket,
            endpoint=endpoint,
            region=region,
            prefix=table.prefix,
            path_style=table.in_path,
            keys=table.read_keys(),
            ca=table.read_ca(),
            timeout=table.timeout,
        )
    )
