"""A sample of a file's transactions, by which they are recognized when they come again from another file."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from typing import Any

from tap_saft.values import encode

_MOST = 256
_KEY, _MARK = 6, 2
"""Bytes of a transaction's key and of its content."""

Identity = tuple[str, ...]


class Fingerprints:
    """The transactions of a file whose keys have the lowest hashes: two files with the same keys have the same ones.

    Files of up to 256 transactions are compared as wholes. STATE holds 16 hexadecimal digits for each transaction.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[Identity, Any]] = {}
        self._highest: list[int] = []

    def begin(self, identity: Identity, date: str) -> Any:
        """Return a hash that takes the transaction's content, None if it is not in the sample."""
        key = hashlib.blake2b(encode(identity), digest_size=_KEY).digest()
        if key not in self._kept:
            rank = -int.from_bytes(key, "big")
            if len(self._kept) < _MOST:
                heapq.heappush(self._highest, rank)
            elif rank > self._highest[0]:
                del self._kept[(-heapq.heapreplace(self._highest, rank)).to_bytes(_KEY, "big")]
            else:
                return None
            self._kept[key] = identity, hashlib.blake2b(digest_size=_MARK)
        content = self._kept[key][1]
        content.update(date.encode())
        return content

    def identity(self, key: str) -> Identity:
        """Return the transaction of a key that `__iter__` gave."""
        return self._kept[bytes.fromhex(key)][0]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield keys and what they stand for, both as hashes."""
        return ((key.hex(), content.hexdigest()) for key, (_, content) in self._kept.items())


def packed(marks: dict[str, str]) -> str:
    """Return keys and contents as one text, for STATE."""
    return "".join(key + content for key, content in sorted(marks.items()))


def unpacked(text: Any) -> dict[str, str]:
    """Return keys and contents from STATE; nothing of what is not such a text."""
    if not isinstance(text, str):
        return {}
    whole, key = 2 * (_KEY + _MARK), 2 * _KEY
    return {text[at : at + key]: text[at + key : at + whole] for at in range(0, len(text) - whole + 1, whole)}
