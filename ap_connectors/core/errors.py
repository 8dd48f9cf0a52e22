"""Errors, named by what to do next.

Every message is written for the person who reads the log: what is wrong, where, and what to do. It never contains a
secret: the HTTP client redacts what it quotes from a service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class ApError(Exception):
    """An error that explains itself. Catch a subclass to act on it; print it to explain it."""


class Reject(ApError):
    """Leave this one record or file out, say why, and go on with the rest.

    Args:
        message: what is wrong and what to do, for a person. It may be reworded; programs go by `code`.
        code: the stable name of the reason, a key of `core.reject_codes.CODES`.
        params: what the sentence speaks of, by name: text, whole numbers, or lists of them. Amounts are text.
    """

    def __init__(self, message: str, code: str, **params: Any) -> None:
        super().__init__(message)
        self.code = code
        self.params = params
        self.in_part = False
        """Whether this is a part only, and the rest of its record is loaded."""

    @classmethod
    def several(cls, rejects: Sequence[Reject], *, joint: str = " ") -> Reject:
        """Return one reject for several reasons, and the only one as it is.

        Args:
            rejects: at least one; a `several` among them counts as its parts.
            joint: stands between their sentences; with another than a blank they lose their full stops but the last.
        """
        if len(rejects) == 1:
            return rejects[0]
        sentences = [str(reject) if joint == " " else str(reject).rstrip(".") for reject in rejects]
        reasons: list[Any] = []
        for reject in rejects:
            reasons += reject.params["reasons"] if reject.code == "several" else [reject.shown(str)]
        return cls(joint.join(sentences) + ("" if joint == " " else "."), "several", reasons=reasons)

    def shown(self, change: Callable[[str], str]) -> dict[str, Any]:
        """Return ``{"code": ..., "params": ..., "reason": ...}``, every text in it changed (redacted, say)."""
        return {"code": self.code, "params": _changed(self.params, change), "reason": change(str(self))}


class Retry(ApError):
    """A transient error: try the same call again.

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


class Unauthorized(Stop):
    """The credentials are not accepted, so nothing else can be asked."""


class Outage(Stop):
    """End the run with status 1: the service or the network failed for longer than the retry policy allows.

    Nothing needs to be changed; the next run goes on from the last STATE.
    """


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _changed(member, change) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(element, change) for element in value]
    return value
