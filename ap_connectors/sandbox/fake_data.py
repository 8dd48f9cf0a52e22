"""What invented data is made of: random choices that are the same on every Python and platform, and check digits."""

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class SeededRandom:
    """A random number generator, seeded with words.

    Numbers are drawn from a hash of the words. It is much cheaper to set up than `random.Random`, which matters when
    every document has its own.
    """

    __slots__ = ("_pool", "_words")

    def __init__(self, *words: object) -> None:
        self._words = "/".join(map(str, words)).encode()
        self._pool = int.from_bytes(blake2b(self._words).digest(), "big")

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit` - 1."""
        if self._pool >> 64 < limit:
            self._words += b"+"
            self._pool = int.from_bytes(blake2b(self._words).digest(), "big")
        self._pool, number = divmod(self._pool, limit)
        return number

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, things: Sequence[T]) -> T:
        """Return one of the things."""
        if self._pool >> 64 == 0:
            return things[self.below(len(things))]
        self._pool, place = divmod(self._pool, len(things))
        return things[place]

    def chance(self, one_in: int) -> bool:
        """Return True once in `one_in` times."""
        return self.below(one_in) == 0

    def uuid(self) -> str:
        """Return a UUID (version 4)."""
        return _uuid(f"{self.below(1 << 128):032x}")


def uuid_like(*words: object) -> str:
    """Return a UUID (version 4) made of the words."""
    return _uuid(blake2b("/".join(map(str, words)).encode(), digest_size=16).hexdigest())


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def lithuanian_check_digit(digits: str) -> int:
    """Return the last digit of a Lithuanian registration code or VAT number whose first eight digits are given."""
    weights = [[1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8, 9, 1]]
    for row in weights:
        rest = sum(int(digit) * weight for digit, weight in zip(digits, row, strict=True)) % 11
        if rest < 10:
            return rest
    return 0


def iban(country: str, account: str) -> str:
    """Return an IBAN with its check digits (ISO 13616, modulo 97)."""
    number = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


def without_diacritics(text: str) -> str:
    """Return a text in ASCII."""
    text = text.translate(str.maketrans("„“”łŁøØđĐæß", '"""lLoOdDas'))
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def luhn(digits: str) -> str:
    """Return the check digit modulo 10 (Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def modulo_11(digits: str, weights: tuple[int, ...]) -> str | None:
    """Return the check digit modulo 11, or None if these digits have none and so are never given out."""
    rest = -sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return str(rest) if rest < 10 else None
