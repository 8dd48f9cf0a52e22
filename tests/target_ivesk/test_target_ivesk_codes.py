"""The code and the parameters of every reject of target-ivesk: programs go by them, whatever the sentence says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_ivesk.conftest import API, Record, pdf
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
