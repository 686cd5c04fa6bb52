"""The command line: imagegen-server serve, check-config, providers, new-token, --version."""

import argparse
import asyncio
import hashlib
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .app import Kept, build_middleware, build_providers, serve
from .config import Config, ConfigError, load_config
from .generation.middleware_types import MiddlewareLoadError, installed_middleware
from .providers.registry import ProviderLoadError, installed_types
from .telemetry.logs import configure_logs

_USAGE_ERROR = 2
_FAILED = 1
_INTERRUPTED = 130
_TOKEN_BYTES = 32
_TOKEN_PREFIX = "igt_"  # noqa: S105 - lets scanners find tokens that leaked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status.

    0 done, 1 serving failed, 2 what was asked for is wrong, 130 interrupted twice.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command in _WITHOUT_CONFIG:
            return _WITHOUT_CONFIG[options.command]()
        config = load_config(
            installed_types(),
            path=options.config,
            middleware=installed_middleware(),
            listen=options.listen,
            allow_insecure=options.allow_insecure,
        )
        configure_logs(level=config.server.log_level)
        if options.command == "check-config":
            build_middleware(config)
            Kept(config)
            asyncio.run(build_providers(config).close())
            return _show_config(config)
        asyncio.run(serve(config, _announce))
    except (ConfigError, ProviderLoadError, MiddlewareLoadError) as problem:
        print(f"imagegen-server: {problem}", file=sys.stderr)
        return _USAGE_ERROR
    except OSError as problem:
        print(f"imagegen-server: {problem}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        # The second Ctrl-C, which does not wait for the drain.
        return _INTERRUPTED
    return 0


def _announce(address: str) -> None:
    print(f"imagegen-server {__version__} serving on {address}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imagegen-server", description="One typed gRPC API in front of every image model."
    )
    parser.add_argument("--version", action="version", version=f"imagegen-server {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("serve", "serve until SIGTERM"), ("check-config", "check the configuration and show it")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", type=Path, metavar="FILE", help="TOML file; the environment wins over it")
        command.add_argument("--listen", metavar="ADDR", help="host:port, port 0 = any free one")
        command.add_argument(
            "--allow-insecure",
            action="store_true",
            help="with server.allow_insecure: listen beyond loopback without TLS and authentication",
        )
    commands.add_parser("providers", help="list the installed provider types")
    text = "make a token for a caller, and its hash for the file of server.tokens"
    commands.add_parser("new-token", help=text, description=text)
    return parser


def _make_token() -> int:
    token = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    print("The token, which is kept nowhere, for the caller; its hash for the callers' file:", file=sys.stderr)
    print(token)
    print(f'tokens = ["sha256:{hashlib.sha256(token.encode()).hexdigest()}"]')
    return 0


def _show_providers() -> int:
    for name, kind in sorted(installed_types().items()):
        print(f"{name}\t{kind.settings.__module__}")
    return 0


def _show_config(config: Config) -> int:
    print(f"listen = {config.server.listen}")
    if config.server.tls:
        print(f"certificate = {config.server.tls.cert}")
    if config.server.tokens:
        print(f"callers = {config.server.tokens.file}")
    if config.store.shared:
        print(f"store = {config.store.url}")
    for provider in config.providers:
        print(f"provider {provider.name} = {provider.type.name}")
    for alias, targets in config.aliases.items():
        print(f"alias {alias} = {', '.join(targets)}")
    for middleware in config.middleware:
        print(f"middleware {middleware.name} = {middleware.type.name}")
    return 0


_WITHOUT_CONFIG = {"providers": _show_providers, "new-token": _make_token}


if __name__ == "__main__":
    sys.exit(main())
