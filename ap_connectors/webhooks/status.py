"""What the commands show of subscriptions, events and runs, as lines for people and as JSON; and `retry`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop
from ap_connectors.webhooks import event_kinds
from ap_connectors.webhooks.database import now_ms
from ap_connectors.webhooks.inbox import AllowedTopic, EventSummary, Inbox
from ap_connectors.webhooks.rules import Rule, matching, shown
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, WAITING, Run, Runs, opened
from ap_connectors.webhooks.settings import Settings

if TYPE_CHECKING:
    from ap_connectors.webhooks.subscriptions import Subscription

WARN_DAYS = 14
UNPLANNED = "not planned"
NO_RULE = "no rule"

Shown = tuple[dict[str, Any], list[str], bool]


class RuleStatus(NamedTuple):
    """How far a rule has come with an event.

    Args:
        rule: the rule.
        request_id: the request id of the run, where the rule has a run for each.
        status: of the run that has come furthest.
        run: that run, or None.
    """

    rule: Rule
    request_id: str | None
    status: str
    run: Run | None


def rule_statuses(
    rules: Sequence[Rule], event: EventSummary, runs_by_event: Mapping[int, Sequence[Run]]
) -> list[RuleStatus]:
    """Return how far each rule that wants an event has come with it."""
    found: list[RuleStatus] = []
    for rule, request_id in matching(rules, event):
        by_status = {run.status: run for run in runs_by_event.get(event.id, ()) if run.job == rule.name}
        status = next((one for one in (DONE, RUNNING, WAITING, FAILED) if one in by_status), UNPLANNED)
        found.append(RuleStatus(rule, request_id, status, by_status.get(status)))
    return found


# Subscriptions


def subscription(found: Subscription) -> list[str]:
    """Describe Vic.ai's subscription in lines."""
    until = "without an end"
    if found.days is not None:
        left = f"in {found.days:.0f} days" if found.days >= 0 else f"{-found.days:.0f} days ago"
        until = f"until {found.expires_at} ({left})"
    return [f"vicai: {', '.join(found.events) or 'all'} to {found.callback_url}", f"       {until}"]


def vicai_status(found: Subscription | None, wanted: str | None, rules: Sequence[Rule] = ()) -> Shown:
    """Return the state of Vic.ai's subscription as JSON, as lines, and whether it is good."""
    if found is None:
        lines = ["vicai: there is no subscription: run `ap-webhooks subscribe vicai`."]
        return {"service": "vicai", "subscribed": False}, lines, False
    problems, warnings = [], []
    if found.days is not None and found.days < 0:
        problems.append("It has expired: subscribe again.")
    elif found.days is not None and found.days < WARN_DAYS:
        warnings.append(f"It expires in {found.days:.0f} days: subscribe again before then.")
    if found.token_known is False:
        problems.append("Its token is not one that the receiver accepts: subscribe again.")
    if wanted and found.callback_url.rstrip("/") != wanted:
        problems.append(f"It calls another address than public_url ({wanted}): subscribe again, or correct public_url.")
    if unmet := _not_subscribed(found.events, rules):
        warnings.append(f"Rules want {', '.join(unmet)}, which it does not name: add it to `subscribe vicai --events`.")
    shown = {"service": "vicai", "subscribed": True, **dataclasses.asdict(found)}
    lines = [*subscription(found), *(f"       {line}" for line in (*problems, *warnings))]
    return shown | {"problems": problems, "warnings": warnings}, lines, not problems


def _not_subscribed(events: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """Return the events of Vic.ai's that rules name and that a subscription does not send."""
    if not events or "all" in events:
        return []
    named = dict.fromkeys(name for rule in rules for name in rule.on if name.startswith("vicai.") and name != "vicai.*")
    return [name for name in named if not any(event_kinds.is_wanted("vicai", event, {name}) for event in events)]


def companies(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Return the companies' subscriptions (v2) as lines, and whether all are there."""
    lines = []
    for one in found:
        events = "there is no subscription any more" if one["events"] is None else ", ".join(one["events"])
        lines.append(f"vicai: {one['company']}: {events}")
    return lines, all(one["events"] is not None for one in found)


def ivesk_status(topics: Sequence[AllowedTopic], configured: Sequence[str]) -> Shown:
    """Return the topics of Įvesk's subscriptions as JSON, as lines, and whether all is good; Įvesk cannot be asked."""
    shown = {
        "service": "ivesk",
        "topics": [dataclasses.asdict(topic) for topic in topics],
        "ivesk_topics": list(configured),
    }
    if not topics:
        return shown, ["ivesk: no subscription was confirmed here: subscribe while the receiver is running."], False
    lines = [
        f"ivesk: {topic.topic} " + (f"confirmed at {topic.confirmed_at}" if topic.confirmed_at else "not confirmed yet")
        for topic in topics
    ]
    return shown, lines, all(topic.confirmed_at for topic in topics)


# Events and runs


def events(settings: Settings, *, everything: bool, days: float) -> tuple[dict[str, Any], list[str]]:
    """Return the events of the last days with their status; unless `everything`, only those not processed yet."""
    with opened(settings.inbox) as (inbox, runs):
        since = instants.text(now_ms() - int(days * 86_400_000))
        by_event = runs.by_event(since)
        found = []
        for event in inbox.since(since):
            status = worst(settings.rules, event, by_event)
            if everything or status not in {DONE, NO_RULE}:
                found.append(
                    {
                        "id": event.id,
                        "event": event.name,
                        "company": event.company,
                        "request_id": event.request_id,
                        "received_at": event.received_at,
                        "deliveries": event.deliveries,
                        "status": status,
                        "runs": [run.id for run in by_event.get(event.id, ())],
                    }
                )
    columns = ("id", "received_at", "event", "company", "status", "runs")
    return {"events": found}, table(columns, found) or ["No event waits."]


def runs(settings: Settings, count: int) -> tuple[dict[str, Any], list[str]]:
    """Return the latest runs."""
    with opened(settings.inbox) as (_, all_runs):
        latest = all_runs.latest(count)
        found = [
            {**dataclasses.asdict(run), "job": shown(run.job, settings.rules), "events": len(all_runs.events_of(run))}
            for run in latest
        ]
    columns = ("id", "job", "status", "attempts", "events", "started_at", "ended_at", "exit_status", "note", "log_path")
    return {"runs": found}, table(columns, found) or ["There was no run yet."]


def retry(settings: Settings, *, run_ids: Sequence[int], event_ids: Sequence[int], failed: bool) -> list[str]:
    """Make runs due again; return lines that say which.

    Raises:
        Stop: there is no such run or event, or no rule wants it.
    """
    with opened(settings.inbox) as (inbox, all_runs):
        return retried(settings.rules, inbox, all_runs, run_ids=run_ids, event_ids=event_ids, failed=failed)


def retried(
    rules: Sequence[Rule],
    inbox: Inbox,
    all_runs: Runs,
    *,
    run_ids: Sequence[int] = (),
    event_ids: Sequence[int] = (),
    failed: bool = False,
) -> list[str]:
    """Make runs of an open inbox due again, as `retry` does."""
    lines = []
    ids = [*run_ids, *(run.id for run in all_runs.of_status(FAILED) if failed)]
    for run_id in dict.fromkeys(ids):
        run = all_runs.get(run_id)
        if run is None and run_id in run_ids:
            raise Stop(f"retry: there is no run {run_id}; see `ap-webhooks runs`.")
        if run is not None and not all_runs.retry(run_id):
            raise Stop(f"retry: run {run_id} is {run.status}; only failed and waiting runs can be retried.")
        if run is not None:
            lines.append(f"Run {run_id} of {shown(run.job, rules)} is due now.")
    for event_id in event_ids:
        event = inbox.get(event_id)
        if event is None:
            raise Stop(f"retry: there is no event {event_id}; see `ap-webhooks events --all`.")
        wanting = matching(rules, event)
        if not wanting:
            raise Stop(f"retry: no rule wants event {event_id} ({event.name}).")
        for rule, request_id in wanting:
            run_id = all_runs.queue(rule.name, request_id, [event_id])
            lines.append(f"Event {event_id}: run {run_id} of {rule.shown} is due now.")
    return lines or ["No run has failed."]


def worst(rules: Sequence[Rule], event: EventSummary, runs_by_event: Mapping[int, Sequence[Run]]) -> str:
    """Return the status of the rule that has come least far with an event."""
    statuses = [one.status for one in rule_statuses(rules, event, runs_by_event)]
    return next((one for one in (FAILED, UNPLANNED, WAITING, RUNNING, DONE) if one in statuses), NO_RULE)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as lines with aligned columns; no lines if there are no rows."""
    if not rows:
        return []
    texts = [list(columns)] + [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in texts]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "" if value is None else " ".join(str(value).split())
