"""Closes the gaps that `reconcile` found: runs the rules' commands, and stores invoices that Vic.ai never sent."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.session import body
from ap_connectors.vicai.client import NotFound, VicaiClient, document_type
from ap_connectors.webhooks import subscriptions
from ap_connectors.webhooks.inbox import Delivery, Inbox
from ap_connectors.webhooks.reconcile import READY, Gap, Report
from ap_connectors.webhooks.rules import matching
from ap_connectors.webhooks.runs import Runs
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.status import opened

_encode = msgspec.json.Encoder().encode


def repair(settings: Settings, report: Report) -> list[str]:
    """Let the commands run that close the gaps; return what to say. Done twice, it does no harm.

    Raises:
        Stop: Vic.ai's credentials are wrong. Outage: Vic.ai or the inbox failed.
    """
    said: list[str] = []
    with opened(settings) as (inbox, runs):
        for gap in report.gaps:
            if gap.kind == "not acted on":
                said.append(_run_again(runs, gap))
        waiting = [gap for gap in report.gaps if gap.kind == "no event" and gap.event in READY]
        if waiting:
            client = subscriptions.client(settings)
            said += [_try(client, inbox, gap) for gap in waiting]
        for gap in report.gaps:
            if gap.kind == "no event" and gap.event not in READY:
                said += _pull(settings, runs, gap)
    # One pull closes the gaps of many documents.
    return list(dict.fromkeys(said))


def _run_again(runs: Runs, gap: Gap) -> str:
    assert gap.rule is not None  # noqa: S101 - every gap of this kind has one
    if gap.run is not None and runs.again(gap.run):
        return f"Run {gap.run} of {gap.rule} is due now."
    return f"Run {runs.queue(gap.rule, gap.request_id, [int(gap.key)])} of {gap.rule} is due now."


def _pull(settings: Settings, runs: Runs, gap: Gap) -> Sequence[str]:
    """Let the jobs run that such an event would have started; they fetch whatever is new."""
    service, _, kind = gap.event.partition(".")
    wanting = matching(settings.rules, service, kind, gap.company, None)
    if not wanting:
        return [f"No rule wants {gap.event}: nothing can be run for it."]
    return [f"Run {runs.queue(rule.name, None)} of {rule.name} is due now." for rule, _ in wanting]


def _try(client: VicaiClient, inbox: Inbox, gap: Gap) -> str:
    try:
        return _hand_over(client, inbox, gap)
    except Reject as error:
        return f"Invoice {gap.key} cannot be fetched: {error}"


def _hand_over(client: VicaiClient, inbox: Inbox, gap: Gap) -> str:
    """Store an invoice as if its event had come, from the same service; the rules then act on it."""
    found = _invoice(client, gap.key)
    if found is None or text(found, "status") != READY[gap.event]:
        return f"Invoice {gap.key} does not wait any more."
    document, media = _document(client, gap.key)
    kind = gap.event.partition(".")[2]
    delivery = Delivery(
        service="vicai",
        kind=kind,
        dedup_key=f"{kind}:reconcile:{gap.key}:{text(found, 'internalUpdatedAt')}",
        company=text(found, "companyId"),
        request_id=None,
        body=_encode(found),
        document=document,
        document_name=f"{gap.key}.pdf" if media == "application/pdf" else None,
        document_type=media,
    )
    return f"Invoice {gap.key} is event {inbox.store([delivery])[0]} now."


def _invoice(client: VicaiClient, key: str) -> Record | None:
    try:
        return client.get("getInvoice", id=key, useSystem="INTERNAL")
    except NotFound:
        return None


def _document(client: VicaiClient, key: str) -> tuple[bytes | None, str | None]:
    try:
        return client.document(
            "getInvoiceDocument", lambda answer: (body(answer), document_type(answer)), id=key, useSystem="INTERNAL"
        )
    except NotFound:
        return None, None
