"""What became of payments and credits in the ERP: confirmed or failed (Vic.ai API 10.40.4, Payment confirmations)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ap_connectors.core import instants
from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from target_vicai.bulk import BulkCalls
from target_vicai.context import LoadContext
from target_vicai.item import Item
from target_vicai.record_cache import PaymentBook
from target_vicai.sink import VicSink

MOST = 100
"""Payments of one call; the contract says it of failures only."""
_LATER = "left out as older: Vic.ai knows of something later ({known}); to say this after all, send a later {field}"


@dataclass(frozen=True)
class _Told:
    """What a call says of one payment or credit."""

    id: str
    body: JsonObject


class _Report(VicSink):
    """Tells Vic what became of a payment or a credit, many at once; it is known by Vic's id.

    Attributes:
        bulk_operation: the operation for several.
        part: `payments` or `credits`.
        time_field: when it happened.
        cleared: fields that Vic clears by it.
    """

    bulk_operation: ClassVar[str]
    part: ClassVar[str]
    time_field: ClassVar[str]
    other_time: ClassVar[str]
    """When the opposite happened, as Vic shows it."""
    key_field = "id"

    def __init__(self, context: LoadContext) -> None:
        super().__init__(context)
        self._calls = BulkCalls[_Told](MOST, self._send)
        self._announced: dict[str, tuple[JsonObject, Callable[[], None]]] = {}

    def contract_schema(self) -> contract.Schema:
        """Return the schema of one payment in the body for several."""
        body = contract.inlined(contract.operation(self.bulk_operation).body["application/json"])
        schema: contract.Schema = body["properties"][self.part]["items"]
        return schema

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep confirmations and failures of one payment in order."""
        return self.part, key

    @property
    def _book(self) -> PaymentBook:
        return self.context.payment_books[self.part]

    def compare(self, item: Item) -> Outcome | None:
        """Return the outcome if nothing is to be sent; else announce it, so that it goes with others in one call."""
        if item.deleted or not self.context.client.is_live:
            return None
        try:
            body = self._body(item)
            outcome = self._judge(item.key, body)
        except Reject:
            return None
        if outcome is None:
            try:
                self._approve(item.key, body)
            except Reject:
                return None
            self._announced[item.key] = body, self._calls.announce(_Told(item.key, body))
        return outcome

    def load(self, item: Item) -> Outcome:
        """Tell Vic, unless it knows."""
        announced = self._announced.pop(item.key, None)
        body = self._body(item)
        if not self.context.client.is_live:
            raise self.not_offered()
        if announced is None or announced[0] != body:
            if (outcome := self._judge(item.key, body)) is not None:
                return outcome
            self._approve(item.key, body)
            wait = self._calls.announce(_Told(item.key, body))
        else:
            wait = announced[1]
        before = self._book.find(item.key) or {}
        wait()
        self._book.told(item.key, self._shown(body))
        changes = [Change(name, before.get(name), value) for name, value in body.items() if before.get(name) != value]
        return Outcome("updated", tuple(one for one in changes if one.path != "id"))

    def _approve(self, key: str, body: JsonObject) -> None:
        self.context.approval.compared(self._book.find(key) or {}, (*body, self.other_time))
        self.context.approval.call(self.operation, body, id=key)

    def _body(self, item: Item) -> JsonObject:
        body = self.require_complete(self.writable(item.body))
        if not UTC.knows(str(body[self.time_field])):
            value = quoted(body[self.time_field])
            raise Reject(f"{self.time_field} is not a time: {value}.", "not_a_time", field=self.time_field, value=value)
        return {name: value for name, value in body.items() if name != "id"}

    def _judge(self, key: str, body: JsonObject) -> Outcome | None:
        """Return the outcome of a record that need not be sent.

        Raises:
            Reject: Vic has no such payment or credit.
        """
        present = self._book.find(key)
        if present is None:
            kind = self.part.removesuffix("s")
            raise Reject(
                f"Vic.ai has no {kind} {key}. Correct the id, or leave the record out.",
                "unknown_reference",
                references=[{"kind": kind, "key": key}],
            )
        if self._is_known(body, present):
            return UNCHANGED
        ours = str(body[self.time_field])
        # Of the same payment a history may tell several: booked, returned, booked again.
        for name in (self.time_field, *([self.other_time] if self._stands(present) else [])):
            if (known := present.get(name)) and instants.is_earlier(ours, str(known)):
                note = _LATER.format(known=f"{name} {known}", field=self.time_field)
                return Outcome("older", (Change(self.time_field, present.get(self.time_field), ours),), note)
        return None

    def _is_known(self, body: JsonObject, present: JsonObject) -> bool:
        """Return whether Vic shows what the record says, and nothing against it."""
        for name, value in body.items():
            theirs = present.get(name)
            if name == self.time_field:
                if not theirs or not _is_same_time(str(value), str(theirs)):
                    return False
            elif theirs != value and not (name == "remoteId" and value is None):
                return False
        return True

    def _stands(self, present: JsonObject) -> bool:
        """Return whether the opposite is what holds at Vic."""
        raise NotImplementedError

    def _shown(self, body: JsonObject) -> JsonObject:
        """Return what Vic shows once it was told."""
        return body

    def _send(self, told: Sequence[_Told]) -> None:
        def find_done() -> JsonObject | None:
            self._book.read_again([one.id for one in told])
            shown = [self._book.find(one.id) or {} for one in told]
            done = all(self._is_known(one.body, now) for one, now in zip(told, shown, strict=True))
            return {} if done else None

        if len(told) == 1:
            self.context.bulk_writer.send(self.operation, told[0].body, find_done=find_done, id=told[0].id)
            return
        body = {self.part: [{"id": one.id, **one.body} for one in told]}
        self.context.bulk_writer.send(self.bulk_operation, body, find_done=find_done)


def _is_same_time(ours: str, theirs: str) -> bool:
    """Return whether two times are the same; the service may show whole seconds."""
    mine, its = UTC.milliseconds(ours), UTC.milliseconds(theirs)
    return its in {mine, mine - mine % 1000}


class _Confirmation(_Report):
    time_field, other_time = "confirmedAt", "remoteErroredAt"

    def _stands(self, present: JsonObject) -> bool:
        return not present.get("confirmedAt")


class _Failure(_Report):
    time_field, other_time = "remoteErroredAt", "confirmedAt"

    def _is_known(self, body: JsonObject, present: JsonObject) -> bool:
        return not present.get("confirmedAt") and super()._is_known(body, present)

    def _stands(self, present: JsonObject) -> bool:
        return bool(present.get("confirmedAt"))

    def _shown(self, body: JsonObject) -> JsonObject:
        return {**body, "confirmedAt": None}


class PaymentConfirmations(_Confirmation):
    """The ERP has booked a payment (Payment confirmations)."""

    name, part = "payment_confirmations", "payments"
    operation, bulk_operation = "confirmPayment", "bulkConfirmPayments"


class PaymentFailures(_Failure):
    """The ERP could not book a payment (Payment confirmations)."""

    name, part = "payment_failures", "payments"
    operation, bulk_operation = "failPayment", "bulkFailPayments"


class CreditConfirmations(_Confirmation):
    """The ERP has booked a credit (Credit confirmations)."""

    name, part = "credit_confirmations", "credits"
    operation, bulk_operation = "confirmCredit", "bulkConfirmCredits"


class CreditFailures(_Failure):
    """The ERP could not book a credit (Credit confirmations)."""

    name, part = "credit_failures", "credits"
    operation, bulk_operation = "failCredit", "bulkFailCredits"
