"""The files of one export: an ERP may split it, and write into each part the control totals of the whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from tap_saft.balances import Reconciled
from tap_saft.checking import Checked, Totals, check, peek
from tap_saft.company import Company
from tap_saft.file_state import FileState
from tap_saft.sources import Source

# The Norwegian tax administration's names: SAF-T Financial_912345678_20260201120000_2_3.xml is the 2nd of 3 files.
_PART = re.compile(r"(?P<export>.*)_(?P<number>\d{1,4})_(?P<of>\d{1,4})\.xml", re.IGNORECASE | re.DOTALL)


_Controls = frozenset[tuple[str, Decimal]]


class _Export(NamedTuple):
    """What the files of one export have in common: company, date, and beginning and count of their names, if any."""

    company: str
    created: str
    name: str
    files: int


class Exports:
    """All files that were found, to tell which ones belong together.

    Args:
        sources: the files, also those that were read before.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._companies: dict[str, Company | None] = {}
        self._exports: dict[_Export, list[Source]] = defaultdict(list)
        self._parts: dict[_Export, dict[str, Checked]] = {}

    def company(self, source: Source) -> Company | None:
        """Return the company of a file, None if it cannot be read."""
        if source.name not in self._companies:
            self._companies[source.name] = peek(source)
        return self._companies[source.name]

    def problems(self, source: Source, checked: Checked) -> list[str]:
        """Return how control totals differ from what the file, or the export that it is a part of, holds; in words.

        Raises:
            Stop: another part of the export is not complete, not SAF-T, or invalid.
        """
        own = checked.totals.problems(checked.given)
        export = self._export(source)
        if not own or export is None:
            return own
        parts = self._of_controls(export, checked)
        if len(parts) > 1:
            together = sum(parts.values(), Totals())
            own = together.problems(checked.given, f"the {len(parts)} files of this export hold")
        if own and export.files and (lacking := self._lacking(export)):
            some = ", ".join(map(str, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
            own.append(f"by its name it is one of {export.files} files, of which path lacks {some}")
        return own

    def _export(self, source: Source) -> _Export | None:
        company, (name, _, files) = self.company(source), _part(source)
        return _Export(company.id, company.created, name, files) if company else None

    def reconciled(self, source: Source, checked: Checked) -> Reconciled:
        """Return a file's balances beside the lines of its whole export.

        Raises:
            Stop: another part of the export is not complete, not SAF-T, or invalid.
        """
        export = self._export(source)
        if export is None or not checked.balances.stated:
            return Reconciled(checked.balances, checked.totals.moved)
        if export.files > 1:
            parts = {**self._checked(export), checked.sha256: checked}
            lacks_some = bool(self._lacking(export))
            totals = {sha256: part.totals for sha256, part in parts.items()}
        else:
            # Control totals that are not a file's own are those of its export.
            lacks_some = False
            has_parts = bool(checked.totals.problems(checked.given))
            totals = self._of_controls(export, checked) if has_parts else {checked.sha256: checked.totals}
        return Reconciled(checked.balances, None if lacks_some else sum(totals.values(), Totals()).moved)

    def _of_controls(self, export: _Export, checked: Checked) -> dict[str, Totals]:
        """Return what those files of an export hold that have the same control totals, which are not their own."""
        others = self._checked(export).items()
        found = {
            sha256: part.totals
            for sha256, part in others
            if _controls(part) == _controls(checked) and part.totals.problems(part.given)
        }
        return {**found, checked.sha256: checked.totals}

    def _lacking(self, export: _Export) -> list[int]:
        """Return the numbers of the files of an export, by their names, that were not found."""
        numbers = {_part(one)[1] for one in self._files(export)}
        return [number for number in range(1, export.files + 1) if number not in numbers]

    def _files(self, export: _Export) -> list[Source]:
        if not self._exports:
            for source in self._sources:
                if found := self._export(source):
                    self._exports[found].append(source)
        return self._exports[export]

    def _checked(self, export: _Export) -> dict[str, Checked]:
        """Return what the files of an export hold, by SHA-256; only their totals are kept."""
        if export not in self._parts:
            self._parts[export] = {}
            for source in self._files(export):
                # Only its totals are asked for; its records are read in its turn.
                part = check(source, frozenset({"account_balances"}), FileState({}))
                self._parts[export][part.sha256] = Checked(given=part.given, totals=part.totals, sha256=part.sha256)
        return self._parts[export]


def _controls(checked: Checked) -> _Controls:
    return frozenset((name, Decimal(given)) for name, given in checked.given.items())


def _part(source: Source) -> tuple[str, int, int]:
    """Return the beginning of a file's name, its number, and of how many; empty and 0 where its name does not say."""
    found = _PART.fullmatch(source.name.rpartition("/")[2])
    number, files = (int(found["number"]), int(found["of"])) if found else (0, 0)
    return (found["export"], number, files) if found and 1 <= number <= files else ("", 0, 0)
