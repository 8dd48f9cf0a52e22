"""The file with the tokens and secrets that `subscribe` creates, and that the receiver accepts."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop
from ap_connectors.core.files import replace


class Token(msgspec.Struct, frozen=True):
    """A bearer token of a subscription of Vic.ai's; instants are UTC.

    Args:
        token: itself.
        made_at: when it was made.
        expires_at: until when it is accepted; None: for as long as the subscription lasts.
        subscription: id of the company whose subscription (v2) it belongs to; empty = that of the account.
    """

    token: str
    made_at: str
    expires_at: str | None
    subscription: str = ""


class Secret(msgspec.Struct, frozen=True):
    """A value of `secret` in the target URL of Įvesk's subscription; it never expires."""

    secret: str
    made_at: str


class Tokens(msgspec.Struct, frozen=True):
    """All tokens and secrets, the newest first."""

    vicai: tuple[Token, ...] = ()
    ivesk: tuple[Secret, ...] = ()

    def live(self) -> Tokens:
        """Return those that are accepted: without an end, not expired, or the newest of the account's subscription.

        A service that knows no expiry any more still shows a token that was made when it did.
        """
        now = time.time() * 1000
        newest = next((one for one in self.vicai if not one.subscription), None)
        return Tokens(
            tuple(
                one
                for one in self.vicai
                if one is newest or one.expires_at is None or instants.milliseconds(one.expires_at) > now
            ),
            self.ivesk,
        )


class TokenFile:
    """A file that only its owner can read (mode 0600).

    Args:
        path: where it is; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Tokens:
        """Return the tokens; no tokens if the file does not exist.

        Raises:
            Stop: it cannot be read.
        """
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Tokens)
            for one in found.vicai:
                if one.expires_at is not None:
                    instants.milliseconds(one.expires_at)
        except FileNotFoundError:
            return Tokens()
        except OSError as error:
            raise Stop(f"token_file: {self.path} cannot be read: {error.strerror}.") from None
        except (msgspec.DecodeError, ValueError):
            raise Stop(f"token_file: {self.path} is damaged. Restore it, or remove it and subscribe again.") from None
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the file until the context ends.

        Raises:
            Stop: the lock file cannot be created.
        """
        try:
            descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Stop(f"token_file: {self.path.parent} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def write(self, tokens: Tokens) -> None:
        """Replace the file, durably, as a whole or not at all.

        Raises:
            Stop: it cannot be written.
        """
        content = msgspec.json.format(msgspec.json.encode(tokens), indent=2) + b"\n"
        try:
            replace(self.path, content)
        except OSError as error:
            raise Stop(f"token_file: {self.path} cannot be written: {error.strerror}.") from None

    def version(self) -> tuple[int, int]:
        """Return a value that differs after the file was replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino
