"""What Vic.ai holds, sorted by what an input speaks of."""

from __future__ import annotations

from ap_tieout.facts import Book, Fact
from ap_tieout.loaded_input import Input
from ap_tieout.loaded_kinds import Names

_SINGLY = 200
"""If the list does not show so many records, or fewer, each is asked for by itself."""


class Found:
    """What Vic.ai holds, sorted by what the input speaks of.

    Attributes:
        book: by the input's natural keys.
        others: what the input does not speak of.
        listed: whether the list could be read.
    """

    def __init__(self, given: Input) -> None:
        self.book, self.others = Book(), Book()
        self.listed = True
        self._given = given
        self._owners: dict[tuple[str, str], list[str]] = {}
        for key, names in given.names.items():
            for name in names.items():
                self._owners.setdefault(name, []).append(key)
        self._times: dict[str, int] = {}
        self._namesakes: set[str] = set()
        self._seen: set[str] = set()

    def take(self, number: str, names: Names, fact: Fact) -> None:
        """Take in a record of Vic.ai's list.

        Args:
            number: Vic's id of it, or "".
            names: what it is found by.
            fact: what is compared of it.
        """
        if number and number in self._seen:
            return
        self._seen.add(number)
        keys = next((keys for name in names.items() if (keys := self._of(name, names))), [])
        for key in keys:
            self._times[key] = self._times.get(key, 0) + 1
            if key not in self.book:
                self.book.put(key, fact)
            if len(keys) > 1 or self._times[key] > 1:
                self._namesakes.add(key)
        if not keys:
            self.others.put(number or f"{' '.join(names.values())} #{len(self.others)}", fact)

    def _of(self, name: tuple[str, str], names: Names) -> list[str]:
        """Return the keys of a name, but for those that a surer name tells apart."""
        fields = list(names)
        surer = {field: names[field] for field in fields[: fields.index(name[0])]}
        return [
            key
            for key in self._owners.get(name, ())
            if all(self._given.names[key].get(field, value) == value for field, value in surer.items())
        ]

    def doubtful(self) -> list[str]:
        """Return the keys that the list does not settle."""
        wanted = list(self._given.names)
        missing = [key for key in wanted if key not in self.book]
        few = not self.listed or len(missing) <= _SINGLY
        return [*(key for key in wanted if key in self._namesakes), *(missing if few else ())]

    def settle(self, key: str, fact: Fact | None) -> None:
        """Take in what Vic.ai says of one record; None if it does not have it."""
        self._times.pop(key, None)
        self.book.drop(key)
        if fact is not None:
            self.book.put(key, fact)

    def times(self, key: str) -> int:
        """Return how often the list showed a record."""
        return self._times.get(key, 1)
