"""Singer input, as it was given to target-vicai, and the reject files of its loads: what they say of each record."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ap_http.errors import Stop
from ap_tieout.facts import Book
from ap_tieout.loaded_kinds import LOADED, Loaded, Names, spelled
from ap_tieout.singer import records
from ap_tieout.warehouse import spelling


@dataclass
class Input:
    """What an input says of one stream.

    Attributes:
        book: what is compared, by natural key; the last record of a key counts.
        names: what each is found by.
        deleted: keys that it marks as deleted.
        keyless: lines (as messages name them) that have no natural key.
    """

    loaded: Loaded
    book: Book = field(default_factory=Book)
    names: dict[str, Names] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    keyless: list[str] = field(default_factory=list)


@dataclass
class Inputs:
    """What an input says of all streams; `others` are streams that cannot be compared, and their counts."""

    streams: dict[str, Input] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why records were rejected, by stream and natural key."""


def read(files: Iterable[str], *, deletes: bool = False) -> Inputs:
    """Read files of Singer messages.

    Args:
        files: paths; "-" is standard input.
        deletes: whether what is marked as deleted is to be gone at Vic.ai.

    Raises:
        Stop: a file cannot be read, or holds something else.
    """
    inputs = Inputs()
    for file in files:
        with ExitStack() as opened:
            try:
                lines: IO[bytes] = sys.stdin.buffer if file == "-" else opened.enter_context(Path(file).open("rb"))
                _take(inputs, "standard input" if file == "-" else file, lines, deletes=deletes)
            except OSError as error:
                raise Stop(f"{file}: {error.strerror or 'cannot be read'}.") from None
    return inputs


def _take(inputs: Inputs, file: str, lines: Iterable[bytes], *, deletes: bool) -> None:
    for number, name, record, rejected in records(file, lines):
        loaded = LOADED.get(spelling(name))
        if loaded is None:
            inputs.others[name] = inputs.others.get(name, 0) + 1
            continue
        stream = inputs.streams.setdefault(loaded.stream, Input(loaded))
        given = spelled(record)
        key = loaded.key(given)
        if key is None:
            stream.keyless.append(f"line {number} of {file}")
            continue
        if rejected:
            inputs.reasons[loaded.stream, key] = str(rejected.get("reason") or "no reason given")
        is_deleted = given.get(spelling("_sdc_deleted_at")) is not None
        if is_deleted and not deletes:
            continue
        stream.names[key] = loaded.found_by(given)
        if is_deleted:
            stream.deleted.add(key)
            stream.book.drop(key)
        else:
            stream.deleted.discard(key)
            stream.book.put(key, loaded.fact(given))
