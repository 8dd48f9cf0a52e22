"""What views say of the sandbox's companies, against sums made here of what the services hold, with Decimals."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from target_warehouse import ask
from target_warehouse.views.definition import views
from tests import preloaded
from tests.conftest import catalogs, renewed, tap_command
from tests.postgresql import empty_database, needs_postgresql
from tests.target_vicai.conftest import settings
from tests.target_warehouse.viewed import Record, Warehouse, added, messages

PAGE = Path(__file__).parents[2] / "docs/views.md"
EXAMPLE = re.compile(r"<!-- view: (\w+) -->\n```sql\n(.*?)```\n(?:\n```text\n.*?```\n)?<!-- end -->", re.DOTALL)
CENT = Decimal("0.01")
SETUP = {"rate_requests": 0, "big_amounts": False}
VENDOR = ("vendorInternalId", "vendorExternalId", "vendor", "paymentInfo")


class Held:
    """What the services hold, and what the warehouse is loaded with; docs/views.md shows it."""

    def __init__(self, sandbox: SandboxProcess, folder: Path) -> None:
        self.files, self.control = folder, sandbox.control
        vic = renewed(sandbox, documents=120, invoices=260, vicai=SETUP).control.vicai
        self._ids = [one["internalId"] for one in vic.records("invoices")]
        for batch, events in zip(vic.records("paymentBatches"), ("fund", "fund void", "reject", "fail"), strict=False):
            for event in events.split():
                vic.batch_event(batch["id"], event, at="2026-02-10T10:00:00.000Z")
        self._touch(0, externalPaymentStatus="paid", externalPaymentTotalPaid="10.50", externalPaymentDate="2026-02-01")
        self._touch(1, externalPaymentStatus="paid")
        self._touch(2, externalPaymentStatus="voided", externalPaymentTotalPaid="99")
        self._double(vic.records("invoices"))
        self._at_vic(sandbox.control.documents())
        self.invoices = {one["internalId"]: one for one in vic.records("invoices")}
        self.orders = vic.records("purchaseOrders")
        self.batches = vic.records("paymentBatches")
        self.lines = [(self.invoices[invoice], line) for invoice in self.invoices for line in vic.line_items(invoice)]
        self.documents = [one for one in sandbox.control.documents() if one.get("exportedat")]
        own = settings(sandbox, folder) | {"documents_from": None, "ledger_path": None, "invoice_states": ["ALL"]}
        reads = ("invoices", "invoice_line_items", "payment_batches", "payments", "credits", "vendors")
        self.sent = [
            ("vicai", self._sent("tap_vicai", own, (*reads, "purchase_orders", "purchase_order_line_items"))),
            ("vicai", messages("tap_vicai", {"invoice_documents": self._files(self.invoices, "invoice_id")})),
            (
                "ivesk",
                self._sent(
                    "tap_ivesk",
                    {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url},
                    ("exported_documents", "exported_document_lines"),
                ),
            ),
            (
                "ivesk",
                messages(
                    "tap_ivesk",
                    {"document_files": self._files([one["id"] for one in self.documents], "document_id")},
                ),
            ),
            ("saft", messages("tap_saft", {"party_balances": self._balances(), "suppliers": []})),
        ]

    def _touch(self, place: int, **changes: Any) -> None:
        self.control.vicai.touch("invoices", [self._ids[place]], **changes)

    def _double(self, invoices: list[Record]) -> None:
        """An invoice that came a second time, and one with another bank account than the vendor's before."""
        first = invoices[20]
        same = {name: first[name] for name in ("currency", "issueDate", "transactionType", *VENDOR)}
        self._touch(21, **same, totalAmount=first["totalAmount"], refNumber=f" 00{first['refNumber']}")
        account = {**first["paymentInfo"], "bban": "86011117947", "internationalBankAccount": None}
        self._touch(22, **{**same, "issueDate": "2026-01-30", "paymentInfo": account})

    def _at_vic(self, documents: list[Record]) -> None:
        """Purchases that are at Vic.ai: by id, by id with another total, by number."""
        bought = [one for one in documents if one["buyerisfavorite"] and one["doctype"] == "invoice"]
        first = next(one for one in bought[3:] if one["selleriban"])
        again = {name: value for name, value in first.items() if name.startswith(("seller", "buyer"))}
        again |= {name: first[name] for name in ("date", "doctype", "currency", "currencyrate", "total")}
        self.control.add(overrides={**again, "docnum": f"{first['docnum']} .", "selleriban": "LT601010012345678901"})
        for place, document in enumerate(bought[:3], 30):
            known = {"refNumber": document["docnum"], "issueDate": document["date"], "currency": document["currency"]}
            total = str(document["total"] + (1 if place == 31 else 0))
            known |= {"totalAmount": total, "transactionType": "INVOICE"}
            self._touch(place, **known, **({"externalId": document["id"]} if place < 32 else {}))

    @staticmethod
    def _files(ids: Iterable[str], key: str) -> list[Record]:
        """Files of all but the first two: of the first nothing is known, the second could not be had."""
        _, failed, *others = ids
        had = [{key: one, "path": f"{one}.pdf", "bytes": 1, "sha256": "0", "error": None} for one in others]
        return [*had, {key: failed, "path": None, "error": "status 404"}]

    def _balances(self) -> list[Record]:
        """What the books say of three suppliers at the end of January: of the first they agree."""
        owed: dict[str, Decimal] = {}
        for invoice, currency, day, amount in self.entries():
            if currency == "NOK" and day <= date(2026, 1, 31):
                vendor = self.invoices[invoice]["vendorExternalId"]
                owed[vendor] = owed.get(vendor, Decimal(0)) + amount
        return [
            {
                **{"company_id": "911222307", "party_type": "supplier", "party_id": vendor, "account_id": "2400"},
                **{"occurrence": 1, "period_start": "2026-01", "period_end": "2026-01", "currency_code": "NOK"},
                **{
                    "audit_file_date_created": "2026-02-05",
                    "opening_balance": Decimal(0),
                    "movement_debit": Decimal(0),
                },
                **{"movement_credit": amount - place, "closing_balance": place - amount},
            }
            for place, (vendor, amount) in enumerate(sorted(owed.items())[:3])
        ]

    def _sent(self, module: str, config: Record, streams: Sequence[str]) -> bytes:
        done = preloaded.run(tap_command(self.files, config, catalog=catalogs(module)(*streams), module=module))
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return done.stdout

    @property
    def booked(self) -> list[Record]:
        return [one for one in self.invoices.values() if one["status"] in {"POSTED", "TRANSFERRED"}]

    def entries(self) -> Iterator[tuple[str, str, date, Decimal]]:
        """What is owed, and what takes from it: invoice, currency, day, amount."""
        for one in self.booked:
            day, total = (
                date.fromisoformat(one["glDate"] or one["issueDate"]),
                sign(one) * abs(Decimal(one["totalAmount"])),
            )
            yield one["internalId"], one["currency"], day, total
            if (one.get("externalPaymentStatus") or "") == "paid":
                paid = abs(Decimal(one.get("externalPaymentTotalPaid") or total)) * (1 if total > 0 else -1)
                paid_on = one.get("externalPaymentDate")
                yield one["internalId"], one["currency"], date.fromisoformat(paid_on) if paid_on else day, -paid
        for batch in self.batches:
            for part, direction in (("payments", -1), ("credits", 1)):
                for one in batch[part]:
                    if state_of(one) == "paid":
                        day = date.fromisoformat((one["fundedAt"] or one["confirmedAt"])[:10])
                        yield (
                            one["invoice"]["internalId"],
                            one["currencyId"],
                            day,
                            direction * abs(Decimal(one["amount"])),
                        )


def sign(invoice: Record) -> int:
    return -1 if invoice["transactionType"] == "CREDITNOTE" else 1


def state_of(payment: Record) -> str:
    for name, state in (
        ("voidedAt", "voided"),
        ("rejectedAt", "rejected"),
        ("failedAt", "failed"),
        ("fundedAt", "paid"),
    ):
        if payment.get(name):
            return state
    return "paid" if payment.get("confirmedAt") else "pending"


def age(due: date | None, day: date) -> str:
    if due is None:
        return "no due date"
    late = (day - due).days
    for most, name in ((0, "not due"), (30, "1-30"), (60, "31-60"), (90, "61-90")):
        if late <= most:
            return name
    return "over 90"


def amount(value: Any) -> Decimal:
    return Decimal(str(value)) if value not in (None, "") else Decimal(0)


@pytest.fixture(scope="module")
def held(_sandbox_process: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Held:
    return Held(_sandbox_process, tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgresql", marks=needs_postgresql)])
def warehouse(request: pytest.FixtureRequest, held: Held) -> Warehouse:
    url = empty_database("views") if request.param == "postgresql" else f"{held.files}/views.duckdb"
    made = Warehouse(url, held.files)
    for schema, lines in held.sent:
        made.load(schema, lines)
    made.ap_views("apply")
    return made


@pytest.mark.long
def test_examples_of_the_documentation(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    """Each view has one, and its answer is what the page shows (`AP_UPDATE_VIEWS=1` writes it there)."""
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(name for name, *_ in EXAMPLE.findall(page)) == sorted(views())

    def answered(found: re.Match[str]) -> str:
        assert f"answers.{found[1]}" in found[2]
        assert ask.run([found[2], "--database", warehouse.url]) == 0, capsys.readouterr().err
        answer = capsys.readouterr().out
        assert len(answer.splitlines()) > 2, found[1]
        return f"<!-- view: {found[1]} -->\n```sql\n{found[2]}```\n\n```text\n{answer}```\n<!-- end -->"

    rows = []
    for name, view in sorted(views().items()):
        columns = warehouse.columns(f"answers.{name}")
        assert columns[0] == "company"
        rows.append(f"| `{name}` | {view.question} | {', '.join(f'`{column}`' for column in columns)} |")
    table = "\n".join(["| view | answers | columns |", "|---|---|---|", *rows])
    fresh = re.sub(r"(?s)(<!-- views -->\n).*?(\n<!-- end -->)", lambda it: it[1] + table + it[2], page)
    fresh = EXAMPLE.sub(answered, fresh)
    if os.environ.get("AP_UPDATE_VIEWS") and not warehouse.is_postgresql:
        PAGE.write_text(fresh, encoding="utf-8")
    # PostgreSQL shows fewer zeros, and has narrower columns then.
    assert [cells(text) for text in fresh.splitlines()] == [cells(text) for text in page.splitlines()]


def cells(text: str) -> list[Any]:
    """What a line shows, numbers by their value."""
    found: list[Any] = re.split(r" {2,}", re.sub("-{3,}", "---", text.strip()))
    return [Decimal(cell) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell) else cell for cell in found]


@pytest.mark.long
def test_invoices_with_signs(warehouse: Warehouse, held: Held) -> None:
    wanted = added(
        ((one["currency"], one["status"]), sign(one) * abs(Decimal(one["totalAmount"])))
        for one in held.invoices.values()
    )
    assert (
        warehouse.sums("SELECT currency, status, sum(total) FROM answers.invoices GROUP BY currency, status") == wanted
    )
    assert {sign(one) for one in held.booked} == {1, -1}
    ((count,),) = warehouse.values("SELECT count(*) FROM answers.invoices")
    assert count == len(held.invoices)


def test_payments_by_what_has_become_of_them(warehouse: Warehouse, held: Held) -> None:
    wanted = added(
        ((state_of(one), one["currencyId"]), direction * abs(Decimal(one["amount"])))
        for batch in held.batches
        for part, direction in (("payments", 1), ("credits", -1))
        for one in batch[part]
    )
    assert {state for state, _ in wanted} == {"paid", "pending", "voided", "rejected", "failed"}
    assert (
        warehouse.sums("SELECT state, currency, sum(amount) FROM answers.payments GROUP BY state, currency") == wanted
    )
    paid = warehouse.values("SELECT invoice_id, ref_number FROM answers.payments WHERE state = 'paid'")
    assert paid
    for invoice, number in paid:
        assert number == held.invoices[invoice]["refNumber"]


def test_what_is_owed_now_and_at_the_end_of_a_month(warehouse: Warehouse, held: Held) -> None:
    entries = list(held.entries())
    wanted = added((currency, amount) for _, currency, _, amount in entries)
    assert warehouse.sums("SELECT currency, sum(amount) FROM answers.ledger GROUP BY currency") == wanted
    assert warehouse.sums("SELECT currency, sum(open_amount) FROM answers.open_by_vendor GROUP BY currency") == wanted
    # As the company's clock may just have struck midnight, the day is the database's.
    ((today,),) = warehouse.values("SELECT current_date")
    month_end = date(2026, 1, 31)
    for query, day in (
        ("SELECT age, currency, sum(open_amount) FROM answers.open_items GROUP BY age, currency", today),
        (
            "SELECT age, currency, sum(open_amount) FROM answers.open_at_month_end "
            f"WHERE day = DATE '{month_end}' GROUP BY age, currency",
            month_end,
        ),
    ):
        sums = added(((invoice, currency), amount) for invoice, currency, at, amount in entries if at <= day)
        due = {
            one["internalId"]: date.fromisoformat(one["dueDate"]) if one["dueDate"] else None
            for one in held.invoices.values()
        }
        aged = added(((age(due[invoice], day), currency), amount) for (invoice, currency), amount in sums.items())
        assert warehouse.sums(query) == aged
        assert len(aged) > 2
    assert any(at > month_end for _, _, at, _ in entries)


def test_lines_by_account_vat_code_and_dimension(warehouse: Warehouse, held: Held) -> None:
    def lines() -> Iterator[tuple[Record, Record, str, Decimal, Decimal]]:
        for invoice, line in held.lines:
            if invoice in held.booked:
                factor = sign(invoice) if Decimal(invoice["totalAmount"]) >= 0 else 1
                month = (invoice["glDate"] or invoice["issueDate"])[:7]
                yield invoice, line, month, factor * amount(line["amount"]), factor * amount(line["amountTax"])

    wanted = added(((one["currency"], line["costAccountExternalId"]), net) for one, line, _, net, _ in lines())
    assert (
        warehouse.sums("SELECT currency, account, sum(net) FROM answers.lines_by_account GROUP BY currency, account")
        == wanted
    )
    wanted = added(
        (
            (
                month,
                one["currency"],
                (line["invoiceLineItemInfo"] or line["vat"] or {}).get("vatCode") or line["vat"]["code"],
            ),
            vat,
        )
        for one, line, month, _, vat in lines()
    )
    month = "substr(CAST(month AS VARCHAR), 1, 7)"
    query = f"SELECT {month}, currency, vat_code, sum(vat) FROM answers.vat_by_code GROUP BY 1, 2, 3"
    assert warehouse.sums(query) == wanted
    wanted = added(
        ((one["currency"], dimension["externalId"]), net)
        for one, line, _, net, _ in lines()
        for dimension in line["dimensions"]
    )
    query = (
        "SELECT currency, dimension, sum(net) FROM answers.lines_by_dimension WHERE dimension IS NOT NULL "
        "GROUP BY currency, dimension"
    )
    assert warehouse.sums(query) == wanted
    ((without,),) = warehouse.values(
        "SELECT coalesce(sum(lines), 0) FROM answers.lines_by_dimension WHERE dimension IS NULL"
    )
    assert without == sum(1 for _, line, *_ in lines() if not line["dimensions"])
    bare = {(one["internalId"], line["index"]) for one, line in held.lines if not line["costAccountExternalId"]}
    found = warehouse.values("SELECT invoice_id, line_index FROM answers.lines_without_account")
    assert set(found) == bare
    assert len(found) == len(bare)


def test_orders_receipts_and_invoices(warehouse: Warehouse, held: Held) -> None:
    lines = [(order, line) for order in held.orders for line in order["lineItems"]]
    wanted: dict[str, Any] = {}
    for _, line in lines:
        invoiced = sum(amount(one["quantityMatched"]) for one in line["invoiceItemsMatched"])
        received = amount(line["quantityReceived"])
        price = amount(line["unitAmount"])
        wanted[line["internalId"]] = (
            amount(line["quantityRequested"]),
            received,
            invoiced,
            (received * price).quantize(CENT, ROUND_HALF_UP),
            (invoiced * price).quantize(CENT, ROUND_HALF_UP),
        )
    found = warehouse.values(
        "SELECT order_line_id, ordered, received, invoiced, received_amount, invoiced_amount FROM answers.order_lines"
    )
    assert {line: tuple(rest) for line, *rest in found} == wanted
    booked = {one["internalId"] for one in held.booked}
    invoiced_of: dict[str, Decimal] = {}
    for invoice, line in held.lines:
        for match in line.get("poItemsMatched") or () if invoice["internalId"] in booked else ():
            place = match["purchaseOrderItemId"]
            invoiced_of[place] = invoiced_of.get(place, Decimal(0)) + sign(invoice) * amount(match["quantityMatched"])
    open_lines = {}
    for _, line in lines:
        rest = amount(line["quantityReceived"]) - invoiced_of.get(line["internalId"], Decimal(0))
        if rest > 0:
            open_lines[line["internalId"]] = (rest, (rest * amount(line["unitAmount"])).quantize(CENT, ROUND_HALF_UP))
    found = warehouse.values(
        "SELECT order_line_id, quantity, amount FROM answers.received_not_invoiced WHERE day = current_date"
    )
    assert {line: tuple(rest) for line, *rest in found} == open_lines
    assert len(open_lines) > 5


def purchases(held: Held) -> list[Record]:
    return [
        one
        for one in held.documents
        if one["buyerisfavorite"] and one["doctype"] not in {"proforma", "prepaymentinvoice"}
    ]


def in_euro(value: Any, one: Record) -> Decimal:
    rate = Decimal(1) if one["currency"] == "EUR" else amount(one["currencyrate"])
    return (amount(value) / rate).quantize(CENT, ROUND_HALF_UP)


def test_purchases_and_their_vat_in_euro(warehouse: Warehouse, held: Held) -> None:
    def signed(one: Record) -> int:
        return -1 if "credit" in one["doctype"] and amount(one["total"]) > 0 else 1

    wanted = added((one["currency"], signed(one) * amount(one["total"])) for one in purchases(held))
    assert len(wanted) > 2
    assert warehouse.sums("SELECT currency, sum(total) FROM answers.purchases GROUP BY currency") == wanted
    vat = added(
        ((line["vatclass"], one["buyercode"]), signed(one) * in_euro(line["vat"], one))
        for one in purchases(held)
        for line in one["lines"]
    )
    query = (
        "SELECT vat_class, buyer_code, sum(vat_eur) FROM answers.purchases_vat_by_class GROUP BY vat_class, buyer_code"
    )
    assert warehouse.sums(query) == vat
    codes = {
        (one["id"], number)
        for one in purchases(held)
        for number, line in enumerate(one["lines"], 1)
        if not line["code"]
    }
    found = warehouse.values("SELECT document_id, line_number FROM answers.purchases_without_account")
    assert set(found) == codes
    states = "SELECT state, matched_by, count(*) FROM answers.purchases_at_vic GROUP BY state, matched_by"
    assert warehouse.sums(states) == {
        ("same", "id"): 1,
        ("differs", "id"): 1,
        ("same", "number"): 1,
        ("not at Vic.ai", None): len(purchases(held)) - 3,
        ("only at Vic.ai", None): len(held.invoices) - 3,
    }
