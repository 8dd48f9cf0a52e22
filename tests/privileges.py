"""What a user may not read or write is forbidden to root, too, where tests run as root: on Linux, for a while."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_READ_AND_WRITE_EVERYTHING = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, see capabilities(7)."""
_VERSION_3 = 0x20080522


def can_be_dropped() -> bool:
    """Whether files can be forbidden to these tests."""
    return os.geteuid() != 0 or sys.platform == "linux"


def drop() -> None:
    """Give up the right to read and write every file, in this thread."""
    if os.geteuid() == 0:
        _set(lambda effective: effective & ~_READ_AND_WRITE_EVERYTHING)


@contextmanager
def dropped() -> Iterator[None]:
    """Have no right to read and write every file, in this thread."""
    drop()
    try:
        yield
    finally:
        if os.geteuid() == 0:
            _set(lambda effective: effective | _READ_AND_WRITE_EVERYTHING)


def _set(change: Callable[[int], int]) -> None:
    """Change the effective capabilities; what is permitted stays, so that they can be had again."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if library.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    sets[0] = change(sets[0])
    if library.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
