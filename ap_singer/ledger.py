"""What a service got from us and cannot say so itself: we keep book, in a file beside the settings."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec

from ap_http.errors import Stop

State = Literal["sending", "sent", "refused", "unsent", "done"]


class Entry(msgspec.Struct):
    """One line: what happened to something that is sent once.

    "sending" stands before a call, and one of the others after it: "sent" (the service has it, under `id`), "refused"
    (the service does not take it), "unsent" (it never got there), "done" (it may be wanted again, and begins anew
    then). A "sending" that nothing follows may have arrived.

    Args:
        key: what is sent: the SHA-256 of a document, say.
        at: when the line was written (an instant, UTC).
        owner: whose account it is about.
        state: what happened.
        name: what a person calls it.
        id: what the service calls it.
    """

    key: str
    at: str
    owner: str
    state: State
    name: str | None = None
    id: str | None = None


class Ledger:
    """The book, a file of JSON lines; it may serve several accounts, and several runs at once.

    Args:
        path: the file; it is made with the first line.
        owner: whose lines count: what tells one account of the service from another, and is no secret.

    Raises:
        Stop: the file can't be read or written (by every method).
    """

    def __init__(self, path: str, owner: str) -> None:
        self.path = path
        self._file, self._owner = Path(path).expanduser(), owner
        self._entries: dict[str, Entry] = {}
        self._read_to = self._lines = 0
        self._unended = b""
        self._lock = threading.Lock()
        self._turns = threading.Condition()
        self._busy: set[str] = set()

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Keep other threads away from a thing."""
        with self._turns:
            self._turns.wait_for(lambda: key not in self._busy)
            self._busy.add(key)
        try:
            yield
        finally:
            with self._turns:
                self._busy.discard(key)
                self._turns.notify_all()

    def find(self, key: str) -> Entry | None:
        """Return what is known of a thing; None if nothing of it can have arrived."""
        with self._lock, self._opened(os.O_RDONLY) as file:
            if file is not None:
                self._read(file)
            return self._open_entry(key)

    def unfinished(self) -> set[str]:
        """Return what was begun, and has no line after that.

        A thing that was done and then begins anew counts: the last line tells.
        """
        with self._lock, self._opened(os.O_RDONLY) as file:
            if file is not None:
                self._read(file)
            return {key for key, entry in self._entries.items() if entry.state == "sending"}

    def begin(self, key: str, name: str) -> Entry | None:
        """Write down that a thing is about to be sent, unless it was; return what was known of it then.

        When this returns None the line is on the disk.
        """
        with self._lock, self._opened(os.O_RDWR | os.O_CREAT) as file:
            assert file is not None  # noqa: S101 - it is made
            self._read(file)
            if (known := self._open_entry(key)) is not None:
                return known
            self._write(file, self._entry(key, "sending", name=name))
            return None

    def end(self, key: str, state: State, id_: str | None = None) -> None:
        """Write down what became of a thing that was about to be sent."""
        with self._lock, self._opened(os.O_RDWR | os.O_CREAT) as file:
            assert file is not None  # noqa: S101 - it is made
            self._read(file)
            begun = self._entries.get(key)
            self._write(file, self._entry(key, state, name=begun.name if begun else None, id_=id_))

    def _entry(self, key: str, state: State, *, name: str | None, id_: str | None = None) -> Entry:
        at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Entry(key, at, self._owner, state, name, id_)

    def _open_entry(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.state in {"sending", "sent"} else None

    # The file

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int | None]:
        """Give the open file, for nobody else meanwhile; None if it is only to be read and is not there."""
        try:
            file = self._open(flags)
            if file is None:
                yield None
                return
            try:
                fcntl.flock(file, fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX)
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise Stop(
                f"ledger_path: {self.path} can't be used: {error.strerror or error}. Without it nobody knows "
                "what was sent before, so nothing is."
            ) from None

    def _open(self, flags: int) -> int | None:
        if flags == os.O_RDONLY:
            return os.open(self._file, flags) if self._file.exists() else None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = not self._file.exists()
        file = os.open(self._file, flags, 0o600)
        if new:
            folder = os.open(self._file.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        return file

    def _read(self, file: int) -> None:
        """Take in what this run or another one has added."""
        size = os.fstat(file).st_size
        if size < self._read_to:
            # Somebody took lines out.
            self._entries.clear()
            self._read_to = self._lines = 0
        data = os.pread(file, size - self._read_to, self._read_to)
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._lines += 1
            if line.strip():
                self._take(line, self._lines)
        self._read_to += len(whole)
        # Whoever edits the book may leave its last line without an end; it counts all the same.
        rest = data[len(whole) :]
        self._unended = rest if _is_json(rest) else b""
        if self._unended:
            self._take(rest, self._lines + 1)

    def _take(self, line: bytes, number: int) -> None:
        try:
            entry = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Stop(
                f"ledger_path: line {number} of {self.path} is not what it was written as ({error}). "
                "Mend it or take it out; nothing is sent before."
            ) from None
        if entry.owner == self._owner:
            self._entries[entry.key] = entry

    def _write(self, file: int, entry: Entry) -> None:
        """Add a line, and wait until it is on the disk."""
        # A line that a dying run left unfinished is written over: nothing was sent after it.
        os.ftruncate(file, self._read_to + len(self._unended))
        line = _encode(entry) + b"\n"
        added = b"\n" + line if self._unended else line
        os.lseek(file, 0, os.SEEK_END)
        if os.write(file, added) < len(added):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
        self._lines += 2 if self._unended else 1
        self._take(line, self._lines)
        self._read_to += len(self._unended) + len(added)
        self._unended = b""


def _is_json(line: bytes) -> bool:
    """Whether a line is all there; one that breaks off is no JSON."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


_decode = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.Encoder().encode
