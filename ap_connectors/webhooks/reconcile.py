"""Finds what was lost: compares what the services hold with the inbox, and the inbox with the runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record, text
from ap_connectors.ivesk.contract import companies
from ap_connectors.vicai.client import Forbidden, VicaiClient
from ap_connectors.webhooks import company_subscriptions, deliveries, event_kinds, event_log
from ap_connectors.webhooks.database import now_ms
from ap_connectors.webhooks.inbox import Delivery, Inbox
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, WAITING, Runs, opened
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.status import UNPLANNED, RuleStatus, rule_statuses
from ap_connectors.webhooks.subscriptions import ivesk_client, vicai_client

EXPORTED, BATCH = "ivesk.on_exported", f"vicai.{event_kinds.BATCH}"
READY = {event_kinds.POST: "READY_FOR_POST", event_kinds.TRANSFER: "READY_FOR_TRANSFER"}
"""The state of an invoice between a click in Vic.ai and our answer, by the event of the click."""
STATES = READY | {event_kinds.BEFORE[kind]: state for kind, state in READY.items()}
"""The same, also by the callback of the click."""

NO_EVENT, NOT_PROCESSED, NOT_SUBSCRIBED = "no event", "not acted on", "not subscribed"
"""What can be missing; the values are part of the JSON report."""

_TITLES = {
    NOT_SUBSCRIBED: "without a subscription",
    NO_EVENT: "without an event",
    NOT_PROCESSED: "stored, but not covered by a finished run",
}
_DAY = 86_400_000
_USUAL_DAYS, _MOST_DAYS = 7, 60
"""How far a comparison looks back unless told; the second where the one before ended, or began to find gaps, then."""
_SKEW = 60_000
"""Milliseconds that the service's clock may be ahead of ours."""


@dataclass(frozen=True)
class Gap:
    """One thing that is missing.

    Args:
        kind: NO_EVENT, NOT_PROCESSED or NOT_SUBSCRIBED.
        event: the name of the event: `ivesk.on_exported`.
        key: id of the document, invoice, batch or event.
        at: when it happened, in UTC.
        company: its company, if known.
        words: what is missing, in a sentence.
        run: the run that should have finished, or None.
        rule: that run's rule as everyone may see it, or None.
        job: the name that the runs of the rule are stored under, or None.
        request_id: of the event.
    """

    kind: str
    event: str
    key: str
    at: str
    company: str | None
    words: str
    run: int | None = None
    rule: str | None = None
    job: str | None = None
    request_id: str | None = None


@dataclass
class Report:
    """What was compared, and the gaps."""

    gaps: list[Gap] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    recorded: dict[str, Delivery] = field(default_factory=dict)
    """What can be stored of the gaps, by their keys: the events of Vic.ai's own record."""
    services: list[str] = field(default_factory=list)
    """Whose events were compared."""
    since: int = 0
    """Of which time (milliseconds since 1970)."""
    until: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "complete": not self.gaps,
            # Not the job: it may be a command line.
            "gaps": [{k: v for k, v in dataclasses.asdict(gap).items() if k != "job"} for gap in self.gaps],
            "compared": dict(self.compared),
            "notes": self.notes,
        }


def lines(report: Report, named: int) -> list[str]:
    """Return a report for people that names at most `named` gaps of each kind."""
    found = [f"{count} {what} compared." for what, count in sorted(report.compared.items())]
    for kind, title in _TITLES.items():
        gaps = [gap for gap in report.gaps if gap.kind == kind]
        if gaps:
            found += ["", f"{len(gaps)} {title}:"]
            found += [f"  {gap.words}" for gap in gaps[:named]]
            if len(gaps) > named:
                found.append(f"  ... and {len(gaps) - named} more (--named, --format json)")
    found += ["", *report.notes] if report.notes else []
    if report.gaps:
        last = "There are gaps: close them with --mend."
    else:
        last = "Nothing is missing." if any(report.compared.values()) else "There was nothing to compare."
    return [*found, "", last]


def compare(
    settings: Settings, services: Sequence[str], *, days: float | None, covered: Mapping[str, int] | None = None
) -> Report:
    """Look for gaps.

    Args:
        settings: all of them.
        services: `ivesk`, `vicai`; empty = those with credentials.
        days: how far to look back; None = a week, or to where the last comparison ended, or began if it found gaps.
        covered: that place of each service (milliseconds since 1970).

    Raises:
        Stop: credentials are missing or wrong. Outage: a service or the inbox cannot be read.
    """
    for service in services:
        if service not in {"ivesk", "vicai"}:
            raise Stop(f"reconcile: there is no service {service!r}; use ivesk or vicai.")
    report = Report(until=now_ms() - int(settings.grace * 1000))
    with opened(settings.inbox) as (inbox, runs):
        for service, credential in (("ivesk", "ivesk_api_key"), ("vicai", "vicai_client_id")):
            if service in services or (not services and getattr(settings, credential)):
                report.services.append(service)
            elif not services:
                report.notes.append(f"{service} was not compared: {credential} is not set.")
        report.since = _since(report, days, [at for name, at in (covered or {}).items() if name in report.services])
        comparison = _Comparison(settings, inbox, runs, report)
        for service in report.services:
            getattr(comparison, service)()
        comparison.events()
    return report


def _since(report: Report, days: float | None, covered: Sequence[int]) -> int:
    """Return from when on to compare."""
    now = now_ms()
    if days is not None:
        return now - int(days * _DAY)
    usual, reached = now - _USUAL_DAYS * _DAY, min(covered, default=now)
    since = max(min(usual, reached), now - _MOST_DAYS * _DAY)
    if since < usual - _DAY:
        report.notes.append(f"Compared from {instants.text(since)} on, as the last comparison left it.")
    if reached < since:
        left = f"--days {(now - reached) // _DAY + 1}"
        report.notes.append(f"What is from between {instants.text(reached)} and then was not compared: {left}.")
    return since


class _Comparison:
    """One comparison: its methods add to the report."""

    def __init__(self, settings: Settings, inbox: Inbox, runs: Runs, report: Report) -> None:
        self._settings, self._inbox, self._runs, self._report = settings, inbox, runs, report
        self._since, self._until = report.since, report.until
        self._coming: dict[str, set[str]] = {}
        _, before = inbox.purged()
        self._purged = instants.milliseconds(before) if before else 0
        if self._purged > self._since:
            self._since = self._purged
            report.notes.append(f"What is older than {before} was not compared: events of that time were purged.")

    # The services against the inbox

    def ivesk(self) -> None:
        """Compare exported documents with events of their company."""
        if not self._is_expected(EXPORTED):
            return
        self._report.compared["exported documents"] += 0
        latest: dict[str | None, int] = {}
        for event in self._inbox.since(instants.text(self._since - _SKEW)):
            if event.name == EXPORTED:
                latest[event.company] = instants.milliseconds(event.received_at)
        for page in ivesk_client(self._settings).pages("exported", Bookmark(not_before=self._since)):
            for document in page.records:
                at = text(document, "exportedat") or ""
                moment = _moment(at)
                if moment is None or moment > self._until:
                    continue
                self._report.compared["exported documents"] += 1
                codes = companies(document)
                if not any(latest.get(code, 0) >= moment - _SKEW for code in (None, *codes)):
                    key, number = text(document, "id") or "?", text(document, "docnum") or "without number"
                    whose = " or ".join(codes) or "unknown"
                    words = f"document {key} ({number}), exported at {at} of company {whose}: no event since"
                    self._no_event(EXPORTED, key, at, words, company=codes[0] if codes else None)

    def vicai(self) -> None:
        """Compare Vic.ai's own record of events, waiting invoices and processed payment batches with the inbox."""
        client = vicai_client(self._settings)
        subscribed = company_subscriptions.kinds_of(self._settings)
        if subscribed == set() and self._settings.with_live_tokens().vicai_token:
            words = (
                "Vic.ai has no subscription that calls this receiver: it neither sends nor records events. Run "
                "`ap-webhooks subscribe vicai`."
            )
            at = instants.text(now_ms())
            self._report.gaps.append(Gap(NOT_SUBSCRIBED, "vicai.*", "subscription", at, None, words))
        is_live = self._recorded(client, subscribed)
        for new, state in READY.items():
            kinds_of_it = (new, event_kinds.BEFORE[new])
            event = f"vicai.{new if is_live else event_kinds.BEFORE[new]}"
            if not self._is_expected(event, *(f"vicai.{kind}" for kind in kinds_of_it)):
                continue
            seen = set().union(*(self._ids(kind) for kind in kinds_of_it))
            try:
                pages = list(client.pages("listInvoices", state=state, useSystem="INTERNAL"))
            except Forbidden as error:
                self._report.notes.append(f"Invoices that are {state} were not compared: {error}")
                continue
            self._report.compared[f"invoices {state}"] += 0
            for invoice in (one for page in pages for one in page):
                at = text(invoice, "internalUpdatedAt") or ""
                if not self._purged <= (_moment(at) or 0) <= self._until:
                    continue
                self._report.compared[f"invoices {state}"] += 1
                key = text(invoice, "internalId") or "?"
                if key not in seen:
                    number = text(invoice, "refNumber") or text(invoice, "invoiceNumber") or "without number"
                    words = f"invoice {key} ({number}), {state} since {at or 'an unknown time'}: no event"
                    self._no_event(event, key, at, words)
        if self._is_expected(BATCH):
            self._batches(client.pages("listPaymentBatches", status="all"))

    def _recorded(self, client: VicaiClient, subscribed: set[str] | None) -> bool:
        """Compare the service's own record of events; return whether it has one."""
        companies = sorted({one.subscription for one in self._settings.tokens.read().vicai if one.subscription})
        found: dict[str, event_log.Recorded] = {}
        for company in (None, *companies):
            try:
                events = event_log.read(client, self._since, now_ms(), company)
            except Forbidden as error:
                self._report.notes.append(f"Vic.ai's own record of events was not compared: {error}")
                # So it stays to be compared.
                self._report.services = [service for service in self._report.services if service != "vicai"]
                continue
            if events is None and company is None:
                self._report.notes.append("Vic.ai keeps no record of events here (its API 0.20.0 has none).")
                return False
            if events is None:
                self._report.notes.append(f"Vic.ai has no record of the events of the company {company} (v2).")
            found.update({event.id: event for event in events or () if event.id not in found})
        events = sorted(found.values(), key=lambda event: (event.at, event.id))
        old = [event for event in events if event.at <= self._until + _SKEW]
        self._report.compared["recorded events"] += len(old)
        if young := len(events) - len(old):
            self._report.notes.append(f"{young} recorded events are younger than grace, and were not compared.")
        ours = self._ours(old, subscribed)
        if foreign := len(old) - len(ours):
            self._report.notes.append(
                f"{foreign} recorded events are of kinds that are neither subscribed here nor wanted by a rule."
            )
        for event in event_log.missing(ours, self._inbox, self._since):
            delivery = event.delivery
            about = f" of {event.about}" if event.about else ""
            known = ", and Vic.ai knows that it was not delivered" if event.undelivered else ""
            words = f"event {event.id} (vicai.{delivery.kind}{about}), occurred at {event.occurred_at}: missing{known}"
            self._no_event(f"vicai.{delivery.kind}", event.id, event.occurred_at, words, company=delivery.company)
            self._report.recorded[event.id] = delivery
            if event.about:
                self._coming.setdefault(delivery.kind, set()).add(event.about)
        return True

    def _ours(self, events: Sequence[event_log.Recorded], subscribed: set[str] | None) -> list[event_log.Recorded]:
        """Leave out the kinds that only other receivers' subscriptions name."""
        found = {event.delivery.kind for event in events}
        if subscribed:
            found = {
                kind
                for kind in found
                if kind in subscribed
                or any(rule.wants("vicai", kind, None) for rule in self._settings.rules)
                or self._inbox.contains("vicai", kind)
            }
        return [event for event in events if event.delivery.kind in found]

    def _batches(self, pages: Iterable[list[Record]]) -> None:
        seen = self._ids(event_kinds.BATCH)
        self._report.compared["processed payment batches"] += 0
        try:
            for batch in (one for page in pages for one in page):
                at = text(batch, "processedAt") or ""
                moment = _moment(at)
                if moment is None or not self._since <= moment <= self._until:
                    continue
                self._report.compared["processed payment batches"] += 1
                key = text(batch, "id") or "?"
                if key not in seen:
                    words = f"payment batch {key} ({text(batch, 'name') or 'unnamed'}), processed at {at}: no event"
                    self._no_event(BATCH, key, at, words, company=text(batch, "companyId"))
        except Forbidden as error:
            self._report.notes.append(f"Payment batches were not compared: {error}")

    def _no_event(self, event: str, key: str, at: str, words: str, *, company: str | None = None) -> None:
        self._report.gaps.append(Gap(NO_EVENT, event, key, at, company, words))

    def _is_expected(self, event: str, *others: str) -> bool:
        """Return whether a rule wants one of these events, or one was received before; otherwise add a note."""
        for name in (event, *others):
            service, _, kind = name.partition(".")
            wanted = any(rule.wants(service, kind, None) for rule in self._settings.rules)
            if wanted or self._inbox.contains(service, kind):
                return True
        self._report.notes.append(f"{event} was not compared: no rule wants it, and no such event was ever received.")
        return False

    def _ids(self, kind: str) -> set[str]:
        """Return the ids of what the events of Vic.ai's of a kind are about: those received, and those missing."""
        found = set(self._coming.get(kind, ()))
        for body in self._inbox.bodies("vicai", kind):
            content = deliveries.content(body)
            data = content.get("data")
            about = deliveries.about(data if isinstance(data, dict) and "event" in content else content)
            if about is not None:
                found.add(about)
        return found

    # The inbox against the runs

    def events(self) -> None:
        """Compare events with the runs that cover them."""
        since = instants.text(self._since)
        by_event = self._runs.by_event(since)
        unwanted: Counter[str] = Counter()
        self._report.compared["events"] += 0
        for event in self._inbox.since(since):
            found = rule_statuses(self._settings.rules, event, by_event)
            if not found:
                unwanted[event.name] += 1
                continue
            self._report.compared["events"] += 1
            if instants.milliseconds(event.received_at) > self._until:
                continue
            for one in found:
                if one.status not in {DONE, RUNNING}:
                    self._report.gaps.append(
                        Gap(
                            NOT_PROCESSED,
                            event.name,
                            str(event.id),
                            event.received_at,
                            event.company,
                            f"event {event.id} ({event.name}, received {event.received_at}): {_why(one)}",
                            run=one.run.id if one.run else None,
                            rule=one.rule.shown,
                            job=one.rule.name,
                            request_id=one.request_id,
                        )
                    )
        if unwanted:
            counts = ", ".join(f"{count} {name}" for name, count in sorted(unwanted.items()))
            self._report.notes.append(f"No rule wants: {counts}.")


def _why(found: RuleStatus) -> str:
    run, rule = found.run, found.rule.shown
    if run is None or found.status == UNPLANNED:
        return f"no run of {rule}"
    if found.status == FAILED:
        return f"run {run.id} of {rule} failed for good: {run.note}"
    assert found.status == WAITING  # noqa: S101 - the others are not gaps
    tried = f" after {run.attempts} tries: {run.note}" if run.attempts else ""
    return f"run {run.id} of {rule} waits until {run.not_before}{tried}"


def _moment(at: str) -> int | None:
    try:
        return instants.milliseconds(at)
    except ValueError:
        return None
