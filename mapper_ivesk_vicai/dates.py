"""When a document was issued, is due, and was exported."""

from __future__ import annotations

import datetime

from ap_connectors.core import instants
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from mapper_ivesk_vicai.fields import code, number_or_words


def check_due(issued: str | None, due: str | None) -> None:
    """Check that an invoice is not due before it was issued: one of the dates is misread, and is paid by or booked by.

    Raises:
        Reject: it is.
    """
    first, second = _date(issued), _date(due)
    if first is not None and second is not None and second < first:
        raise Reject(
            f"It is due on {due}, before the day it was issued ({issued}): correct one of the dates.",
            "due_before_date",
            due=due,
            date=issued,
        )


def _date(stated: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat((stated or "")[:10])
    except ValueError:
        return None  # what is wrong with it is told where it is written


def exported(document: JsonObject) -> str:
    """Return when ivesk last changed the document: UTC, and without a zone, as Vic.ai wants an ERP's own time.

    Raises:
        Reject: it does not say.
    """
    stated = code(document, "exportedat") or code(document, "digitizedat")
    if stated is None:
        raise Reject("exportedat is missing (and digitizedat).", "missing_field", fields=["exportedat"])
    try:
        moment = instants.milliseconds(stated)
    except ValueError:
        raise Reject(
            f"exportedat is not a time such as 2026-01-31T10:11:12.000Z: {quoted(stated)}.",
            "not_a_time",
            field="exportedat",
            value=quoted(stated),
        ) from None
    return stated[:-1] if stated.endswith("Z") else instants.LOCAL.text(moment)


def stated_export(document: JsonObject) -> str | None:
    """Return what the document says of when it was exported, or else digitised: it tells its states apart."""
    stated = (document.get(name) for name in ("exportedat", "digitizedat"))
    return next((one for one in stated if isinstance(one, str) and one.strip()), None)


def payment_days(document: JsonObject, *, least: int) -> int | None:
    """Return the term in days; None if it is not a whole number of at least `least`. The due date says it as well."""
    days = number_or_words(document, "paymentterm")
    return int(days) if days is not None and days == days.to_integral_value() and days >= least else None
