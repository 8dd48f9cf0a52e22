"""Sending things exactly once to a service that can neither look them up nor take them twice: a ledger tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ap_http import ending
from ap_http.errors import ApError, Reject
from ap_singer.ledger import Entry, Ledger
from ap_singer.loading import UNCHANGED, Outcome


class Doubt:
    """Whether a call may have been done though it failed. The door asks (`look`) as soon as that is so."""

    def __init__(self, refusal: Callable[[str], Reject]) -> None:
        self.exists = False
        self._refusal = refusal

    def note(self) -> None:
        """Take note, and let the call be repeated: for calls that may be."""
        self.exists = True

    def refuse(self) -> NoReturn:
        """Take note, and have the call repeated by nobody.

        Raises:
            Reject: in words for whoever has to look.
        """
        self.exists = True
        raise self._refusal("a moment ago")


class Once:
    """Sends each thing once, in as many runs as may be.

    Args:
        ledger: the book of what was sent.
        service: its name, for messages.
    """

    def __init__(self, ledger: Ledger, service: str) -> None:
        self._ledger, self._service = ledger, service

    def known(self, key: str, name: str) -> Outcome | None:
        """Return the outcome if a thing was sent before; None if nothing of it can have arrived.

        Raises:
            Reject: it may have.
        """
        return self._judged(self._ledger.find(key), key, name)

    def send(
        self, key: str, name: str, call: Callable[[Doubt], str | None], *, before: Callable[[], None] | None = None
    ) -> Outcome:
        """Send a thing, unless it was sent.

        Args:
            key: tells it from others.
            name: what a person calls it.
            call: sends it, and returns what the service calls it; it tells the doubt when it may have arrived.
            before: what can be done beforehand, with nothing sent yet.

        Raises:
            Reject: the service does not take it, or it may have arrived before. Outage: the service failed.
        """
        with self._ledger.turn(key):
            if before is not None:
                if (known := self.known(key, name)) is not None:
                    return known
                before()
            known = self._judged(self._ledger.begin(key, name), key, name)
            if known is not None:
                return known
            doubt = Doubt(lambda at: self._may_have_arrived(key, name, at))
            try:
                id_ = call(doubt)
            except Reject:
                if doubt.exists:
                    # Whatever is refused now, what was sent before may be there.
                    raise self._may_have_arrived(key, name, "a moment ago") from None
                self._ledger.end(key, "refused")
                raise
            except ApError:
                # When the process is ending the door does not ask any more, so nothing is sure then.
                if not doubt.exists and not ending.is_near():
                    self._ledger.end(key, "unsent")
                raise
            self._ledger.end(key, "sent", id_)
            return Outcome("created")

    def _judged(self, known: Entry | None, key: str, name: str) -> Outcome | None:
        if known is None:
            return None
        if known.state == "sent":
            return UNCHANGED
        raise self._may_have_arrived(key, name, known.at)

    def _may_have_arrived(self, key: str, name: str, at: str) -> Reject:
        return Reject(
            f"{name} may be at {self._service}: it was sent ({at}), and the answer was lost. {self._service} has no "
            f'call that tells, so look there. If it is there, write "sent" for "sending" into its last line in '
            f"{self._ledger.path} (key {key}); if not, take that line out. Then load this record again."
        )
