"""What is set aside still: records in the reject files of a company.

Whoever has corrected and loaded a file moves it away. A later run has nothing new to read, and would say nothing of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.core.redact import printable, shortened
from ap_connectors.fleet.members import Fleet

_KINDS = 3
"""Kinds of reasons that are told."""
_LONG = 160
"""So much of a reason is told."""


class Pile:
    """Records that were set aside, each once: what is read anew may be set aside anew, and only the last reason counts.

    Args:
        paths: of reject files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths: list[Path] = []
        """Those that have records."""
        self.streams: dict[str, None] = {}
        self._found: dict[Any, tuple[str, str]] = {}
        """By record: code and reason."""
        for path in sorted(paths, key=lambda one: one.name):
            # It may be moved away at this moment.
            with contextlib.suppress(OSError):
                self._read(path)

    def _read(self, path: Path) -> None:
        keys: dict[str, list[str]] = {}
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                if b'"rejected"' not in line and b'"SCHEMA"' not in line:
                    continue
                try:
                    message = msgspec.json.decode(line)
                    stream, record = str(message.get("stream")), message.get("record") or {}
                    if message.get("type") == "SCHEMA":
                        keys[stream] = list(message.get("key_properties") or ())
                        continue
                    given = message.get("rejected")
                    key = tuple(msgspec.json.encode(record[name]) for name in keys.get(stream, ()))
                except (msgspec.MsgspecError, AttributeError, KeyError, TypeError):
                    # A record that cannot be read is one of its own.
                    stream, given, key = "", {}, ()
                if given is not None:
                    self._found[(stream, *key) if key else (path, number)] = _why(given)
                    self.streams[stream] = None
                    if path not in self.paths[-1:]:
                        self.paths.append(path)

    def __len__(self) -> int:
        return len(self._found)

    def reasons(self) -> str:
        """Return the reasons, by their counts: "3: VAT class PVM5 is not in the table; 1: ..."."""
        by_code: dict[str, list[str]] = {}
        for code, reason in self._found.values():
            by_code.setdefault(code, []).append(reason)
        often = sorted(by_code.values(), key=len, reverse=True)
        told = [f"{len(ones):,}: {'such as ' * (len({*ones}) > 1)}{ones[0]}" for ones in often[:_KINDS]]
        more = sum(map(len, often[_KINDS:]))
        return "; ".join([*told, *([f"{more:,} for other reasons"] if more else [])])


def _why(given: Any) -> tuple[str, str]:
    found = given if isinstance(given, dict) else {}
    reason = printable(str(found.get("reason") or "without a reason")).rstrip(".")
    return str(found.get("code") or reason), shortened(reason, _LONG)


def folder(fleet: Fleet, company: str) -> Path:
    """Return the folder that the reject files of a company are in."""
    return fleet.folder / "rejects" / company


def lines(fleet: Fleet, companies: Iterable[str]) -> Iterator[str]:
    """Yield a line for each company of which records are set aside."""
    for company in companies:
        if pile := Pile(folder(fleet, company).rglob("*.jsonl")):
            called, where = fleet.company(company).called, folder(fleet, company)
            yield f"{called}: {len(pile):,} set aside, in files of {where}: {pile.reasons()}."


def advice(company: str, pipeline: str, *, has_mapper: bool, paths: Iterable[str]) -> str:
    """Return what to do with what a run has set aside, in a fleet.

    Args:
        company: its id.
        pipeline: its name.
        has_mapper: whether the tap's streams are not those of the target.
        paths: of the run's reject files.
    """
    pile = Pile(map(Path, paths))
    files = " and ".join(map(str, pile.paths))
    stream = next(iter(pile.streams), "") if not has_mapper and len(pile.streams) == 1 else "STREAM"
    return (
        f"{len(pile):,} set aside in {files} ({pile.reasons()}). Correct the cause, read the stream anew (ap-fleet run "
        f"--only {company} --pipeline {pipeline} --from DATE --stream {stream}), and move the files away."
    )
