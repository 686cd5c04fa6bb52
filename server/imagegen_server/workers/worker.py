"""One of several workers, started by the supervisor: python -m imagegen_server.workers.worker DESCRIPTOR."""

import asyncio
import sys
from pathlib import Path

from imagegen_server.app import serve
from imagegen_server.config import load_config
from imagegen_server.exits import exit_status
from imagegen_server.generation.middleware_types import installed_middleware
from imagegen_server.providers.registry import installed_types
from imagegen_server.telemetry.logs import configure_logs

from .link import WorkerLink


def main(descriptor: int) -> int:
    """Serve by the orders that come over the link; returns the exit status, as `imagegen-server serve` has it."""
    with WorkerLink(descriptor) as link:
        return exit_status(lambda: _run(link))


def _run(link: WorkerLink) -> int:
    try:
        orders = link.orders()
    except EOFError:
        return 0
    config = load_config(
        installed_types(),
        path=Path(orders.config_path) if orders.config_path else None,
        text=orders.config_text,
        middleware=installed_middleware(),
        listen=orders.listen,
        workers=orders.workers,
        allow_insecure=orders.allow_insecure,
    )
    configure_logs(level=config.server.log_level, worker=orders.worker)
    asyncio.run(serve(config, lambda _address: link.say_serving(), link.told_to_stop))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
