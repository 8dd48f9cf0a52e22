"""Errors, named by what to do next.

Every message is written for the person who reads the log: what is wrong, where, and what to do. None of them
holds a secret; the door redacts what it quotes from a service.
"""

from __future__ import annotations


class ApError(Exception):
    """Something went wrong that we understand. Catch a subclass to act on it; print it to explain it."""


class Reject(ApError):
    """Leave this one record or file out, say why, and go on with the rest."""


class Retry(ApError):
    """Passing trouble: try the same call again.

    Args:
        message: what happened.
        after: seconds that the service asked us to wait, or None.
        tries: how often it is worth trying in all when fewer than usual, or None.
    """

    def __init__(self, message: str, *, after: float | None = None, tries: int | None = None) -> None:
        super().__init__(message)
        self.after = after
        self.tries = tries


class Stop(ApError):
    """End the run with status 1: a setting, a credential or the input must be changed first."""


class Outage(Stop):
    """End the run with status 1: the service or the network failed for longer than our patience.

    Nothing needs to be changed; the next run goes on from the last STATE.
    """
