"""How the C library treats large buffers."""

import ctypes
import platform

_MEBIBYTE = 1024 * 1024

# malloc.h of glibc; mallopt(3).
_TRIM_THRESHOLD = -1
_TOP_PAD = -2
_MMAP_THRESHOLD = -3

_SETTINGS = (
    (_MMAP_THRESHOLD, 32 * _MEBIBYTE),  # the most that glibc takes on 64 bits
    (_TRIM_THRESHOLD, 256 * _MEBIBYTE),
    (_TOP_PAD, 16 * _MEBIBYTE),
)


def keep_large_buffers() -> bool:
    """Have freed buffers of megabytes kept for the next ones; call it once, before threads are started.

    glibc gives each back to the kernel, and the next one costs a page fault every 4 KiB: more than all the rest of
    passing a picture on. In return the process keeps up to 256 MiB of the memory that it once needed at a time.

    Returns whether it was done. Only glibc can: elsewhere nothing happens. Never raises.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        return all([mallopt(setting, value) == 1 for setting, value in _SETTINGS])  # noqa: C419 - each is tried
    except (OSError, AttributeError):
        return False
