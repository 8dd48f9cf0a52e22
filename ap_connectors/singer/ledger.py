"""Exactly-once delivery to a service that can neither look a thing up nor take it twice: a ledger of what was sent."""

from __future__ import annotations

import codecs
import errno
import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from ap_connectors.core import files
from ap_connectors.core.errors import ApError, Reject, Stop
from ap_connectors.http import shutdown
from ap_connectors.singer.sink import UNCHANGED, Outcome

_log = logging.getLogger(__name__)

State = Literal["sending", "sent", "refused", "unsent", "done"]


class Entry(msgspec.Struct):
    """One line: what happened to a thing that is sent once.

    "sending" is written before a call, and one of the others after it: "sent" (the service has it, under `id`),
    "refused" (the service does not take it), "unsent" (it did not arrive), "done" (it may be wanted again, and begins
    anew then). A "sending" without a later line may have arrived.

    Args:
        key: what is sent: the SHA-256 of a document, say.
        at: when the line was written (an instant, UTC).
        owner: whose account it concerns.
        state: what happened.
        name: what a person calls it.
        id: what the service calls it.
        company: what a person calls the account.
        fields: what was sent, where that matters later: the fields with hashes of their values.
    """

    key: str
    at: str
    owner: str
    state: State
    name: str | None = None
    id: str | None = None
    company: str | None = None
    fields: str | None = None


class Ledger:
    """A file of JSON lines; it may serve several accounts, and several runs at once.

    Args:
        path: of the file; it is created with the first line.
        owner: whose lines count: identifies an account of the service, and is not a secret.
        company: what a person calls that account.
        alike: whether a line's account may be this one under a former key; what that sent is known, too.

    Raises:
        Stop: the file can't be read or written, or is damaged (by every method).
    """

    def __init__(
        self, path: str, owner: str, company: str | None = None, *, alike: Callable[[Entry], bool] | None = None
    ) -> None:
        self.path, self.owner = path, owner
        self._file, self._company, self._alike = Path(path).expanduser(), company, alike
        self._entries: dict[str, Entry] = {}
        self._others: dict[str, dict[str, Entry]] = {}
        self._read_to = self._lines = 0
        self._unended = b""
        self._lock = threading.Lock()
        self._turns = threading.Condition()
        self._busy: set[str] = set()

    def of_company(self) -> Ledger:
        """Return the same ledger that also knows what was sent with other credentials of a company of this name."""
        own = self._company
        return Ledger(self.path, self.owner, own, alike=lambda entry: own is not None and entry.company == own)

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
        """Return the entry of a thing, maybe of an owner alike; None if nothing of it can have arrived."""
        with self._lock, self._opened(os.O_RDONLY) as file:
            if file is not None:
                self._read(file)
            return self._open_entry(key)

    def unfinished(self) -> set[str]:
        """Return the keys whose last line says that they are being sent."""
        with self._lock, self._opened(os.O_RDONLY) as file:
            if file is not None:
                self._read(file)
            return {key for key, entry in self._entries.items() if entry.state == "sending"}

    def begin(self, key: str, name: str) -> Entry | None:
        """Record that a thing is about to be sent, unless it was sent before; then return its entry.

        When this returns None the line is on the disk.
        """
        with self._lock, self._opened(os.O_RDWR | os.O_CREAT) as file:
            assert file is not None  # noqa: S101 - it is made
            self._read(file)
            if (known := self._open_entry(key)) is not None:
                return known
            self._write(file, self._entry(key, "sending", name=name))
            return None

    def end(
        self, key: str, state: State, id_: str | None = None, *, fields: str | None = None, waits: bool = True
    ) -> None:
        """Record what became of a thing that was about to be sent.

        Args:
            key: of the thing.
            state: what became of it.
            id_: what the service calls it.
            fields: what was sent.
            waits: whether the line is to be on the disk afterwards.
        """
        with self._lock, self._opened(os.O_RDWR | os.O_CREAT) as file:
            assert file is not None  # noqa: S101 - it is made
            self._read(file)
            begun = self._entries.get(key)
            entry = self._entry(key, state, name=begun.name if begun else None, id_=id_, fields=fields)
            self._write(file, entry, waits=waits)

    def _entry(
        self, key: str, state: State, *, name: str | None, id_: str | None = None, fields: str | None = None
    ) -> Entry:
        at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Entry(key, at, self.owner, state, name, id_, self._company, fields)

    def _open_entry(self, key: str) -> Entry | None:
        found = (entries.get(key) for entries in (self._entries, *self._others.values()))
        return next((entry for entry in found if entry is not None and entry.state in {"sending", "sent"}), None)

    # The file

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int | None]:
        """Provide the open file, locked; None if it is only to be read and does not exist."""
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
                f"ledger_path: {self.path} can't be used: {error.strerror or error}. Without it, what was sent before "
                "is unknown, so nothing is sent."
            ) from None

    def _open(self, flags: int) -> int | None:
        if flags == os.O_RDONLY:
            return os.open(self._file, flags) if self._file.exists() else None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = not self._file.exists()
        files.check_link(self._file)
        file = os.open(self._file, flags, 0o600)
        if new:
            folder = os.open(self._file.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        return file

    def _read(self, file: int) -> None:
        """Read what this run or another one has added."""
        size = os.fstat(file).st_size
        if size < self._read_to:
            # A person took lines out.
            self._entries.clear()
            self._others.clear()
            self._read_to = self._lines = 0
        data = os.pread(file, size - self._read_to, self._read_to)
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._lines += 1
            if line.strip():
                self._take(line, self._lines)
        self._read_to += len(whole)
        # A person who edits the file may leave its last line without an end; it counts all the same.
        rest = data[len(whole) :]
        is_unfinished = not rest.strip() or (len(rest) < _LONGEST and _UNFINISHED.fullmatch(rest) is not None)
        self._unended = b"" if is_unfinished else rest
        if self._unended:
            self._take(rest, self._lines + 1)

    def _take(self, line: bytes, number: int) -> None:
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            entry = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Stop(
                f"ledger_path: line {number} of {self.path} is damaged ({error}). Repair it, or restore a copy of "
                "the file; until then nothing is sent, for what was sent before is unknown."
            ) from None
        if entry.owner == self.owner:
            self._entries[entry.key] = entry
        elif self._alike is not None and self._alike(entry):
            self._others.setdefault(entry.owner, {})[entry.key] = entry

    def _keep_copy(self, content: bytes) -> None:
        """Keep the file as it is, before anything of it is cut."""
        path, descriptor = files.create(self._file.with_name(f"{self._file.stem}-copy{self._file.suffix}"))
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(content)
            copy.flush()
            os.fsync(descriptor)
        _log.warning(
            "ledger_path: the last line of %s breaks off, as after a kill. It is taken out; a copy of the file is %s.",
            self.path,
            path,
        )

    def _write(self, file: int, entry: Entry, *, waits: bool = True) -> None:
        """Add a line, and wait until it is on the disk."""
        whole = self._read_to + len(self._unended)
        if unfinished := os.pread(file, _LONGEST, whole):
            # A killed run left it: nothing was sent after it.
            if unfinished.strip():
                self._keep_copy(os.pread(file, whole + len(unfinished), 0))
            os.ftruncate(file, whole)
        line = _encode(entry) + b"\n"
        added = b"\n" + line if self._unended else line
        os.lseek(file, 0, os.SEEK_END)
        if os.write(file, added) < len(added):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if waits:
            os.fsync(file)
        self._lines += 2 if self._unended else 1
        self._take(line, self._lines)
        self._read_to += len(self._unended) + len(added)
        self._unended = b""


_LONGEST = 64 * 1024
"""Bytes of a line, at most; a longer one is not ours."""
_STRING = rb'"(?:[^"\\\x00-\x1f]|\\.)*'
_UNFINISHED = re.compile(
    rb'\{(?:"\w+":(?:%b"|null),)*(?:"(?:\w*|\w+"|\w+":(?:%b(?:\\|")?|n|nu|nul|null)?))?' % (_STRING, _STRING)
)
"""A line of ours that breaks off before its last brace."""

_decode = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.Encoder().encode


# Sending


class DeliveryUnknown:
    """Whether a failed call may have succeeded at the service. Its methods are for the client's `find_done`."""

    def __init__(self, refusal: Callable[[str], Reject]) -> None:
        self.exists = False
        self._refusal = refusal

    def note(self) -> None:
        """Remember it, and let the client repeat the call."""
        self.exists = True

    def refuse(self) -> NoReturn:
        """Remember it, and keep the client from repeating the call.

        Raises:
            Reject: it tells a person where to look.
        """
        self.exists = True
        raise self._refusal("a moment ago")


class SendOnce:
    """Sends each thing once, however many runs there are.

    Args:
        ledger: what was sent.
        service: its name, for messages.
    """

    def __init__(self, ledger: Ledger, service: str) -> None:
        self._ledger, self._service = ledger, service

    def known(self, key: str, name: str) -> Outcome | None:
        """Return the outcome if a thing was sent before; None if nothing of it can have arrived.

        Raises:
            Reject: it may have arrived, or was sent with another key.
        """
        return self._outcome(self._ledger.find(key), key, name)

    def send(
        self,
        key: str,
        name: str,
        call: Callable[[DeliveryUnknown], str | None],
        *,
        before: Callable[[], None] | None = None,
    ) -> Outcome:
        """Send a thing, unless it was sent.

        Args:
            key: identifies it.
            name: what a person calls it.
            call: sends it, and returns what the service calls it; it tells `DeliveryUnknown` if it may have arrived.
            before: what can be done beforehand, with nothing sent yet.

        Raises:
            Reject: the service does not take it, it may have arrived before, or was sent with another key.
            Outage: the service failed.
        """
        with self._ledger.turn(key):
            if before is not None:
                if (known := self.known(key, name)) is not None:
                    return known
                before()
            known = self._outcome(self._ledger.begin(key, name), key, name)
            if known is not None:
                return known
            delivery = DeliveryUnknown(lambda at: self._may_have_arrived(key, name, at))
            try:
                id_ = call(delivery)
            except Reject:
                if delivery.exists:
                    # Whatever the service refuses now, what was sent before may have arrived.
                    raise self._may_have_arrived(key, name, "a moment ago") from None
                self._ledger.end(key, "refused")
                raise
            except ApError:
                # When the process is ending the client no longer calls `find_done`, so nothing is certain then.
                if not delivery.exists and not shutdown.is_requested():
                    self._ledger.end(key, "unsent")
                raise
            self._ledger.end(key, "sent", id_)
            return Outcome("created")

    def _outcome(self, known: Entry | None, key: str, name: str) -> Outcome | None:
        if known is None:
            return None
        if known.owner != self._ledger.owner:
            raise self._of_another_key(known, name)
        if known.state == "sent":
            return UNCHANGED
        raise self._may_have_arrived(key, name, known.at)

    def _may_have_arrived(self, key: str, name: str, at: str) -> Reject:
        return Reject(
            f"{name} may be at {self._service}: it was sent ({at}), and the answer was lost. {self._service} has no "
            f'call that tells, so look there. If it is there, write "sent" for "sending" into its last line in '
            f"{self._ledger.path} (key {key}); if not, take that line out. Then load this record again.",
            "delivery_unknown",
            name=name,
            service=self._service,
            at=at,
            ledger=self._ledger.path,
            key=key,
        )

    def _of_another_key(self, known: Entry, name: str) -> Reject:
        own, sent = self._ledger.owner, "was" if known.state == "sent" else "may have been"
        return Reject(
            f"{name} {sent} sent to {self._service} with another key ({known.at}), and is not sent twice. If the key "
            f'was renewed, write "{own}" for "{known.owner}" (owner) in {self._ledger.path}, and load this record '
            "again. If the key is another company's, give each company a ledger of its own (ledger_path).",
            "sent_with_another_key",
            name=name,
            service=self._service,
            at=known.at,
            ledger=self._ledger.path,
            key=known.key,
            owner=own,
            other=known.owner,
        )
