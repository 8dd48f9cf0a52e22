"""Why a delivery is not taken, and what the sender is told."""

from __future__ import annotations

from ap_connectors.core.errors import Reject


class Refused(Reject):
    """A delivery is not taken; nothing of it is stored.

    Args:
        status: of the answer. Vic tries again after 401, 403 and 5XX, SNS after 5XX; any other is the last word.
        outcome: one word for metrics and log.
        message: for the sender: what is wrong, and nothing that would help a forger.
        detail: for our log only: what to do about it.
        retry_after: seconds that the sender is asked to wait, or None.
    """

    def __init__(
        self, status: int, outcome: str, message: str, *, detail: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.outcome = outcome
        self.detail = detail
        self.retry_after = retry_after


def unavailable(message: str, *, detail: str = "", retry_after: int = 5) -> Refused:
    """Nobody's fault on the sender's side: it shall come again."""
    return Refused(503, "unavailable", message, detail=detail, retry_after=retry_after)
