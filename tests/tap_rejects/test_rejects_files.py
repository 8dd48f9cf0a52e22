"""Reject files on the disk: each is read once, whatever happens to it, and other files are named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.errors import Stop
from tap_rejects.source import Place, Source, fields, find, origin
from tests.conftest import RunTap, discovered
from tests.tap_rejects.conftest import Write, line, of

TOO_LONG = "name is longer than 255 characters (300)"
NO_FILE = "document is missing (a path or URL; or documentBase64): Vic.ai takes a new training invoice only with it."
WORDS = "training_invoices"


def told(run: Any) -> list[tuple[str, str]]:
    return [(each["documentid"], each["companycode"]) for each in run.records["sync_errors"]]


def test_one_record_for_each_document_and_cause(tap: RunTap, write: Write) -> None:
    write(
        (WORDS, of("dok-1"), TOO_LONG),
        (WORDS, of("dok-1"), TOO_LONG),
        (WORDS, of("dok-1"), NO_FILE),
        ("TrainingInvoices", {"IVESK_DOCUMENT_ID": "dok-2", "IVESK_COMPANY_CODE": 302320404}, NO_FILE),
    )
    run = tap(language="en")
    assert told(run) == [("dok-1", "302320404")] * 2 + [("dok-2", "302320404")]
    first = run.records["sync_errors"][0]
    assert list(first) == ["documentid", "companycode", "message", "exportedat", "at", "stream", "key"]
    assert first["message"].startswith("A text is too long: name has 300 characters, and Vic.ai takes 255.")
    assert (first["at"], first["stream"], first["key"]) == ("2026-11-20T16:05:01.000Z", WORDS, "dok-1")
    message = next(each for each in run.messages if each["type"] == "SCHEMA")
    assert message["key_properties"] == ["documentid", "companycode", "message"]
    again = tap(language="en", state=run.state)
    assert told(again) == []
    assert again.state == run.state


def test_a_document_that_is_refused_again_after_a_new_export_is_told_again(tap: RunTap, write: Write) -> None:
    """It was exported again without being mended; the accountant would think that it has arrived."""
    first, second = "2026-11-20T15:00:00.000Z", "2026-11-21T09:00:00.000Z"
    queue = "exported_documents"
    write(
        (WORDS, of("dok-1", ivesk_exported_at=first), NO_FILE),
        (queue, {"id": "dok-2", "buyercode": "302320404", "exportedat": first}, NO_FILE),
    )
    run = tap()
    assert [one["exportedat"] for one in run.records["sync_errors"]] == [first, first]
    # A run that was killed sets the same export aside again: no news.
    again = [(WORDS, of("dok-1", ivesk_exported_at=at), NO_FILE) for at in (first, second, second)]
    again += [(queue, {"id": "dok-2", "buyercode": "302320404", "exportedat": at}, NO_FILE) for at in (first, second)]
    write(*again, name="rejects-2.jsonl")
    told_now = tap(state=run.state).records["sync_errors"]
    assert [(one["documentid"], one["exportedat"]) for one in told_now] == [("dok-1", second), ("dok-2", second)]


def test_rejects_from_elsewhere_are_counted_and_left_alone(tap: RunTap, write: Write) -> None:
    write(
        ("vendors", {"externalId": "V-1"}, TOO_LONG),
        ("vendors", {"externalId": "V-2"}, TOO_LONG),
        ("sync_errors", {"documentid": "dok-1", "companycode": "302320404", "message": "x"}, "status 400"),
        (WORDS, of("dok-1"), NO_FILE),
    )
    run = tap()
    assert told(run) == [("dok-1", "302320404")]
    assert "vendors: 2 rejects do not stem from documents of ivesk" in run.err
    assert "sync_errors: 1 rejects do not stem" in run.err
    assert "do not stem" not in tap(state=run.state).err


@pytest.mark.parametrize(
    ("document", "setting", "company"),
    [
        ({"buyercode": "111", "sellercode": "222"}, None, "111"),
        ({"buyercode": "111", "sellercode": "222", "sellerisfavorite": True}, None, "222"),
        ({"buyercode": "111", "buyerisfavorite": True, "sellercode": "222", "sellerisfavorite": True}, None, "111"),
        ({"buyercode": "111", "sellerisfavorite": True, "sellercode": None}, None, "111"),
        ({"buyercode": "111", "sellercode": "222"}, "333", "333"),
        ({}, "333", "333"),
    ],
)
def test_whose_document_it_is(document: dict[str, Any], setting: str | None, company: str) -> None:
    found = origin("exported_documents", fields({"id": "dok-1", **document}), setting)
    assert (found and found[:2]) == ("dok-1", company)


def test_the_company_that_the_mapper_worked_for_counts_first() -> None:
    document = fields({"id": "dok-1", "buyercode": "111", "sellercode": "222", "sellerisfavorite": True})
    assert origin("exported_documents", document, "333", {"company_code": "111"}) == ("dok-1", "111", "")
    # ivesk asks for the code as it has it.
    document = fields({"id": "dok-1", "buyercode": "302320404"})
    assert origin("exported_documents", document, None, {"company_code": "LT302320404"}) == ("dok-1", "302320404", "")


def test_a_document_that_the_mapper_set_aside(tap: RunTap, write: Write) -> None:
    write(("digitized_documents", {"id": "dok-1", "lines": None, "buyercode": "111"}, "docnum is missing."))
    run = tap()
    assert told(run) == [("dok-1", "111")]
    assert run.records["sync_errors"][0]["key"] == "dok-1"
    assert "dokumento numeris" in run.records["sync_errors"][0]["message"]


def test_a_document_without_a_company_is_an_error(tap: RunTap, write: Write) -> None:
    write(
        (WORDS, of("dok-1"), NO_FILE),
        ("digitized_documents", {"id": "dok-2"}, "docnum is missing."),
        (WORDS, of("dok-3"), NO_FILE),
    )
    run = tap(expect=1)
    assert told(run) == [("dok-1", "302320404")]
    assert "rejects-1.jsonl, line 2: document dok-2 names no company" in run.complaints[-1]
    assert "company_code" in run.complaints[-1]
    # Once it is said, that one comes too, and nothing twice.
    assert told(tap(state=run.state, company_code="9")) == [("dok-2", "9"), ("dok-3", "302320404")]


def test_what_is_being_written_waits(tap: RunTap, write: Write) -> None:
    path = write((WORDS, of("dok-1"), NO_FILE))
    whole = line(2, WORDS, of("dok-2"), NO_FILE)
    with path.open("a", encoding="utf-8") as file:
        file.write(whole[:40])
    first = tap()
    assert told(first) == [("dok-1", "302320404")]
    with path.open("a", encoding="utf-8") as file:
        file.write(whole[40:] + "\n")
    second = tap(state=first.state)
    assert told(second) == [("dok-2", "302320404")]
    # Another load adds to the file, with the same refusal and a new one.
    with path.open("a", encoding="utf-8") as file:
        file.write(whole + "\n" + line(3, WORDS, of("dok-3"), NO_FILE) + "\n")
    assert told(tap(state=second.state)) == [("dok-3", "302320404")]


def test_a_last_line_without_its_end_is_read_when_it_is_whole(tap: RunTap, write: Write) -> None:
    """An editor leaves the end out; a load that is writing may do so for a moment."""
    path = write((WORDS, of("dok-1"), NO_FILE), (WORDS, of("dok-2"), NO_FILE), end="")
    first = tap()
    assert told(first) == [("dok-1", "302320404"), ("dok-2", "302320404")]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + line(3, WORDS, of("dok-3"), NO_FILE))
    assert told(tap(state=first.state)) == [("dok-3", "302320404")]


def test_a_last_line_waits_wherever_it_breaks_off(tmp_path: Path) -> None:
    whole = line(2, WORDS, of("dok-2", name="Ąžuolas {}"), NO_FILE).encode()
    path = tmp_path / "rejects-1.jsonl"
    for cut in range(1, len(whole) + 1):
        path.write_bytes(line(1, WORDS, of(), NO_FILE).encode() + b"\n" + whole[:cut])
        warnings: list[str] = []
        found = list(Source(str(path), warnings.append).lines(Place()))
        assert len(found) == (2 if cut == len(whole) else 1)
        assert len(warnings) == (cut < len(whole))
    assert warnings == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_that_was_saved_by_windows_tools(tap: RunTap, write: Write, encoding: str) -> None:
    path = write((WORDS, of("dok-ž"), NO_FILE), (WORDS, of("dok-2"), NO_FILE), end="")
    text = path.read_text(encoding="utf-8").replace("\n", "\r\n")
    path.write_bytes(text.encode(encoding))
    first = tap()
    assert told(first) == [("dok-ž", "302320404"), ("dok-2", "302320404")]
    path.write_bytes((text + "\r\n" + line(3, WORDS, of("dok-3"), NO_FILE)).encode(encoding))
    assert told(tap(state=first.state)) == [("dok-3", "302320404")]


def test_half_a_line_that_a_killed_run_left(tap: RunTap, write: Write) -> None:
    torn = line(2, WORDS, of("dok-2"), NO_FILE)[:70]
    path = write((WORDS, of("dok-1"), NO_FILE), end=f"\n{torn}\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(line(3, WORDS, of("dok-2"), NO_FILE) + "\n")
    run = tap()
    assert told(run) == [("dok-1", "302320404"), ("dok-2", "302320404")]
    assert "rejects-1.jsonl, line 2 is incomplete" in run.err
    assert "is incomplete" not in tap(state=run.state).err


def test_a_vendor_that_was_read_before_explains_what_comes(tap: RunTap, write: Write) -> None:
    vendor = ("vendors", of("dok-1", externalId="300", name="UAB „Ąžuolas“"), TOO_LONG)
    path = write(vendor)
    first = tap()
    waited = "Unknown to Vic.ai, and not loaded in this run: vendor 300."
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(line(n, WORDS, of(f"dok-{n}"), waited) for n in (1, 2)) + "\n")
    second = tap(state=first.state)
    # dok-1 was told when the vendor was refused.
    assert told(second) == [("dok-2", "302320404")]
    assert second.records["sync_errors"][0]["message"] == first.records["sync_errors"][0]["message"]


def test_a_file_that_was_replaced_is_read_anew(tap: RunTap, write: Write) -> None:
    write((WORDS, of("dok-1"), NO_FILE), (WORDS, of("dok-2"), NO_FILE))
    first = tap()
    write((WORDS, of("dok-3"), NO_FILE), (WORDS, of("dok-4"), NO_FILE))
    second = tap(state=first.state)
    assert told(second) == [("dok-3", "302320404"), ("dok-4", "302320404")]
    assert "reading it from the start" in second.err
    # A shorter one, too.
    write((WORDS, of("dok-5"), NO_FILE))
    assert told(tap(state=second.state)) == [("dok-5", "302320404")]


def test_files_that_are_gone_are_forgotten(tap: RunTap, write: Write) -> None:
    old, new = write((WORDS, of(), NO_FILE)), write((WORDS, of("dok-2"), NO_FILE), name="rejects-2.jsonl")
    first = tap()
    assert set(first.state["bookmarks"]["sync_errors"]["files"]) == {str(old), str(new)}
    old.unlink()
    second = tap(state=first.state)
    assert told(second) == []
    assert set(second.state["bookmarks"]["sync_errors"]["files"]) == {str(new)}


def test_the_same_refusal_in_a_later_file(tap: RunTap, write: Write) -> None:
    write((WORDS, of(), NO_FILE), name="rejects-b.jsonl")
    first = tap()
    write((WORDS, of(), NO_FILE), (WORDS, of("dok-2"), NO_FILE), name="rejects-a.jsonl")
    assert told(tap(state=first.state)) == [("dok-2", "302320404")]


def test_it_goes_on_where_it_stopped_with_a_catalog_too(tap: RunTap, write: Write) -> None:
    """Meltano hands in what discovery said."""
    write((WORDS, of(), NO_FILE))
    catalog = json.loads(discovered("tap_rejects"))
    first = tap(catalog=catalog)
    assert told(first) == [("dok-1", "302320404")]
    assert told(tap(catalog=catalog, state=first.state)) == []


def test_a_hard_record(tap: RunTap, write: Write) -> None:
    """Half a character, a number of many digits, an unknown field, null."""
    path = write()
    half = line(1, "vendors", of(externalId="300", name="HALF", total=None, vat="DIGITS", naujas={"ą": [1]}), "x")
    path.write_text(half.replace("HALF", "Ž\\ud83d").replace('"DIGITS"', "1234567890123456789.10") + "\n")
    run = tap()
    assert told(run) == [("dok-1", "302320404")]
    assert "pardavėjo Ž? (300)" in run.records["sync_errors"][0]["message"]


def test_many_rejects_and_a_state_that_covers_them(tap: RunTap, write: Write) -> None:
    write(*((WORDS, of(f"dok-{number}"), NO_FILE) for number in range(1203)))
    run = tap()
    assert len(set(told(run))) == 1203
    assert run.messages[-1]["type"] == "STATE"
    assert told(tap(state=run.state)) == []


# Where


@pytest.mark.parametrize(
    "path", ["{}", "{}/", "{}/rejects-*.jsonl", "{}/rejects-{{timestamp}}.jsonl", "{}/**/*-1.jsonl"]
)
def test_a_folder_or_a_glob(write: Write, tmp_path: Path, path: str) -> None:
    file = write((WORDS, of(), NO_FILE))
    (tmp_path / "rejects-folder.jsonl").mkdir()
    assert [Path(found) for found in find(path.format(tmp_path))] == [file]


def test_a_name_like_a_glob(write: Write, tmp_path: Path) -> None:
    (tmp_path / "[a]").mkdir()
    file = write((WORDS, of(), NO_FILE), name="[a]/rejects-[1].jsonl")
    assert find(str(file)) == find(str(file.parent)) == [str(file)]


@pytest.mark.parametrize("path", ["{}/here", "{}/here/rejects.jsonl", "{}/rejects-*.jsonl", "{}/*/x-*.jsonl"])
def test_no_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "here").mkdir()
    assert find(path.format(tmp_path)) == []


def test_no_file_is_nothing_to_do(tap: RunTap) -> None:
    run = tap()
    assert told(run) == []
    assert "nothing to do" in run.err


@pytest.mark.parametrize("path", ["{}/nowhere/rejects-*.jsonl", "{}/nowhere/a.jsonl", "{}/nowhere/", "{}/nowhere"])
def test_a_folder_that_does_not_exist(tmp_path: Path, path: str) -> None:
    with pytest.raises(Stop, match="nowhere"):
        find(path.format(tmp_path))


def test_a_folder_that_does_not_exist_ends_the_run(tap: RunTap, tmp_path: Path) -> None:
    run = tap(path=f"{tmp_path}/nowhere/rejects-*.jsonl", expect=1)
    assert f"the folder {tmp_path}/nowhere does not exist" in run.complaints[-1]


@pytest.mark.parametrize(
    "content",
    ["INFO something else", '{"a": 1}', "[]", '{"type": "RECORD", "stream": "x"}', '{"type": "RECORD"} x', "\udcff"],
)
def test_a_line_that_no_reject_file_holds(write: Write, content: str) -> None:
    path = write((WORDS, of(), NO_FILE))
    with path.open("ab") as file:
        file.write(content.encode(errors="surrogateescape") + b"\n")
    source = Source(str(path), pytest.fail)
    lines = source.lines(Place())
    next(lines)
    with pytest.raises(Stop, match=r"rejects-1.jsonl, line 2: not a line of a reject file"):
        next(lines)
    # So far it was read, and from there the next run goes on.
    whole = path.read_bytes().splitlines(keepends=True)[0]
    assert source.place() == Place(len(whole), hashlib.sha256(whole).hexdigest())


def test_a_file_that_is_no_reject_file(tap: RunTap, write: Write) -> None:
    write((WORDS, of(), NO_FILE), name="rejects-2.jsonl")
    bad = write((WORDS, of("dok-2"), NO_FILE), name="rejects-1.jsonl", end="\nINFO something else\n")
    run = tap(expect=1)
    # What can be read is told all the same, and only once.
    assert sorted(told(run)) == [("dok-1", "302320404"), ("dok-2", "302320404")]
    assert f"{bad}, line 2: not a line of a reject file" in run.complaints[-1]
    again = tap(expect=1, state=run.state)
    assert told(again) == []
    assert "line 2" in again.complaints[-1]


def test_records_that_say_no_reason(tap: RunTap, tmp_path: Path) -> None:
    path = tmp_path / "rejects-1.jsonl"
    path.write_text(
        '{"type": "SCHEMA", "stream": "x", "schema": {}}\n{"type": "RECORD", "stream": "x", "record": {}}\n'
    )
    run = tap(expect=1)
    assert f"{path}, line 2: no record of this file says why" in run.complaints[-1]
    # One from which `rejected` was taken out on purpose, among others.
    path.write_text(path.read_text() + line(3, WORDS, of(), NO_FILE) + "\n")
    assert told(tap()) == [("dok-1", "302320404")]


def test_a_language_that_it_does_not_speak(tap: RunTap) -> None:
    run = tap(language="de", expect=1)
    assert any("language must be lt or en" in words for words in run.complaints)
