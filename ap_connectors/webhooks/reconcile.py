"""Whether anything was lost: what the services hold, what the inbox saw, and what was acted on."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.raw_json import Record, text, truth
from ap_connectors.ivesk.settings import client as ivesk_client
from ap_connectors.vicai.client import Forbidden
from ap_connectors.webhooks import status, subscriptions
from ap_connectors.webhooks.database import EVENTS
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, UNPLANNED, WAITING, Run, Runs, now_ms
from ap_connectors.webhooks.settings import Settings, demanded

_TITLES = {
    "no event": "told of by no event",
    "not acted on": "stored, but no finished run covers them",
}


@dataclass(frozen=True)
class Gap:
    """One thing that is missing.

    Args:
        kind: `no event`, or `not acted on`.
        event: which event it should have been, or is: `ivesk.on_exported`.
        key: id of the document, invoice, batch or event.
        at: when it happened, in UTC.
        company: whose it is, where that is known.
        words: what is missing, in a sentence.
        run: the run that should have been finished, or None.
        rule: the rule that it is of, or None.
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
    request_id: str | None = None


@dataclass
class Report:
    """What was compared, and the gaps."""

    gaps: list[Gap] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "complete": not self.gaps,
            "gaps": [dataclasses.asdict(gap) for gap in self.gaps],
            "compared": dict(self.compared),
            "notes": self.notes,
        }


def lines(report: Report, named: int) -> list[str]:
    """A report for people; of each kind so many gaps are named."""
    found = [f"{count} {what} compared." for what, count in sorted(report.compared.items())]
    for kind, title in _TITLES.items():
        gaps = [gap for gap in report.gaps if gap.kind == kind]
        if gaps:
            found += ["", f"{len(gaps)} {title}:"]
            found += [f"  {gap.words}" for gap in gaps[:named]]
            if len(gaps) > named:
                found.append(f"  ... and {len(gaps) - named} more (--named, --format json)")
    found += ["", *report.notes] if report.notes else []
    return [*found, "", "Gaps: --mend lets the commands run that close them." if report.gaps else "Nothing is missing."]


EXPORTED, BATCH = "ivesk.on_exported", "vicai.payment_batch_processed"
READY = {"vicai.invoicePost": "READY_FOR_POST", "vicai.invoiceTransfer": "READY_FOR_TRANSFER"}
"""What a click in Vic.ai makes of an invoice, until it is confirmed or rejected."""

_SKEW = 60_000
"""Milliseconds that the service's clock may be ahead of ours."""
_PAGE = 200


def compare(settings: Settings, services: Sequence[str], *, days: float) -> Report:
    """Look for gaps.

    Args:
        settings: all of them.
        services: `ivesk`, `vicai`; none: those that there are credentials for.
        days: how far to look back.

    Raises:
        Stop: credentials are missing or wrong. Outage: a service or the inbox cannot be read.
    """
    for service in services:
        if service not in {"ivesk", "vicai"}:
            raise Stop(f"reconcile: there is no service {service!r}; ivesk and vicai are.")
    report = Report()
    with status.opened(settings) as (inbox, runs):
        comparison = _Comparison(settings, inbox, runs, report, days)
        for service, credential in (("ivesk", "ivesk_api_key"), ("vicai", "vicai_client_id")):
            if service in services or (not services and credential in settings.credentials):
                getattr(comparison, service)()
            elif not services:
                report.notes.append(f"{service} was not asked: there is no {credential}.")
        comparison.events()
    return report


class _Comparison:
    def __init__(self, settings: Settings, inbox: Inbox, runs: Runs, report: Report, days: float) -> None:
        self._settings, self._inbox, self._runs, self._report = settings, inbox, runs, report
        self._now = now_ms()
        self._since = self._now - int(days * 86_400_000)
        self._until = self._now - int(settings.grace * 1000)
        self._reader = inbox.engine.execution_options(reads=True)

    # What the services hold

    def ivesk(self) -> None:
        """Exported documents against events of their company."""
        if not self._matters(EXPORTED):
            return
        latest: dict[str | None, int] = {}
        for row in status.rows_since(self._inbox, instants.text(self._since - _SKEW)):
            if (row.service, row.kind) == ("ivesk", "on_exported"):
                latest[row.company] = instants.milliseconds(row.received_at)
        given = demanded(self._settings, "ivesk_api_key")
        of_ivesk = {name.removeprefix("ivesk_"): value for name, value in given.items() if name.startswith("ivesk_")}
        client = ivesk_client(of_ivesk, timeout=subscriptions.TIMEOUT, user_agent=subscriptions.AGENT)
        for page in client.pages("exported", Bookmark(not_before=self._since)):
            for document in page.documents:
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
                    self._gap("no event", EXPORTED, key, at, words, company=codes[0] if codes else None)

    def vicai(self) -> None:
        """Invoices that wait to be posted, and batches that were processed, against events of their ids."""
        client = subscriptions.client(self._settings)
        for event, state in READY.items():
            if not self._matters(event):
                continue
            seen = self._ids(event.partition(".")[2])
            try:
                pages = list(client.pages("listInvoices", state=state, useSystem="INTERNAL"))
            except Forbidden as error:
                self._report.notes.append(f"Invoices that are {state} cannot be seen: {error}")
                continue
            for invoice in (one for page in pages for one in page):
                at = text(invoice, "internalUpdatedAt") or ""
                if (_moment(at) or 0) > self._until:
                    continue
                self._report.compared[f"invoices {state}"] += 1
                key = text(invoice, "internalId") or "?"
                if key not in seen:
                    number = text(invoice, "refNumber") or text(invoice, "invoiceNumber") or "without number"
                    words = f"invoice {key} ({number}), {state} since {at or 'nobody knows when'}: no event"
                    self._gap("no event", event, key, at, words)
        if self._matters(BATCH):
            self._batches(client.pages("listPaymentBatches", status="all"))

    def _batches(self, pages: Iterable[list[Record]]) -> None:
        seen = self._ids("payment_batch_processed")
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
                    self._gap("no event", BATCH, key, at, words, company=text(batch, "companyId"))
        except Forbidden as error:
            self._report.notes.append(f"Payment batches cannot be seen: {error}")

    # What the inbox saw

    def events(self) -> None:
        """Events of the time against the runs that cover them."""
        since = instants.text(self._since)
        covering = self._runs.covering(since)
        unruled: Counter[str] = Counter()
        for row in status.rows_since(self._inbox, since):
            name = f"{row.service}.{row.kind}"
            standing = status.standing(self._settings.rules, row, covering)
            if not standing:
                unruled[name] += 1
                continue
            self._report.compared["events"] += 1
            if instants.milliseconds(row.received_at) > self._until:
                continue
            for rule, request_id, reached, run in standing:
                if reached not in {DONE, RUNNING}:
                    words = f"event {row.id} ({name}, received {row.received_at}): {_why(rule.name, reached, run)}"
                    self._report.gaps.append(
                        Gap(
                            "not acted on",
                            name,
                            str(row.id),
                            row.received_at,
                            row.company,
                            words,
                            run=run.id if run else None,
                            rule=rule.name,
                            request_id=request_id,
                        )
                    )
        if unruled:
            counts = ", ".join(f"{count} {name}" for name, count in sorted(unruled.items()))
            self._report.notes.append(f"No rule wants: {counts}.")

    # Parts

    def _gap(self, kind: str, event: str, key: str, at: str, words: str, *, company: str | None = None) -> None:
        self._report.gaps.append(Gap(kind, event, key, at, company, words))

    def _matters(self, event: str) -> bool:
        """Whether an event is expected at all: a rule wants it, or it came before."""
        service, _, kind = event.partition(".")
        if any(rule.wants(service, kind, None) for rule in self._settings.rules):
            return True
        wanted = sa.select(EVENTS.c.id).where(EVENTS.c.service == service, EVENTS.c.kind == kind).limit(1)
        if list(self._rows(wanted)):
            return True
        self._report.notes.append(f"{event} is not compared: no rule wants it, and none ever came.")
        return False

    def _ids(self, kind: str) -> set[str]:
        """The ids of the invoices or batches that events of a kind were about."""
        found: set[str] = set()
        after = 0
        of_kind = sa.select(EVENTS.c.id, EVENTS.c.body).where(EVENTS.c.service == "vicai", EVENTS.c.kind == kind)
        while rows := list(self._rows(of_kind.where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(_PAGE))):
            after = rows[-1].id
            found |= {id_ for row in rows if (id_ := _id(row.body)) is not None}
        return found

    def _rows(self, wanted: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        try:
            with self._reader.connect() as connection:
                yield from connection.execute(wanted).all()
        except sa.exc.SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error
            raise Outage(f"The inbox {self._inbox.name} cannot be read: {why}") from None


def companies(document: Record) -> list[str]:
    """The codes of the companies that a document belongs to: those that the accountant works for, or both parties'."""
    codes = {party: (text(document, f"{party}code") or "").strip() for party in ("buyer", "seller")}
    own = [code for party, code in codes.items() if code and truth(document, f"{party}isfavorite")]
    return own or [code for code in codes.values() if code]


def _why(rule: str, status: str, run: Run | None) -> str:
    if run is None or status == UNPLANNED:
        return f"no run of {rule}"
    if status == FAILED:
        return f"run {run.id} of {rule} failed for good: {run.note}"
    assert status == WAITING  # noqa: S101 - nothing else is a gap
    tried = f" after {run.attempts} tries: {run.note}" if run.attempts else ""
    return f"run {run.id} of {rule} waits until {run.not_before}{tried}"


def _moment(at: str) -> int | None:
    try:
        return instants.milliseconds(at)
    except ValueError:
        return None


def _id(body: bytes) -> str | None:
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    subject = content["data"] if isinstance(content.get("data"), dict) and "event" in content else content
    found = subject.get("internalId", subject.get("id"))
    return str(found) if isinstance(found, str | int) else None


_DECODER = msgspec.json.Decoder(float_hook=str)
