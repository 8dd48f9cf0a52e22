"""Vic.ai's own record of the events that it told of (live age), and what of it the inbox lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.raw_json import Record, text
from ap_connectors.vicai.client import NotFound, Refused, VicaiClient
from ap_connectors.webhooks import deliveries, errors
from ap_connectors.webhooks.event_kinds import BATCH
from ap_connectors.webhooks.inbox import Delivery, Inbox

_LOG = logging.getLogger("ap_connectors.webhooks.event_log")

_WINDOW = 30 * 86_400_000 - 60_000
"""Milliseconds of a call: the service allows 30 days."""
_OVERLAP = 1000
"""Milliseconds that calls have in common, for whether their ends are inclusive is not said."""
_SKEW = 600_000
"""Milliseconds that the service's clock may be ahead of ours."""

_DAY = 86_400_000

_WITHOUT_ID = frozenset({BATCH, *(route.name for route in deliveries.ROUTES)})
"""Kinds whose deliveries may come without the id that the record has."""

Pages = Callable[..., Iterable[list[Record]]]
Subject = tuple[str, str, str]
"""What an event is about: its kind, the id, and when a batch was processed."""


@dataclass(frozen=True)
class Recorded:
    """An event of the record.

    Args:
        id: its own.
        at: when it happened, milliseconds since 1970.
        occurred_at: the same, as the service writes it.
        about: id of the invoice, vendor, batch, order or request, if it names one.
        delivery: as it was delivered, or should have been.
        undelivered: whether the service knows that it was not.
    """

    id: str
    at: int
    occurred_at: str
    about: str | None
    delivery: Delivery
    undelivered: bool


def read(client: VicaiClient, since: int, now: int, company: str | None = None) -> list[Recorded] | None:
    """Return the events of a time, each once, the oldest first; None if the service keeps no record.

    Args:
        client: of Vic.ai.
        since: milliseconds since 1970; the service may know nothing so old.
        now: likewise.
        company: whose events, by its id of v2; None = those of the credentials' own company.

    Raises:
        Forbidden, Refused: the service refuses. Outage: it failed for too long.
    """
    pages = partial(client.pages, "listWebhookEvents")
    if company is not None:
        pages = partial(client.pages_v2, "listCompanyWebhookEventsV2", company_id=company)
    try:
        undelivered = {text(one, "id") for one in _events(pages, since, now, undelivered="true")}
        found = {text(one, "id"): one for one in _events(pages, since, now)}
    except NotFound:
        return None
    events = [_recorded(one, undelivered=id_ in undelivered) for id_, one in found.items()]
    return sorted((one for one in events if one is not None), key=lambda one: (one.at, one.id))


def missing(events: Iterable[Recorded], inbox: Inbox, since: int) -> list[Recorded]:
    """Return the events that the inbox does not have.

    An event is known by its own id. A callback and a payment batch may be delivered without it: they are also known by
    the id of the request, and else by what they say: of so many about one thing, so many were received.
    """
    by_id: dict[str, set[int]] = {}
    by_subject: dict[Subject, set[int]] = {}
    received = inbox.contents("vicai", instants.text(max(0, since - _DAY)))
    for number, (kind, request_id, key, body) in enumerate(received):
        content = deliveries.content(body)
        own = content.get("id") if "event" in content else None
        for id_ in (own, request_id, key):
            if isinstance(id_, str):
                by_id.setdefault(id_, set()).add(number)
        if own is None and (subject := _subject(kind, content)) is not None:
            by_subject.setdefault(subject, set()).add(number)
    used: set[int] = set()
    left = []
    for event in events:
        known = by_id.get(event.id) or by_id.get(event.delivery.dedup_key)
        if known:
            used |= known
        else:
            left.append(event)
    lacking = []
    for event in left:
        content = deliveries.content(event.delivery.body)
        subject = _subject(event.delivery.kind, content) if event.delivery.kind in _WITHOUT_ID else None
        unused = by_subject.get(subject, set()) - used if subject is not None else set()
        if unused:
            used.add(min(unused))
        else:
            lacking.append(event)
    return lacking


def _subject(kind: str, content: Mapping[str, Any]) -> Subject | None:
    data = content.get("data") if isinstance(content.get("data"), dict) and "event" in content else content
    assert isinstance(data, dict)  # noqa: S101 - both are
    about = deliveries.about(data)
    return None if about is None else (kind, about, str(data.get("processedAt") or ""))


def _events(pages: Pages, since: int, now: int, **query: str) -> Iterator[Record]:
    start = since
    while start <= now:
        end = min(start + _WINDOW, now + _SKEW)
        between = {"occurred_after": instants.text(start - _OVERLAP), "occurred_before": instants.text(end)}
        try:
            for page in pages(**between, **query):
                yield from page
        except Refused as refused:
            # How far back the record goes is not said.
            if start >= (last := now + _SKEW - _WINDOW):
                raise
            _LOG.warning("%s What is older than 30 days was not compared.", refused)
            end = last
        start = end


def _recorded(one: Record, *, undelivered: bool) -> Recorded | None:
    occurred_at = text(one, "occurred_at") or ""
    try:
        delivery, at = deliveries.from_record(one), instants.milliseconds(occurred_at)
    except (errors.Refused, ValueError) as error:
        _LOG.warning("vicai: the recorded event %s is left out: %s", text(one, "id"), error)
        return None
    content = deliveries.content(delivery.body)
    subject = _subject(delivery.kind, content)
    return Recorded(text(one, "id") or "", at, occurred_at, subject and subject[1], delivery, undelivered)
