"""What accountants read: right, in their language, and the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_rejects.wording import Reason, Wording, steady

CLASH = (
    "TI-1 exists at Vic.ai with currency EUR, and the record says USD. Vic.ai offers no way to change an invoice: x."
)
CASES = [
    (
        "Unknown to Vic.ai, and not loaded in this run: account 6001, dimension Šiaulių sk., 2 a., vendor "
        "UAB „Ąžuolas“.",
        ["sąskaita 6001, objektas Šiaulių sk., 2 a., pardavėjas UAB „Ąžuolas“.", "eksportuokite dokumentą iš naujo"],
        ["account 6001, object Šiaulių sk., 2 a., vendor UAB „Ąžuolas“.", "export the document again"],
    ),
    (
        "vicai: POST /invoices: the service refuses the call: status 422 (costAccount is unknown: 6001; request "
        "id 7-a).",
        ["neturi sąskaitos 6001. "],
        ["no account 6001. "],
    ),
    (
        "vicai: POST /invoices: the service refuses the call: status 422 (dimension is unknown: A.1; request id 7-a).",
        ["neturi objekto A.1. "],
        ["no dimension A.1. "],
    ),
    (
        "vicai: PUT /trainingInvoices/1: the service refuses the call: status 422 (vendorExternalId 30/1 is unknown).",
        ["neturi pardavėjo 30/1. "],
        ["no vendor 30/1. "],
    ),
    ("document is missing (a path or URL; or documentBase64): Vic.ai takes a", ["Nėra sąskaitos failo"], ["missing"]),
    ("The document a b.pdf is empty.", ["failas tuščias"], ["is empty"]),
    ("The document a is larger than 64 MB, which is the most that Vic.ai takes.", ["nei 64 MB"], ["than 64 MB"]),
    ("The document a is not of a type that Vic.ai processes: it begins", ["tokio tipo"], ["of this type"]),
    ("The document https://h/a can't be read: gone.", ["Nepavyko perskaityti"], ["could not be read"]),
    (
        "name is longer than 255 characters (300)",
        ["pavadinimas – 300 ženklų", "iki 255"],
        ["name has 300", "takes 255"],
    ),
    (
        "dueDate is not a date such as 2026-01-31: '31.01.2026'",
        ["terminas – '31.01.2026'."],
        ["due date, '31.01.2026'."],
    ),
    (
        "lineItems[2].amount is not a number: '12,50' (write it like 1234.50, with a point and without an exponent)",
        ["3 eilutės suma – '12,50'. Pataisykite"],
        ["line 3, amount, '12,50'. Correct"],
    ),
    ("refNumber, issueDate are missing.", ["dokumento numeris, dokumento data."], ["number of the document, date of"]),
    (CLASH, ["valiuta Vic.ai – EUR, dokumente – USD."], ["currency is EUR there, and USD in the document."]),
    (
        "vicai: PUT /vendors/1: this company has no right to it: status 403 (no; request id 5).",
        ["neleidžia šiai įmonei"],
        ["does not let this company"],
    ),
    (
        "vicai: PUT /vendors/1: the service refuses the call: status 422 (countryCode is wrong: 'L1'; request id 5).",
        ["„countryCode is wrong: 'L1'“"],
        ["\"countryCode is wrong: 'L1'\""],
    ),
    (
        "The header does not add up: subtotal 12345678901234567.89 and vat 0.10 make 12345678901234567.99, but total "
        "is 12345678901234568.00 (difference 0.01 EUR); Line 12 has no subtotal.",
        ["12345678901234567.89 ir PVM 0.10", "(skirtumas 0.01 EUR). 12 eilutė: nėra sumos be PVM. Pataisykite Įvesk"],
        ["12345678901234567.89 and VAT 0.10", "(a difference of 0.01 EUR). Line 12: there is no subtotal. Correct it"],
    ),
    (
        "Header and lines differ: vat is 21.00, and the lines together make 20.99 (difference 0.01 EUR).",
        ["PVM dokumente – 21.00, eilučių – 20.99 (skirtumas 0.01 EUR). Pataisykite"],
        ["VAT is 21.00, and 20.99 in the lines (a difference of 0.01 EUR). Correct"],
    ),
    (
        "line 2: subtotal is not a number: '1,0' (write it like 1).",
        ["2 eilutė: netinkamas skaičius, suma be PVM – '1,0'."],
        ["Line 2"],
    ),
    (
        "Header and lines differ: total is 1.00, and the lines together make 2.00 (difference 1.00 EUR). currency is "
        "missing. No mapping for VAT class PVM 32. b (vat_classes), object Šiaulių sk., 2 a. (objects).",
        ["valiuta.", "atitinka: PVM klasė PVM 32. b, objektas Šiaulių sk., 2 a. (jei", "1.00, eilučių – 2.00"],
        ["currency.", "is in Vic.ai: VAT class PVM 32. b, object Šiaulių sk., 2 a. (if", "1.00, and 2.00 in"],
    ),
    ("It has no lines (without_lines: header makes one of the header).", ["neturi eilučių."], ["has no lines."]),
    (
        "It is a creditnote, but its total is 121.00: a credit note's amounts are negative.",
        ["creditnote, bet jo suma 121.00 nėra"],
        ["a creditnote, but its total 121.00 is"],
    ),
    (
        "The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).",
        ["nei įmonės kodo, nei PVM mokėtojo kodo. Pataisykite"],
        ["neither a registration code nor a VAT number. Correct"],
    ),
    (
        "It is not clear whose document this is, of company 302 or of another: the buyer is A (no registration code) "
        "and the seller is B (7); neither is marked as favorite.",
        ["įmonės 302: pirkėjas – A (įmonės kodo nėra), pardavėjas – B (7)."],
        ["company 302: the buyer is A (no registration code), the seller B (7)."],
    ),
    (
        "It is not clear whose document this is, of company 302 or of another: the buyer is without a name (7) and "
        "the seller is UAB A (Vilnius) (no registration code); neither is marked as favorite.",
        ["pirkėjas – be pavadinimo (7), pardavėjas – UAB A (Vilnius) (įmonės kodo nėra)."],
        ["the buyer is without a name (7), the seller UAB A (Vilnius) (no registration code)."],
    ),
    (
        "line 2: vatpercent is not a number: '21%' (write it like 1234.50, with a point and without an exponent).",
        ["2 eilutė: netinkamas skaičius, PVM tarifas – '21%'."],
        ["Line 2: not a number, VAT rate, '21%'."],
    ),
]


def told(language: str, reason: str) -> str:
    """What is told of a training invoice that version 0.1 refused."""
    return Wording(language).message("training_invoices", {}, Reason.of({"reason": reason}))


@pytest.mark.parametrize(("reason", "lithuanian", "english"), CASES, ids=[case[0][:60] for case in CASES])
def test_known_reasons(reason: str, lithuanian: list[str], english: list[str]) -> None:
    for language, wanted in {"lt": lithuanian, "en": english}.items():
        said = told(language, reason)
        assert all(words in said for words in wanted), said
        assert "[" not in said
        assert said.endswith(".")


@pytest.mark.parametrize(
    ("language", "words"), [("lt", "Dokumentas nepateko į Vic.ai."), ("en", "The document did not")]
)
def test_an_unknown_reason_is_quoted(language: str, words: str) -> None:
    said = told(language, "Something {new} of 12345678901234567.89 EUR, ąčę")
    assert said.startswith(words)
    assert said.endswith("[Something {new} of 12345678901234567.89 EUR, ąčę]")
    assert not told(language, "").endswith("]")


def test_what_differs_each_time_is_left_out() -> None:
    first = "vicai: PUT /x: refused: status 500 (at 2026-11-20T16:05:31.123Z; request id 6f0e-1)."
    second = "vicai: PUT /x: refused: status 500 (at 2026-11-21T01:00:00+02:00; request id 77)."
    assert steady(first) == steady(second) == "vicai: PUT /x: refused: status 500 (at …)."
    assert steady("status 422 (request id 6f0e).") == "status 422."
    # Dates and the ERP's own times, without a zone, are the document's.
    assert steady("a 2026-01-31 b 2026-01-31T10:00:00 c") == "a 2026-01-31 b 2026-01-31T10:00:00 c"


@pytest.mark.parametrize("language", ["lt", "en"])
def test_what_is_written_about_it_is_what_it_says(language: str) -> None:
    text = (Path(__file__).parent.parent.parent / "docs/errors-to-ivesk.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines() if row.startswith("|")]
    start = next(place for place, row in enumerate(rows) if row[0] == "the reject file says")
    examples = [dict(zip(("reason", "lt", "en"), row, strict=True)) for row in rows[start + 2 : start + 5]]
    for row in examples:
        assert told(language, row["reason"]) == row[language]


def test_no_signature_gets_through() -> None:
    said = told("lt", "at https://storage.example/a.pdf?X-Signature=s3cret there is nothing")
    assert "s3cret" not in said
    assert "https://storage.example/a.pdf" in said


@pytest.mark.parametrize("language", ["lt", "en"])
def test_an_invoice_that_waited_for_a_refused_vendor(language: str) -> None:
    wording = Wording(language)
    refusal = "vicai: PUT /vendors/1: the service refuses the call: status 422 (IBAN is wrong; request id 1)."
    of_vendor = wording.message(
        "vendors", {"externalid": "300", "name": "UAB „Žalgiris“"}, Reason.of({"reason": refusal})
    )
    assert "UAB „Žalgiris“ (300)" in of_vendor
    assert "IBAN is wrong" in of_vendor
    waited = (
        "Unknown to Vic.ai, and not loaded in this run: vendor 300. vicai: PUT /x: ... status 422 (no; request id 2)."
    )
    assert wording.message("training_invoices", {}, Reason.of({"reason": waited})) == of_vendor
    two = "Unknown to Vic.ai, and not loaded in this run: vendor 300, account 6001."
    both = wording.message("invoices", {}, Reason.of({"reason": two}))
    assert both.startswith(of_vendor + " ")
    assert "6001" in both
    # Another file, another load: there the vendor was not refused.
    assert "IBAN" not in told(language, waited)
