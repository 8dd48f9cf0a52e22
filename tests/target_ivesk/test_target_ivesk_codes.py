"""The code and the parameters of every reject of target-ivesk: programs go by them, whatever the sentence says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_ivesk.conftest import API, Record, held, ledger, pdf
from tests.target_vicai.conftest import Target, load


class Bad(NamedTuple):
    """A record that is set aside, and its reject's code and parameters; a parameter that is `...` may be any."""

    code: str
    stream: str
    record: Record
    params: Record


def check(target: Target, *cases: Bad) -> None:
    """Load all of them at once; each is set aside with its code and its parameters."""
    run = target([message for case in cases for message in load(case.stream, case.record)], expect=1)
    rejects = {message["rejected"]["line"]: message["rejected"] for message in run.rejects}
    assert len(rejects) == len(cases), run.reasons
    for number, case in enumerate(cases):
        told = rejects[2 * number + 2]
        assert told["code"] == case.code, told
        params = {name: value if case.params.get(name) is not ... else ... for name, value in told["params"].items()}
        assert params == case.params


def error(**changed: Any) -> Record:
    return {"documentid": "1", "companycode": "302320404", "message": "Nėra šalies"} | changed


def test_what_a_record_shows(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    good = str(pdf(tmp_path))
    office = tmp_path / "a.docx"
    office.write_bytes(b"PK\x03\x04rest")
    empty = tmp_path / "b.pdf"
    empty.touch()
    gone = str(tmp_path / "c.pdf")
    check(
        target,
        Bad("document_missing", "documents", {"file_name": "a.pdf"}, {}),
        Bad("document_given_twice", "documents", {"document": good, "documentBase64": "JVBERi0="}, {}),
        Bad("document_not_base64", "documents", {"documentBase64": "%%%"}, {"problem": ...}),
        Bad("document_not_allowed", "documents", {"document": "/etc/passwd"}, {"document": "/etc/passwd"}),
        Bad("document_not_found", "documents", {"document": gone}, {"document": gone}),
        Bad("document_empty", "documents", {"document": str(empty)}, {"document": str(empty)}),
        Bad("document_type", "documents", {"document": str(office)}, {"document": str(office)}),
        Bad("control_character", "documents", {"document": good, "file_name": "a\nb"}, {"field": "file_name"}),
        Bad("no_form_fits", "documents", {"document": good, "userdata": True}, {"field": "userdata"}),
        Bad(
            "too_many_digits",
            "documents",
            {"document": good, "userdata": Decimal("1e5000")},
            {"field": "userdata", "most": 1000},
        ),
        Bad("comma_in_tag", "documents", {"document": good, "tags": ["a,b"]}, {"field": "tags", "value": "'a,b'"}),
        Bad(
            "not_true_or_false",
            "documents",
            {"document": good, "processlines": "taip"},
            {"field": "processlines", "value": "'taip'"},
        ),
        Bad(
            "missing_field", "sync_errors", error(companycode=" ", message=None), {"fields": ["companycode", "message"]}
        ),
    )
    assert ivesk.control.uploads() == []


def test_an_error_whose_answer_was_lost(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ivesk.control.fault("lost", path=f"{API}/syncerrors", times=10)
    params = {"name": "The error of document 1", "service": "Įvesk", "at": ..., "key": ..., "ledger": ...}
    check(target, Bad("delivery_unknown", "sync_errors", error(), params))


def test_what_was_sent_with_another_key(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """A renewed key sends nothing twice, whatever became of it; what was refused, or is new, goes out."""
    sent, begun, new = (str(pdf(tmp_path, name, name)) for name in ("a.pdf", "b.pdf", "c.pdf"))
    reported = error(documentid=ivesk.control.documents()[0]["id"])
    refused = error(documentid="7777707d-594d-420c-9174-ce278f823333")
    first = [*load("documents", {"document": sent}, {"document": begun}), *load("sync_errors", reported, refused)]
    target(first, expect=1)
    lines = ledger(tmp_path)
    now = lines[0]["owner"]
    before = f"{now.partition(' ')[0]} 0123456789abcdef"
    # As after a kill: whether b.pdf arrived is unknown. A line of 0.1.0 has no company.
    lines = [line for line in lines if (line["name"], line["state"]) != ("b.pdf", "sent")]
    assert {(line["name"], line["state"]) for line in lines} >= {("a.pdf", "sent"), ("b.pdf", "sending")}
    lines = [{name: value for name, value in line.items() if name != "company"} | {"owner": before} for line in lines]
    book = tmp_path / "ledger.jsonl"
    book.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    held_before = held(ivesk)
    given = [
        *load("documents", {"document": sent}, {"document": begun}, {"document": new}),
        *load("sync_errors", reported, refused),
    ]
    run = target(given, expect=1)
    rejected = [message["rejected"] for message in run.rejects]
    told = {one["params"].get("name"): one for one in rejected if one["code"] == "sent_with_another_key"}
    assert set(told) == {"a.pdf", "b.pdf", f"The error of document {reported['documentid']}"}
    assert told["a.pdf"]["params"] == {
        "name": "a.pdf",
        "service": "Įvesk",
        "at": next(line["at"] for line in lines if (line["name"], line["state"]) == ("a.pdf", "sent")),
        "ledger": str(book),
        "key": told["a.pdf"]["params"]["key"],
        "owner": now,
        "other": before,
    }
    assert "a.pdf was sent" in told["a.pdf"]["reason"]
    assert "b.pdf may have been sent" in told["b.pdf"]["reason"]
    assert f'If the key was renewed, write "{now}" for "{before}"' in told["a.pdf"]["reason"]
    counts = run.counts("documents")
    assert (counts["created"], counts["rejected"]) == (1, 2)
    assert [one["code"] for one in rejected if one["params"].get("name") not in told] == ["not_found"]
    assert len(held(ivesk)) == len(held_before) + 1
    assert ivesk.control.sync_errors() == [reported]
    # As the message says: then what was sent is known, and what is in doubt is left to a person.
    book.write_text(book.read_text(encoding="utf-8").replace(before, now), encoding="utf-8")
    again = target(run.reject_lines, expect=1)
    counts = again.counts("documents")
    assert (counts["received"], counts["unchanged"], counts["rejected"]) == (2, 1, 1)
    unknown = [message["rejected"] for message in again.rejects if message["stream"] == "documents"]
    assert [(one["code"], one["params"]["name"]) for one in unknown] == [("delivery_unknown", "b.pdf")]
    assert len(held(ivesk)) == len(held_before) + 1
    assert ivesk.control.sync_errors() == [reported]
