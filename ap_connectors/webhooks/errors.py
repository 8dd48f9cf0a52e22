"""Why a delivery is refused: the status and the message that its sender gets."""

from __future__ import annotations

from ap_connectors.core.errors import ApError


class Refused(ApError):
    """A delivery is not accepted; nothing of it is stored.

    Args:
        status: of the answer. Vic.ai tries again after 401, 403 and 5XX, SNS after 5XX; they give up after any other.
        outcome: one word for metrics and log.
        message: for the sender: what is wrong, and nothing that would help to forge a delivery.
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
    """Return the refusal of a delivery that is not at fault: the sender should send it again."""
    return Refused(503, "unavailable", message, detail=detail, retry_after=retry_after)
