"""The command line: imagegen-server serve, check-config, providers, new-token, --version.

It imports grpc only where it serves itself: a supervisor of workers does without.
"""

import argparse
import asyncio
import hashlib
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from . import __version__
from .config import Config, ServerTable, load_config, read_server, read_text
from .exits import exit_status
from .generation.middleware_types import installed_middleware
from .providers.registry import installed_types
from .telemetry.logs import configure_logs
from .workers.link import Orders
from .workers.port import SharedPort
from .workers.supervisor import Supervisor

_TOKEN_BYTES = 32
_TOKEN_PREFIX = "igt_"  # noqa: S105 - lets scanners find tokens that leaked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status.

    0 done, 1 serving failed, 2 what was asked for is wrong, 130 interrupted twice.
    """
    options = _parser().parse_args(arguments)
    if options.command in _WITHOUT_CONFIG:
        return exit_status(_WITHOUT_CONFIG[options.command])
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    text = read_text(options.config) if options.config else None
    said = {"listen": options.listen, "workers": options.workers, "allow_insecure": options.allow_insecure}
    server, _ = read_server(path=options.config, text=text, **said)
    configure_logs(level=server.log_level)
    if options.command == "serve" and server.workers > 1:
        return _supervise(server, options, text)
    from . import app  # noqa: PLC0415 - it imports grpc
    from .kept import Kept  # noqa: PLC0415 - nothing that a supervisor needs

    config = load_config(installed_types(), path=options.config, text=text, middleware=installed_middleware(), **said)
    if options.command == "check-config":
        app.build_middleware(config)
        Kept(config)
        asyncio.run(app.build_providers(config).close())
        return _show_config(config)
    asyncio.run(app.serve(config, _announce))
    return 0


def _supervise(server: ServerTable, options: argparse.Namespace, text: str | None) -> int:
    with SharedPort(server.listen) as port:
        orders = Orders(
            worker=1,
            workers=server.workers,
            listen=port.address,
            config_path=str(options.config) if options.config else None,
            config_text=text,
            allow_insecure=options.allow_insecure,
        )
        spread = Random()  # noqa: S311 - spreads load, hides nothing
        return asyncio.run(Supervisor(orders, lambda: _announce(port.address), random=spread).run())


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
            "--workers", type=_count, metavar="N", help="processes that serve; more than one needs a shared store"
        )
        command.add_argument(
            "--allow-insecure",
            action="store_true",
            help="with server.allow_insecure: listen beyond loopback without TLS and authentication",
        )
    commands.add_parser("providers", help="list the installed provider types")
    text = "make a token for a caller, and its hash for the file of server.tokens"
    commands.add_parser("new-token", help=text, description=text)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


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
    if config.server.workers > 1:
        print(f"workers = {config.server.workers}")
    if config.server.tls:
        print(f"certificate = {config.server.tls.cert}")
    if config.server.tokens:
        print(f"callers = {config.server.tokens.file}")
    if config.store.shared:
        print(f"store = {config.store.url}")
    if config.store.bytes:
        print(f"images = {config.store.bytes.url} at {config.store.bytes.place()[0]}")
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
