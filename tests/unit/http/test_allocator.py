"""Large buffers are kept for the next ones."""

import ctypes
import platform
import subprocess
import sys

import pytest
from imagegen_server.http import allocator

_ON_GLIBC = platform.libc_ver()[0] == "glibc"

_COUNT = """
import resource, sys
from imagegen_server.http.allocator import keep_large_buffers

if sys.argv[1] == "keep":
    assert keep_large_buffers()

def pass_images_on():
    received = [bytearray(2_000_000 + 4096 * number) for number in range(4)]
    for buffer in received:
        buffer[::4096] = b"x" * len(range(0, len(buffer), 4096))
    decoded = [bytes(buffer) for buffer in received]

for _ in range(3):
    pass_images_on()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    pass_images_on()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    ran = subprocess.run([sys.executable, "-c", _COUNT, how], capture_output=True, text=True, timeout=60, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(not _ON_GLIBC, reason="the C library is not glibc")
def test_page_faults_go_away() -> None:
    """Tens of thousands for ten rounds of four images without it, next to none with it."""
    without, kept = _faults("leave"), _faults("keep")

    assert without > 10_000
    assert kept < without / 20


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is another C library, or one that cannot be asked, the answer is no."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert allocator.keep_large_buffers() is False

    def no_library(_: object) -> None:
        raise OSError

    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert allocator.keep_large_buffers() is False
