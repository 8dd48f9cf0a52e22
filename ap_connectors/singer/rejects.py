"""The reject file (a dead-letter file): each rejected record as it came, the reason beside it; input to a later run."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from ap_connectors.core import files, instants, messages, sheets, text_files
from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.redact import whole

_log = logging.getLogger(__name__)

_strings = json.JSONDecoder(strict=False)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MOST_LOGGED = 20
_LOADED_IN_PART = frozenset({"partly_written", "not_processed", "bank_account", "bank_change"})
"""Codes of records that the service has in part: its copy is of that time."""
_HELD = 16 * 1024 * 1024
"""Bytes of an input that are held in memory, until all of it is known to be this company's; more go to the disk."""

# Double spaces, line ends, a link with a query, great length; nothing that could be a secret.
_HARMLESS = "  \n\t\u00a0http://\u2060?\u2060  \n" + "\u2060" * 5000


class RejectFile:
    """Lines of rejected records, written at once, and durable after `sync`. Thread-safe.

    The file is created with the first reject, readable for its owner only. An existing file is appended to; but
    one with the time in its name is this run's alone, and gets another name if that one is taken.

    Args:
        path: of the file; "{timestamp}" in it stands for the time now, in UTC (20261121T120000Z).
        redact: replaces secrets in a text of any length, and changes nothing else, not even a space.
        mark: further members of "rejected".
        dry_run: only count; nothing is written.

    Raises:
        ValueError: `redact` changes more, as one made for log lines does; it would damage records.
    """

    def __init__(
        self,
        path: str,
        redact: Callable[[str], str] | None = None,
        *,
        mark: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> None:
        if redact and redact(_HARMLESS) != _HARMLESS:
            raise ValueError("redact changes text without a secret")
        self.count = 0
        """Rejects so far."""
        self.in_part = 0
        """Of these, those whose records are loaded otherwise."""
        self.company: str | None = None
        """Whose records they are; set once that is known."""
        self.path: str | None = None
        """Where the rejects are; None before the first one."""
        self._of_sheet = self._of_workbook = self._of_rejects = False
        self._dry_run, self._is_own = dry_run, "{timestamp}" in path
        self._path = files.place(path).replace("{timestamp}", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        self._redact, self._mark = redact, mark or {}
        self._lock = threading.Lock()
        self._schemas: dict[str, bytes] = {}
        self._unwritten: set[str] = set()
        self._file: int | None = None
        self._unsynced = False

    @property
    def numbers(self) -> str:
        """What the numbers of the input's lines count: of a list that is a workbook, its rows."""
        return "row" if self._of_workbook and not self._of_rejects else "line"

    def check(self, source: IO[str] | None = None) -> None:
        """Check that the file can be written, before there is anything to write.

        Args:
            source: the input; it must not be the same file, whose end would never come.

        Raises:
            Stop: the file cannot be written, or is the input.
        """
        self._of_sheet = Path(str(getattr(source, "name", ""))).suffix.lower() in sheets.SUFFIXES
        self._of_workbook = Path(str(getattr(source, "name", ""))).suffix.lower() == ".xlsx"
        if self._dry_run:
            return
        path = Path(self._path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._is_own:
                path = path.parent / "new"
            if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
                raise PermissionError(errno.EACCES, os.strerror(errno.EISDIR if path.is_dir() else errno.EACCES))
        except OSError as error:
            raise self._trouble(error) from None
        with contextlib.suppress(AttributeError, OSError, ValueError):  # only a file of the disk has a number
            if source and path.is_file() and os.path.samestat(os.fstat(source.fileno()), path.stat()):
                raise Stop(f"rejects_path: {path} is the file that is read. Name another one, or move it first.")

    def guard(self, lines: Iterable[bytes], logger: logging.Logger) -> Iterator[bytes]:
        """Yield the lines of an input; those of a reject file when all were read, and all may be this company's.

        Raises:
            Stop: one is another company's. Nothing of the reject file was yielded.
        """
        numbered = enumerate(text_files.utf8_lines(lines, "the input"), 1)
        for number, line in numbered:
            if _mark_of(line) is None:
                yield line
                continue
            self._of_rejects, unsure = True, list[int]()
            with tempfile.SpooledTemporaryFile(_HELD) as held:
                for later, held_line in itertools.chain([(number, line)], numbered):
                    rejected = _mark_of(held_line)
                    if rejected is not None and not self.is_ours(rejected, later):
                        unsure.append(later)
                    held.write(held_line)
                if unsure:
                    logger.warning(
                        "The reject file: it cannot be checked whose %d of its records are (the first is line %d): %s. "
                        "They are taken for those of %s.",
                        len(unsure),
                        unsure[0],
                        "they do not say it" if self.company else "the service does not name the company",
                        self.company or "the company of the credentials",
                    )
                held.seek(0)
                yield from held

    def is_ours(self, rejected: Mapping[str, Any], number: int) -> bool:
        """Return whether a line of a reject file is of this company; False if that cannot be known.

        Raises:
            Stop: it is another company's.
        """
        theirs, own = rejected.get("company"), self.company
        if theirs is None or own is None:
            return False
        if theirs not in (own, self._masked_text(own)):
            what, where, change = ("file", f"line {number}", "change rejected.company in each line.")
            if self._of_sheet:
                what, where = "sheet", "a record"
                change = "load the reject file that the sheet was made of, with rejected.company changed in each line."
            raise Stop(
                f'The reject {what} belongs to another company: {where} is of "{theirs}", the credentials are of '
                f'"{own}". Nothing of it was loaded. Hand in the right file, or set the right credentials; if the '
                f"company was merely renamed, or its key renewed, {change}"
            )
        return True

    def schema(self, stream: str, raw_line: bytes) -> None:
        """Remember a stream's SCHEMA line; it is written before the stream's next reject."""
        raw_line = raw_line.strip()
        with self._lock:
            if self._schemas.get(stream) != raw_line:
                self._schemas[stream] = raw_line
                self._unwritten.add(stream)

    def add(self, stream: str, raw_line: bytes, reject: Reject, *, line: int) -> None:
        """Write a RECORD line with the reason of its rejection.

        Args:
            stream: of the record.
            raw_line: as it came; only the member "rejected" is added or replaced.
            reject: why: a sentence for a person, a code and parameters for programs.
            line: number of the line in the input.

        Raises:
            Stop: the file cannot be written; then nothing of the line counts as written.
        """
        if self._dry_run:
            with self._lock:
                self.count += 1
                self.in_part += reject.in_part
            return
        first = _first_at(raw_line) if reject.code not in _LOADED_IN_PART else None
        mark = {
            **self._mark,
            **({"company": self.company} if self.company is not None else {}),
            **reject.shown(lambda text: whole(self._masked_text(text))),
            "at": instants.text(time.time_ns() // 1_000_000),
            **({"first_at": first} if first else {}),
            "line": line,
        }
        record = self._masked(_marked(raw_line.strip(), msgspec.json.encode(mark)))
        with self._lock:
            lines = [record]
            if stream in self._unwritten:
                lines.insert(0, self._masked(self._schemas[stream]))
            self._write(b"".join(each + b"\n" for each in lines))
            self._unwritten.discard(stream)
            self.count += 1
            self.in_part += reject.in_part

    def log(self, logger: logging.Logger, what: str, reject: Reject, *, line: int) -> None:
        """Log the reject that was added last. Every reject is in the file; the log shows the first 20.

        Args:
            logger: takes the warning.
            what: was rejected.
            reject: why.
            line: number of the line in the input.
        """
        if self.count <= _MOST_LOGGED:
            reason = self._masked_text(str(reject))
            head = "Would be set aside" if self._dry_run else "Set aside"
            # The lines that a corrected sheet stands for are not its rows.
            where = "" if self._of_sheet and self._of_rejects else f" ({self.numbers} {line})"
            logger.warning("%s: %s%s: %s [%s]", head, what, where, reason, reject.code)
            if self.count == _MOST_LOGGED:
                logger.warning("More may follow; all are in %s.", "the plan" if self._dry_run else self.path)

    def sync(self) -> None:
        """Wait until all rejects are on the disk.

        Raises:
            Stop: the disk refuses.
        """
        with self._lock:
            if self._file is None or not self._unsynced:
                return
            try:
                os.fsync(self._file)
            except OSError as error:
                if error.errno != errno.EINVAL:  # a pipe or a device has no disk below it
                    raise self._trouble(error) from None
            self._unsynced = False

    def end(self, allowed: int, advice: str) -> None:
        """End a run that went well otherwise.

        Args:
            allowed: how many rejects may be.
            advice: what to do with them; of a dry run, what names them.

        Raises:
            Stop: there are more.
        """
        if self.count <= allowed:
            return
        records = "1 record" if self.count == 1 else f"{self.count} records"
        if self.in_part:
            records += f" ({self.in_part} in part)"
        if self._dry_run:
            raise Stop(f"{records} would be set aside; {allowed} are allowed (max_rejects). {advice}")
        were = "was" if self.count == 1 else "were"
        raise Stop(f"{records} {were} set aside in {self.path}; {allowed} are allowed (max_rejects). {advice}")

    def _write(self, content: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            self._unsynced = True
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            if self._file is not None:
                # The next attempt checks again how the file ends.
                os.close(self._file)
                self._file = None
            raise self._trouble(error) from None

    def _open(self) -> int:
        path = Path(self._path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_own and self.path is None:
            path, file = files.create(path)
            self._path = str(path)
        else:
            files.check_link(path)
            file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            if files.is_open_to_others(file):
                _log.warning(
                    "rejects_path: every user of this machine may read %s, and records hold bank accounts: chmod 600",
                    self._path,
                )
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            # A run that was killed while it wrote left half a line; ours must not hang on to it.
            os.write(file, b"\n")
        if not size:
            _sync_folder(path.parent)
        self.path = self._path
        return file

    def _trouble(self, error: OSError) -> Stop:
        return Stop(f"rejects_path: {self._path} cannot be written: {error.strerror or type(error).__name__}.")

    # Secrets

    def _masked_text(self, text: str) -> str:
        return self._redact(text) if self._redact else text

    def _masked(self, line: bytes) -> bytes:
        """Mask secrets inside the strings of a line of JSON; a line without secrets keeps its bytes."""
        if self._redact is None:
            return line
        text = line.decode(errors="surrogateescape")
        strings, start = [], text.find('"')
        while start >= 0:
            # A string may be written in many ways ("\/", "\u0061"), so look at its value.
            said, end = _strings.raw_decode(text, start)
            strings.append((start, end, said))
            start = text.find('"', end)
        together = "\n".join(said for _, _, said in strings)
        if self._redact(together) == together:
            return line
        pieces, done = [], 0
        for start, end, said in strings:
            masked = self._redact(said)
            if masked != said:
                pieces += [text[done:start], json.dumps(masked)]
                done = end
        return "".join((*pieces, text[done:])).encode(errors="surrogateescape")


def _mark_of(raw: bytes) -> Mapping[str, Any] | None:
    """Return what a line of a reject file says of its rejection; None for any other line."""
    if b'"rejected"' not in raw:
        return None
    try:
        return next((line.message.rejected for line in messages.read([raw])), None)
    except Stop:
        return None  # what is wrong with it is told when its turn comes


def _first_at(raw: bytes) -> str | None:
    """Return when the record of a line was set aside first; None if it comes for the first time."""
    mark = _mark_of(raw) or {}
    first = mark.get("first_at") or mark.get("at")
    return str(first) if first else None


def _marked(line: bytes, mark: bytes) -> bytes:
    """Return a RECORD line with `mark` as its member "rejected", otherwise unchanged."""
    if b'"rejected"' in line:
        try:
            members = _members.decode(line)
        except (msgspec.DecodeError, RecursionError):
            pass  # a lone surrogate somewhere: the member comes twice then, and the last one counts
        else:
            if "rejected" in members:
                return msgspec.json.encode(members | {"rejected": msgspec.Raw(mark)})
    return line[:-1].rstrip() + b', "rejected": ' + mark + b"}"


def _sync_folder(folder: Path) -> None:
    """Make the file's name as durable as its content will be."""
    descriptor = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not every file system knows how
        os.fsync(descriptor)
    os.close(descriptor)
