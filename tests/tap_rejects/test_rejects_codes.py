"""Codes make the message: the same words as version 0.1 told, whatever the sentence of the reject says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.reject_codes import CODES
from tap_rejects import old_reasons
from tap_rejects.phrases import ANSWERS, CLAUSES, OF_A_LINE, OF_A_VENDOR, REST, SAID, SENTENCES, Phrase
from tap_rejects.wording import Reason, Wording, steady
from tests.conftest import RunTap
from tests.mapper_ivesk_vicai.conftest import Mapper, document, line, messages

Row = dict[str, Any]

FIXTURE = Path(__file__).parent / "data/messages-0.1.jsonl"
"""What version 0.1 told, to the letter: sentences of every kind, and what came of them."""

ROWS: list[Row] = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
LANGUAGES = ["lt", "en"]


def told(language: str, row: Row, mark: Row) -> str:
    wording = Wording(language)
    for stream, record, reason in row.get("before", []):
        wording.message(stream, record, Reason.of({"reason": reason}))
    return wording.message(row["stream"], row["record"], Reason.of(mark))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reject_of_version_0_1_is_told_as_it_was(language: str) -> None:
    assert len(ROWS) > 200
    for row in ROWS:
        assert told(language, row, {"reason": row["reason"]}) == row[language], row["reason"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_tells_the_same_whatever_the_sentence_says(language: str) -> None:
    codes = set()
    for row in ROWS:
        code, params = old_reasons.parse(steady(row["reason"]))
        if code != "unclassified":
            codes.add(code)
            mark = {"code": code, "params": params, "reason": "Reworded: nothing of the old sentence."}
            assert told(language, row, mark) == row[language], row["reason"]
    assert len(codes) > 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unknown_code_quotes_the_sentence(language: str) -> None:
    rest: str = getattr(REST, language)
    for mark in (
        {"code": "unclassified", "params": {}},
        {"code": "of_a_later_version", "params": {"field": "total"}},
        {"code": "too_long", "params": {"field": "total"}},  # `most` and `length` are not there
        {"code": "not_a_date", "params": None},
        {"code": "no_mapping", "params": {"codes": 7}},
        {"code": "unknown_reference", "params": {"references": 7}},
        {
            "code": "several",
            "params": {"reasons": [{"code": "no_lines", "params": {}}, {"code": "later", "params": {}}]},
        },
        {"code": "several", "params": {"reasons": ["no_lines"]}},
        {"code": "service_refused", "params": {"call": "PUT /x", "status": 422}},
        {"code": "whose_document", "params": {"company": "1", "buyer": "A", "seller": "B"}},
    ):
        reason = Reason.of({**mark, "reason": "No {new} ąčę."})
        assert Wording(language).message("invoices", {}, reason) == rest.format(reason="No {new} ąčę."), mark


def test_parameters_are_steady_too() -> None:
    said = "IBAN is wrong at 2026-11-20T16:05:31.123Z; request id 7-a; see https://vic.example/x?signature=s3cret"
    mark = {"code": "service_refused", "params": {"said": said}, "reason": "x"}
    message = Wording("en").message("invoices", {}, Reason.of(mark))
    assert '"IBAN is wrong at …; see https://vic.example/x?***"' in message


def test_a_document_with_many_wrong_lines_makes_a_message_of_bounded_length() -> None:
    reasons = [{"code": "no_subtotal", "params": {"where": f"lines[{number}]"}} for number in range(1000)]
    mark = {"code": "several", "params": {"reasons": reasons}, "reason": "x"}
    message = Wording("en").message("exported_documents", {}, Reason.of(mark))
    assert message.startswith("Line 1: there is no subtotal. Line 2: there")
    assert message.endswith("…. Correct it in ivesk, then export the document again.")
    assert len(message) < 2100


def test_both_sides_of_a_vendor_are_told() -> None:
    ours = {"name": "Lusitana Lda", "country": "PT", "code": "912345678", "vat": "PT912345678"}
    theirs = [{"externalId": "50010", "name": "Nordlys AS", "country": "NO"}, {"externalId": "", "code": "5"}]
    mark = {"code": "vendor_differs", "params": {"document": ours, "vendors": theirs}, "reason": "x"}
    message = Wording("en").message("training_invoices", {}, Reason.of(mark))
    assert "Lusitana Lda (PT, registration code 912345678, VAT number PT912345678)" in message
    assert "Vic.ai 50010 Nordlys AS (NO); " in message
    assert "without a name (registration code 5)" in message


def test_both_languages_speak_of_the_same() -> None:
    phrases = [*CLAUSES.values(), *SENTENCES.values(), *OF_A_LINE.values(), *(phrase for _, phrase in SAID)]
    for phrase in (*phrases, REST, OF_A_VENDOR):
        assert places(phrase.lt) == places(phrase.en), phrase


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


WITHOUT_A_ROW = dict.fromkeys(("several", "unclassified"), "not a reason of its own")
WITHOUT_A_ROW |= dict.fromkeys(
    (
        "changed_at_vicai", "line_given_twice", "line_matched", "not_a_number_at_vicai", "not_one_of", "not_processed",
        "order_matched", "partly_written",
    ),
    "of purchase orders, which the mapper does not make",
)  # fmt: skip
WITHOUT_A_ROW |= dict.fromkeys(("delivery_unknown", "rejected_before", "wrong_state"), "of attachments and postings")
WITHOUT_A_ROW["sent_with_another_key"] = "of uploads and reports to ivesk"
WITHOUT_A_ROW |= dict.fromkeys(("comma_in_tag", "control_character"), "of uploads to ivesk")
WITHOUT_A_ROW |= dict.fromkeys(
    ("ambiguous_name", "document_given_twice", "not_changeable", "not_deletable", "two_spellings"),
    "of records that the mapper does not make: it refers by ids, sends paths, deletes nothing, and spells one way",
)
WITHOUT_A_ROW |= dict.fromkeys(("key_does_not_fit", "too_many_fields", "warehouse_refused"), "of warehouses")
WITHOUT_A_ROW["not_offered"] = "of streams that the mapper does not make"
WITHOUT_A_ROW |= dict.fromkeys(
    ("not_in_plan", "not_as_approved", "changed_since_plan"), "of a plan that somebody approves; pipelines have none"
)
WITHOUT_A_ROW["bank_change"] = "of the ERP's vendors; documents never change bank details"
WITHOUT_A_ROW |= dict.fromkeys(("document_moved_on", "document_not_a_pdf", "link_expired", "no_link"), "of downloads")
"""Codes that are not told of ivesk's documents in words of their own, and why."""


def test_every_code_that_can_concern_a_document_has_a_row() -> None:
    rows = CLAUSES.keys() | SENTENCES.keys() | ANSWERS
    assert not rows & WITHOUT_A_ROW.keys()
    assert CODES.keys() == rows | WITHOUT_A_ROW.keys()


def test_a_row_stands_in_one_table() -> None:
    assert not CLAUSES.keys() & SENTENCES.keys()
    assert all(isinstance(phrase, Phrase) for phrase in SENTENCES.values())
    assert OF_A_LINE.keys() <= CLAUSES.keys()


SET_ASIDE: list[tuple[Row, str]] = [
    (
        {"total": 13, "lines": [line(vatclass="PVM32", code="9", object="X")]},
        "The header does not add up: subtotal 10.00 and vat 2.10 make 12.10, but total is 13 (difference 0.90 EUR). "
        "No mapping for account 9 (accounts), VAT class PVM32 (vat_classes), object X (objects).",
    ),
    (
        {"total": None, "subtotal": "10.02", "vat": "2.10"},
        "Header and lines differ: subtotal is 10.02, and the lines together make 10.00 (difference 0.02 EUR); "
        "Header and lines differ: total is 12.12, and the lines together make 12.10 (difference 0.02 EUR).",
    ),
    (
        {"lines": [line(), line(total="12,10")]},
        "line 2: total is not a number: '12,10' (write it like 1234.50, with a point and without an exponent).",
    ),
    (
        {"buyercode": None, "buyername": None},
        "It is not clear whose document this is, of company 302320404 or of another: the buyer is without a name (no "
        "registration code) and the seller is UAB „Žalia šaka“ (304111222); one of the accountant's own companies has "
        "no registration code.",
    ),
    ({"doctype": "creditnote"}, "It is a creditnote, but its total is 12.10: a credit note's amounts are negative."),
    (
        {"sellercode": None, "sellervat": None, "sellerid": None},
        "The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).",
    ),
    ({"lines": [line(subtotal=None, vat=None)], "vat": None, "subtotal": None}, "Line 1 has no subtotal."),
    ({"currency": None, "lines": None}, "currency is missing. It has no lines (without_lines: header makes one)."),
]
"""Documents that the mapper sets aside, and the sentence of version 0.1."""


def test_a_reworded_reason_is_told_in_the_same_words(mapper: Mapper, tap: RunTap, tmp_path: Path) -> None:
    wrong = [document(id=f"d-{number}", **changes) for number, (changes, _) in enumerate(SET_ASIDE)]
    rejects = mapper(messages(*wrong), expect=1).reject_path.read_text(encoding="utf-8")
    path = tmp_path / "rejects-1.jsonl"
    for language in LANGUAGES:
        old = [Wording(language).message("x", {}, Reason.of({"reason": reason})) for _, reason in SET_ASIDE]
        for content in (rejects, "".join(_reworded(one) + "\n" for one in rejects.splitlines())):
            path.write_text(content, encoding="utf-8")
            assert [each["message"] for each in tap(language=language).records["sync_errors"]] == old


def _reworded(reject: str) -> str:
    message = json.loads(reject)
    if "rejected" in message:
        message["rejected"]["reason"] = "Something else altogether."
        for reason in message["rejected"]["params"].get("reasons", []):
            reason["reason"] = "Something else altogether."
    return json.dumps(message)
