"""With which status the command ends, and what it says on stderr then."""

import sys
from collections.abc import Callable

from .config import ConfigError
from .generation.middleware_types import MiddlewareLoadError
from .providers.registry import ProviderLoadError

_USAGE_ERROR = 2
_FAILED = 1
_INTERRUPTED = 130


def exit_status(run: Callable[[], int]) -> int:
    """Run it; returns its status, or that of what went wrong.

    1 serving failed, 2 what was asked for is wrong, 130 interrupted twice.
    """
    try:
        return run()
    except (ConfigError, ProviderLoadError, MiddlewareLoadError) as problem:
        print(f"imagegen-server: {problem}", file=sys.stderr)
        return _USAGE_ERROR
    except OSError as problem:
        print(f"imagegen-server: {problem}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        # The second Ctrl-C, which does not wait for the drain.
        return _INTERRUPTED
