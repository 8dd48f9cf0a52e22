"""A company's whole load, and what Vic must hold when it is over: each thing once, field by field, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import fresh, load, record, state
from tests.target_vicai.scene import AT, BOOKED, LATER, PDF, WAITING, without
from tests.target_vicai.store import Documents, Record, Snapshot, covers, key
from tests.target_vicai.world_shown import RESOURCE_OF, SHOWN, as_given, same, streams_of

INVOICES = 6
PAID = 6
"""Payments, and credits, that the ERP has yet to answer."""
OLD_ORDER = "UZS-SENAS"
EVERY = 3
"""A STATE after so many records."""


class World:
    """The input of a load, its records in some order, and the store as it was before.

    STATE n says that the first n records are done.
    """

    def __init__(self, vicai: SandboxProcess, folder: Path, seed: int, age: str = "live") -> None:
        self.vicai, self.dice, self.age = vicai, random.Random(seed), age
        self.pdf = folder / "sąskaita.pdf"
        self.pdf.write_bytes(PDF)
        self.files = [folder / f"priedas{number}.pdf" for number in range(4)]
        for number, file in enumerate(self.files):
            file.write_bytes(PDF + b"%" * number)
        fresh(vicai, invoices=INVOICES, age=age)
        self._prepare()
        self.before = Snapshot(vicai)
        self.records: list[tuple[str, Record]] = []
        self._fill()

    def _prepare(self) -> None:
        control = self.vicai.control.vicai
        self.waiting = [invoice["internalId"] for invoice in control.records("invoices")]
        control.touch("invoices", self.waiting, **WAITING)
        batches = control.records("paymentBatches")[:2]
        self.paid = {
            part: [f"{number}0000000-{place}000-4000-a000-000000000000" for number in range(PAID)]
            for place, part in enumerate(("payments", "credits"), 1)
        }
        for number, batch in enumerate(batches):
            parts: dict[str, Any] = {
                part: [
                    {"id": id_, "amount": "10.00", "currencyId": "EUR", "status": "acknowledged"}
                    for id_ in ids[number :: len(batches)]
                ]
                for part, ids in self.paid.items()
            }
            control.touch("paymentBatches", [batch["id"]], **parts)
        lines = [
            order_line(number, "1", "1.00", "1.00") | {"internalId": str(9_100_000 + number), "dimensions": []}
            for number in (1, 2)
        ]
        own: Record = {
            "externalId": OLD_ORDER,
            "poNumber": "SENAS",
            "status": "open",
            "amount": "2.00",
            "lineItems": lines,
        }
        control.add("purchaseOrders", 1, **own)

    def _fill(self) -> None:
        known = self.before.records
        named = [vendor for vendor in known["vendors"].values() if vendor.get("externalId")]
        streams: dict[str, list[Record]] = {
            "vendor_groups": [{"name": f"Grupė {n}"} for n in range(3)],
            "payment_terms": [{"name": f"Terminas {n}", "daysToPay": n + 1} for n in range(3)],
            "tags": [{"value": f"Žyma {n}"} for n in range(3)],
            "tax_codes": [{"code": f"M-{n}", "description": "Mokestis", "rate": f"0.{n}50"} for n in range(3)],
            "vat_codes": [
                {"externalId": f"V-{n}", "externalUpdatedAt": AT, "code": f"V{n}", "description": "PVM", "rate": n}
                for n in range(3)
            ],
            "accounts": [*map(_account, range(8)), *(self._changed("accounts", n, name="Kita") for n in range(4))],
            "dimensions": [
                *map(_dimension, range(4)),
                *(self._changed("dimensions", n, shortName="X") for n in range(2)),
            ],
            "vendors": [
                *map(_vendor, range(8)),
                *(self._changed("vendors", n, phone="+370 5 1") for n in range(len(known["vendors"])) if n < 8),
            ],
            "vendor_tags": [{"vendorExternalId": f"T-{n}", "tagValue": f"Žyma {n % 3}"} for n in range(6)],
            "purchase_orders": [*map(_order, range(3)), _old_order(named[0]["externalId"])],
            "training_invoices": [self._training(n) for n in range(3)],
            "invoices": [self._invoice(n) for n in range(3)],
            "invoice_confirmations": [
                {"internalId": self.waiting[0], "externalId": "DZ-1", "externalUpdatedAt": "2026-03-05T09:00:00"}
            ],
            "invoice_rejections": [
                {"internalId": self.waiting[1], "item": None, "field": None, "reason": "PVM kodas neteisingas"}
            ],
            "vendor_errors": [
                {"internalId": vendor["internalId"], "errors": [{"message": "Klaida", "field": "name"}]}
                for vendor in named[-2:]
            ],
        }
        if self.age == "live":
            streams |= self._of_today()
        assert streams.keys() == streams_of(self.age), (
            f"Records are needed in _fill, or in _of_today: {streams_of(self.age) ^ streams.keys()}"
        )
        streams["vendors"] = [one for one in streams["vendors"] if one["externalId"]]
        names = list(streams)
        # Streams come in some order, children before parents too.
        self.dice.shuffle(names)
        self.records = [(name, one) for name in names for one in streams[name]]
        self.heads = [load(name, *streams[name])[0] for name in names]

    def _changed(self, resource: str, number: int, **changes: Any) -> Record:
        """One of the first records that Vic has: changed, but for every second one, which is as Vic has it."""
        held = list(self.before.records[resource].values())[number]
        shown = {"internalId", "internalUpdatedAt", "displayName", "description", "errors"}
        kept = without(held, *shown) | {"externalId": held.get("externalId")}
        return kept if number % 2 else kept | changes | {"externalUpdatedAt": LATER}

    def _training(self, number: int) -> Record:
        return {
            "externalId": f"BILAG-9{number}",
            "externalUpdatedAt": AT,
            "transactionType": "INVOICE",
            "refNumber": f"TR-{number}",
            "vendorExternalId": f"T-{number}",
            "lineItems": [{"index": 0, "amount": Decimal(f"{number}.01"), "costAccountExternalId": f"K-{number}"}],
            "document": str(self.pdf),
        }

    def _invoice(self, number: int) -> Record:
        return {
            "externalId": f"PIRK-{number}",
            "transactionType": "INVOICE",
            "refNumber": f"SF-{number}",
            "totalAmount": "12345678901234567.89",
            "vendor": {"externalId": f"T-{number}"},
            "lineItems": [{"amount": "12345678901234567.89", "costAccount": {"externalId": f"K-{number}"}}],
            "document": str(self.pdf),
        }

    def _of_today(self) -> dict[str, list[Record]]:
        """Records of streams that only today's service has."""
        dimensions = list(self.before.records["dimensions"])[:3]
        payments, credits = (ids[: PAID // 2] for ids in self.paid.values())
        failed_payments, failed_credits = (ids[PAID // 2 :] for ids in self.paid.values())
        return {
            "payment_confirmations": [{"id": id_, "confirmedAt": BOOKED, "remoteId": "M-1"} for id_ in payments],
            "payment_failures": [_failure(id_) for id_ in failed_payments],
            "credit_confirmations": [{"id": id_, "confirmedAt": BOOKED, "remoteId": "K-1"} for id_ in credits],
            "credit_failures": [_failure(id_) for id_ in failed_credits],
            "invoice_payments": [
                {"internalId": id_, "externalPaymentStatus": "paid", "externalPaymentAmount": "10.50"}
                for id_ in self.waiting[2:4]
            ],
            "supporting_attachments": [
                {"internalId": self.waiting[4 + number % 2], "document": str(file)}
                for number, file in enumerate(self.files)
            ],
            "dimension_dependencies": [
                {"dimensionExternalId": f"PRJ-{number}", "dependentInternalId": other, "active": bool(number % 2)}
                for number in range(3)
                for other in dimensions
            ],
        }

    # The input

    def messages(self, start: int = 0) -> list[Record]:
        """What a tap would write that goes on from STATE `start`."""
        messages = list(self.heads)
        for number, (stream, one) in enumerate(self.records[start:], start + 1):
            messages.append(record(stream, **one))
            if number % EVERY == 0 or number == len(self.records):
                messages.append(state(number))
        return messages

    def more(self) -> None:
        """Meanwhile the company works on: more records to load."""
        first = sum(stream == "accounts" for stream, _ in self.records)
        self.records += [("accounts", _account(number)) for number in range(first, first + 30)]

    # The outcome

    def check(self) -> None:
        """Check that Vic holds the whole input, each thing once, and that all else is as it was."""
        after = Snapshot(self.vicai)
        self.held(len(self.records), after)
        added: Counter[str] = Counter()
        changed: dict[str, set[Any]] = {}
        for stream, one in self.records:
            resource, held = self._place(stream, one)
            if held is None:
                added[resource] += 1
            elif not covers(held, self._shown(stream, one, after)):
                changed.setdefault(resource, set()).add(key(held))
        counts = {name: (added[name], len(changed.get(name, ())), 0) for name in {*added, *changed}}
        self.before.until(after).only(**counts)
        # Effects, not calls: whatever was lost on the way, the ERP's answer was given once.
        told = [id_ for _, id_ in self.vicai.control.vicai.reported()["confirmations"]]
        assert sorted(told) == (sorted(id_ for ids in self.paid.values() for id_ in ids) if self.age == "live" else [])
        documents = Documents(self.vicai)
        for stream, one in self.records:
            if "document" in one and stream in {"invoices", "training_invoices"}:
                assert documents.sha256(RESOURCE_OF[stream], one["externalId"]), one["externalId"]

    def held(self, count: int, snapshot: Snapshot | None = None) -> None:
        """Check that Vic holds the first `count` records of the input."""
        now = Snapshot(self.vicai) if snapshot is None else snapshot
        for number, (stream, one) in enumerate(self.records[:count]):
            wanted = self._shown(stream, one, now)
            found = [shown for shown in now.records[RESOURCE_OF[stream]].values() if same(stream, one, shown, now)]
            assert len(found) == 1, (count, number, stream, one, len(found))
            assert covers(found[0], wanted), (count, number, stream, one, found)

    def _place(self, stream: str, one: Record) -> tuple[str, Record | None]:
        """The resource that a record goes to, and what was there of it before."""
        found = [
            held for held in self.before.records[RESOURCE_OF[stream]].values() if same(stream, one, held, self.before)
        ]
        return RESOURCE_OF[stream], found[0] if found else None

    def _shown(self, stream: str, one: Record, now: Snapshot) -> Record:
        return SHOWN.get(stream, as_given)(one, now)


def _account(number: int) -> Record:
    return {"externalId": f"K-{number}", "externalUpdatedAt": AT, "number": f"{number}", "name": f"Sąskaita {number}"}


def _dimension(number: int) -> Record:
    return {"externalId": f"PRJ-{number}", "externalUpdatedAt": AT, "name": f"Projektas {number}", "type": "PROJECT"}


def _vendor(number: int) -> Record:
    return {
        "externalId": f"T-{number}",
        "externalUpdatedAt": AT,
        "name": f"UAB „Tiekėjas {number}“",
        "vendorGroupName": f"Grupė {number % 3}",
        "paymentTermName": f"Terminas {number % 3}",
        "taxInfo": {"orgNumber": f"30000{number}"},
    }


def _failure(id_: str) -> Record:
    return {"id": id_, "remoteErroredAt": BOOKED, "remoteError": "Sąskaita uždaryta", "remoteId": None}


def _order(number: int) -> Record:
    lines = [order_line(place, "2", "5.00", "10.00") for place in (1, 2)]
    for line in lines:
        line["dimensions"] = [{"externalId": f"PRJ-{number}"}]
    return {
        "externalId": f"UZS-{number}",
        "poNumber": f"N-{number}",
        "issuedOn": "2026-03-01",
        "vendorExternalId": f"T-{number}",
        "amount": "20.00",
        "lineItems": lines,
    }


def _old_order(vendor: str) -> Record:
    """Of the lines that Vic has, 1 goes and 2 changes; 3 and 4 come."""
    lines = [order_line(2, "3", "1.00", "3.00"), order_line(3, "1", "0.50", "0.50"), order_line(4, "1", "0.50", "0.50")]
    own = {"externalId": OLD_ORDER, "poNumber": "SENAS", "issuedOn": "2026-03-01", "amount": "4.00"}
    return own | {"vendorExternalId": vendor, "lineItems": lines}
