"""What the commands show: subscriptions, events and runs, as lines and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.database import EVENTS
from ap_connectors.webhooks.inbox import Inbox, Pin
from ap_connectors.webhooks.rules import Rule, matching
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, UNPLANNED, WAITING, Run, Runs, now_ms
from ap_connectors.webhooks.settings import Settings

if TYPE_CHECKING:
    from ap_connectors.webhooks.subscriptions import Subscription

WARN_DAYS = 14
NO_RULE = "no rule"

Shown = tuple[dict[str, Any], list[str], bool]


# Subscriptions


def subscription(found: Subscription) -> list[str]:
    """What Vic.ai says about the subscription."""
    left = f"in {found.days:.0f} days" if found.days >= 0 else f"{-found.days:.0f} days ago"
    return [
        f"vicai: {', '.join(found.events) or 'all'} to {found.callback_url}",
        f"       until {found.expires_at} ({left})",
    ]


def vicai_status(found: Subscription | None, wanted: str | None) -> Shown:
    """As JSON, as lines, and whether all is well."""
    if found is None:
        return {"service": "vicai", "subscribed": False}, ["vicai: there is no subscription: subscribe."], False
    problems, warnings = [], []
    if found.days < 0:
        problems.append("It has expired: subscribe again.")
    elif found.days < WARN_DAYS:
        warnings.append(f"It expires in {found.days:.0f} days: subscribe again before.")
    if found.token_known is False:
        problems.append("Its token is not one that the receiver lets in: subscribe again.")
    if wanted and found.callback_url.rstrip("/") != wanted:
        problems.append(f"It is for another address than public_url ({wanted}).")
    shown = {"service": "vicai", "subscribed": True, **dataclasses.asdict(found)}
    words = [f"       {words}" for words in (*problems, *warnings)]
    return shown | {"problems": problems, "warnings": warnings}, subscription(found) + words, not problems


def ivesk_status(pins: Sequence[Pin], named: Sequence[str]) -> Shown:
    """As JSON, as lines, and whether all is well; Įvesk itself cannot be asked."""
    shown = {"service": "ivesk", "topics": [dataclasses.asdict(pin) for pin in pins], "ivesk_topics": list(named)}
    if not pins:
        return shown, ["ivesk: no subscription was confirmed here: subscribe while the receiver serves."], False
    lines = [
        f"ivesk: {pin.topic} " + (f"confirmed at {pin.confirmed_at}" if pin.confirmed_at else "not confirmed yet")
        for pin in pins
    ]
    return shown, lines, all(pin.confirmed_at for pin in pins)


# Events and runs


def events(settings: Settings, *, everything: bool, days: float) -> tuple[dict[str, Any], list[str]]:
    """The events of so many days with what became of them; unless all are wanted, those that are not acted on."""
    with opened(settings) as (inbox, runs):
        since = instants.text(now_ms() - int(days * 86_400_000))
        covering = runs.covering(since)
        found = []
        for row in rows_since(inbox, since):
            status = _worst([status for _, _, status, _ in standing(settings.rules, row, covering)])
            if everything or status not in {DONE, NO_RULE}:
                found.append(
                    {
                        "id": row.id,
                        "event": f"{row.service}.{row.kind}",
                        "company": row.company,
                        "request_id": row.request_id,
                        "received_at": row.received_at,
                        "deliveries": row.deliveries,
                        "status": status,
                        "runs": [run.id for run in covering.get(row.id, ())],
                    }
                )
    names = ("id", "received_at", "event", "company", "status", "runs")
    return {"events": found}, table(names, found) or ["No event waits."]


def runs(settings: Settings, count: int) -> tuple[dict[str, Any], list[str]]:
    """The latest runs."""
    with opened(settings) as (_, known):
        found = [dataclasses.asdict(run) | {"events": len(known.told(run))} for run in known.latest(count)]
    names = ("id", "job", "status", "attempts", "events", "started_at", "ended_at", "exit_status", "note", "log_path")
    return {"runs": found}, table(names, found) or ["There was no run yet."]


def retry(settings: Settings, *, run_ids: Sequence[int], event_ids: Sequence[int], failed: bool) -> list[str]:
    """Let runs run again; return what to say.

    Raises:
        Stop: there is no such run or event, or no rule wants it.
    """
    said = []
    with opened(settings) as (inbox, known):
        ids = [*run_ids, *(run.id for run in known.of_status(FAILED) if failed)]
        for run_id in dict.fromkeys(ids):
            run = known.get(run_id)
            if run is None and run_id in run_ids:
                raise Stop(f"retry: there is no run {run_id}; see `ap-webhooks runs`.")
            if run is not None and not known.again(run_id):
                raise Stop(f"retry: run {run_id} is {run.status}: only what failed or waits can be run again.")
            if run is not None:
                said.append(f"Run {run_id} of {run.job} is due now.")
        for event_id in event_ids:
            event = inbox.get(event_id)
            if event is None:
                raise Stop(f"retry: there is no event {event_id}; see `ap-webhooks events --all`.")
            wanting = matching(settings.rules, event.service, event.kind, event.company, event.request_id)
            if not wanting:
                raise Stop(f"retry: no rule wants event {event_id} ({event.service}.{event.kind}).")
            for rule, request_id in wanting:
                run_id = known.queue(rule.name, request_id, [event_id])
                said.append(f"Event {event_id}: run {run_id} of {rule.name} is due now.")
    return said or ["No run has failed."]


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Inbox, Runs]]:
    """The inbox and its runs."""
    inbox = Inbox(settings.receiving.inbox)
    try:
        yield inbox, Runs(inbox)
    finally:
        inbox.close()


def rows_since(inbox: Inbox, since: str) -> list[sa.Row[Any]]:
    """The events that came since an instant, without their bodies.

    Raises:
        Outage: the inbox cannot be read.
    """
    names = ("id", "service", "kind", "company", "request_id", "received_at", "deliveries")
    wanted = sa.select(*(EVENTS.c[name] for name in names)).where(EVENTS.c.received_at >= since).order_by(EVENTS.c.id)
    try:
        with inbox.engine.execution_options(reads=True).connect() as connection:
            return list(connection.execute(wanted))
    except sa.exc.SQLAlchemyError as error:
        raise Outage(f"The inbox {inbox.name} cannot be read: {getattr(error, 'orig', None) or error}") from None


def standing(
    rules: Sequence[Rule], event: sa.Row[Any], covering: Mapping[int, Sequence[Run]]
) -> list[tuple[Rule, str | None, str, Run | None]]:
    """How far each rule has come with an event: the rule, the request id, the status, and the run that it is of."""
    found: list[tuple[Rule, str | None, str, Run | None]] = []
    for rule, request_id in matching(rules, event.service, event.kind, event.company, event.request_id):
        by_status = {run.status: run for run in covering.get(event.id, ()) if run.job == rule.name}
        status = next((one for one in (DONE, RUNNING, WAITING, FAILED) if one in by_status), UNPLANNED)
        found.append((rule, request_id, status, by_status.get(status)))
    return found


def _worst(statuses: Sequence[str]) -> str:
    return next((one for one in (FAILED, UNPLANNED, WAITING, RUNNING, DONE) if one in statuses), NO_RULE)


def table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows in columns; nothing where there are none."""
    if not rows:
        return []
    texts = [list(names)] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in texts) for i in range(len(names))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in texts]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "" if value is None else " ".join(str(value).split())
