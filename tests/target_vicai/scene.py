"""What the cases of `tests.target_vicai.cases` refer to, and what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract
from target_vicai.streams import ALL
from tests.target_vicai.store import Record, Store

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n% \xc4\x85\xc5\xbe\xc5\xab\n%%EOF\n"
LONG = "Ą" * 300
PAYMENT, CREDIT = "5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21", "7d2e0c1a-0b5e-4a44-8c1d-2e0b4d8f6a33"
"""Vic's ids of a payment and a credit that the ERP has not answered yet."""
NOWHERE = "00000000-0000-4000-a000-000000000000"
WAITING: Record = {"status": "READY_FOR_POST", "externalId": None, "externalUpdatedAt": None}
"""What an invoice shows that the ERP has not answered yet."""
BOOKED = "2026-03-03T09:00:00Z"
AT, LATER = "2026-03-01T10:00:00.123", "2026-03-02T11:30:00.5"
"""The ERP's wall clock: no zone, and digits as they are."""


class Scene:
    """What the cases refer to: a company with master data and three invoices, one of which waits for the ERP."""

    def __init__(self, vicai: SandboxProcess, folder: Path) -> None:
        self.vicai = vicai
        self.age: str = vicai.control.vicai.options()["age"]
        self.pdf = folder / "sąskaita 1.pdf"
        self.pdf.write_bytes(PDF)
        self.waiting = vicai.control.vicai.records("invoices")[-1]["internalId"]
        vicai.control.vicai.touch("invoices", [self.waiting], **WAITING)
        batch = vicai.control.vicai.records("paymentBatches")[0]["id"]
        paid = {"amount": "10.00", "currencyId": "EUR", "status": "acknowledged"}
        payments, credits = [paid | {"id": PAYMENT}], [paid | {"id": CREDIT}]
        vicai.control.vicai.touch("paymentBatches", [batch], payments=payments, credits=credits)
        self.store = Store(vicai)

    @cached_property
    def vendor(self) -> Record:
        """A vendor that the ERP knows, without errors and tags."""
        tagged = {tag["vendorId"] for tag in self.store.all("vendorTags")}
        good = (v for v in self.store.all("vendors") if v.get("externalId") and not v.get("errors"))
        return next(vendor for vendor in good if vendor["internalId"] not in tagged)

    def first(self, resource: str) -> Record:
        return self.store.all(resource)[0]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(PDF).hexdigest()


Make = Callable[[Scene], Record]
Shown = Callable[[Scene, Record], Record]


def as_given(_: Scene, given: Record) -> Record:
    return given


@dataclass(frozen=True)
class Case:
    """How a stream is put to the test.

    Args:
        stream: its name.
        resource: what it changes, as the service's paths name it.
        new: a record that Vic does not hold yet, in the contract's names.
        bad: a record that is no good, with the same key where it has one.
        reason: pattern of why.
        writes: calls of a load of `new`, in order, as patterns "METHOD /path"; of each the answer may be lost.
        changes: members that a later record of the same thing has instead; None where Vic can't change it.
        shown: what Vic shows of a record once it is loaded.
        by_vic: members that Vic fills by itself.
        adds: the load adds a record; else it changes one.
        also_first: a further write that 0.20.0 needs at the end.
    """

    stream: str
    resource: str
    new: Make
    bad: Make
    reason: str
    writes: tuple[str, ...]
    changes: Make | None = None
    shown: Shown = as_given
    by_vic: frozenset[str] = field(default=frozenset())
    adds: bool = True
    also_first: tuple[str, ...] = ()

    @cached_property
    def is_new(self) -> bool:
        """Whether the stream exists in the live age only."""
        (sink,) = (sink for sink in ALL if sink.name == self.stream)
        return contract.operation(sink.operation).since != contract.FIRST

    def writes_in(self, age: str) -> tuple[str, ...]:
        """The calls of a load of `new` in an age."""
        return self.writes + (self.also_first if age == "0.20" else ())

    @property
    def count(self) -> dict[str, tuple[int, int, int]]:
        """What `Change.only` finds after a first load."""
        return {self.resource: (1, 0, 0) if self.adds else (0, 1, 0)}


def without(record: Record, *names: str) -> Record:
    return {name: value for name, value in record.items() if name not in names}
