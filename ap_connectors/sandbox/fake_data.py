"""Deterministic choices: the same words give the same numbers on every Python and platform."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A small stream of numbers drawn from a hash of the words it was made of.

    Much cheaper to set up than `random.Random`, which matters when every document has its own.
    """

    __slots__ = ("_pool", "_words")

    def __init__(self, *words: object) -> None:
        self._words = "/".join(map(str, words)).encode()
        self._pool = int.from_bytes(blake2b(self._words).digest(), "big")

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        if self._pool >> 64 < limit:
            self._words += b"+"
            self._pool = int.from_bytes(blake2b(self._words).digest(), "big")
        self._pool, number = divmod(self._pool, limit)
        return number

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, things: Sequence[T]) -> T:
        """One of the things."""
        if self._pool >> 64 == 0:
            return things[self.below(len(things))]
        self._pool, place = divmod(self._pool, len(things))
        return things[place]

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""
        return self.below(one_in) == 0

    def uuid(self) -> str:
        """32 hexadecimal digits in the shape of a UUID (version 4)."""
        return _uuid(f"{self.below(1 << 128):032x}")


def uuid_like(*words: object) -> str:
    """32 hexadecimal digits in the shape of a UUID (version 4), made of the words."""
    return _uuid(blake2b("/".join(map(str, words)).encode(), digest_size=16).hexdigest())


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
