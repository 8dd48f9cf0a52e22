"""Answers that break the contract, or that it leaves open: nothing is lost for them, and one does not end the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeCatalog, Run, runner
from tests.vicai.scripted import TOKEN, Asked, Said, Scripted, serving

Routes = Mapping[str, Said | Callable[[Asked], Said]]
PDF = Said(b"%PDF-1.7 x", headers=(("Content-Type", "application/pdf"),))
COMPANY = "0b8f3a52-8a1d-4c4e-9d0e-3f0f3b2f6c1"


def at(**ago: float) -> str:
    moment = datetime.now(timezone.utc) - timedelta(**ago)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@contextmanager
def vicai(routes: Routes) -> Iterator[Scripted]:
    """Today's service with nothing in it, but for some routes."""

    def answer(asked: Asked) -> Said:
        if asked.path == "/v0/token":
            return Said({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
        if (found := routes.get(asked.path)) is not None:
            return found if isinstance(found, Said) else found(asked)
        if asked.path == "/v0/healthCheck":
            return Said({"status": "PASS", "version": "10.40.4", "company": "Ąžuolas AS"})
        return Said({"data": [], "meta": {"page": {"cursor": None}}}) if "/v2/" in asked.path else Said([])

    with serving(answer) as service:
        yield service


@pytest.fixture
def read(tmp_path: Path, catalog: MakeCatalog) -> Callable[..., Run]:
    def run(service: Scripted, *streams: str, **more: Any) -> Run:
        account = {"client_id": "c", "client_secret": "a-secret-of-these-tests", "api_url": f"{service.url}/v0"}
        return runner("tap_vicai", tmp_path, account)(catalog=catalog(*streams), **more)

    return run


def listed(records: list[dict[str, Any]], time: str) -> Callable[[Asked], Said]:
    """A list by the time of change, in the order of its times."""

    def answer(asked: Asked) -> Said:
        since = asked.query.get("since", "")
        return Said(sorted((one for one in records if one[time] > since), key=lambda one: str(one[time])))

    return answer


def happened(events: list[dict[str, Any]]) -> Callable[[Asked], Said]:
    def answer(asked: Asked) -> Said:
        after, before = asked.query["occurred_after"], asked.query["occurred_before"]
        return Said([one for one in events if after < one["occurred_at"] < before])

    return answer


def test_a_time_that_has_not_come_hides_nothing(read: Callable[..., Run]) -> None:
    """An ERP's slip of the pen, a clock that was wrong: what changes after it still comes, and each change once."""
    accounts = [{"internalId": "old", "internalUpdatedAt": at(days=3)}]
    training = [{"externalId": "old", "externalUpdatedAt": "2026-01-01T00:00:00"}]
    events = [{"id": "old", "type": "ping", "occurred_at": at(days=40), "body": {}}]
    accounts += [{"internalId": "2099", "internalUpdatedAt": "2099-01-01T00:00:00Z"}]
    training += [{"externalId": "2099", "externalUpdatedAt": "2099-01-01T00:00:00"}]
    events += [{"id": "tomorrow", "type": "ping", "occurred_at": at(hours=-20), "body": {}}]
    routes: Routes = {
        "/v0/accounts": listed(accounts, "internalUpdatedAt"),
        "/v0/trainingInvoices": listed(training, "externalUpdatedAt"),
        "/v0/webhooks/events": happened(events),
    }
    keys = {"accounts": "internalId", "training_invoices": "externalId", "webhook_event_log": "id"}
    with vicai(routes) as service:
        state, out = None, []
        for number in range(3):
            run = read(service, *keys, state=state)
            state = run.state
            out.append({stream: [one[key] for one in run.records[stream]] for stream, key in keys.items()})
            accounts.append({"internalId": str(number), "internalUpdatedAt": at()})
            training.append({"externalId": str(number), "externalUpdatedAt": at()[:-1]})
            events.append({"id": str(number), "type": "ping", "occurred_at": at(), "body": {}})
    assert out[0] == {
        "accounts": ["old", "2099"],
        "training_invoices": ["old", "2099"],
        "webhook_event_log": ["old", "tomorrow"],
    }
    assert out[1:] == [{stream: [new] for stream in keys} for new in ("0", "1")]


def test_events_from_the_first_day_of_calendars_and_from_behind_the_last(read: Callable[..., Run]) -> None:
    """Such dates are written for "all", and for "never"; in UTC an offset makes days of them that no calendar has."""
    events = [{"id": "e", "type": "ping", "occurred_at": at(days=1), "body": {}}]
    for start, offset, found in (("0001-01-01T00:00:00", "+14:00", ["e"]), ("9999-12-31T23:59:59", "-12:00", [])):
        with vicai({"/v0/webhooks/events": happened(events)}) as service:
            run = read(service, "webhook_event_log", start_date=start + offset)
            assert [one["id"] for one in run.records["webhook_event_log"]] == found
            # There are no events from before 2024, and each window is a request.
            assert all(one.query.get("occurred_after", "2024") >= "2023-12-31" for one in service.asked)


def test_events_whose_bodies_are_odd(read: Callable[..., Run]) -> None:
    """The body of one event does not keep back the others; what can be read of it, is read."""
    bodies = [
        ({"data": {"internalId": "0", "externalId": None}}, "0"),
        ('{"data":{"internalId":"1"}}', "1"),
        ({"data": '{"internalId":"2"}'}, "2"),
        ({"internalId": 3}, "3"),
        *((odd, None) for odd in ([1], None, {"data": None}, {"data": [1]}, "no JSON", 7, {})),
    ]
    events = [
        {"id": f"e{n}", "type": "invoice_deleted", "occurred_at": at(days=2, seconds=-n), "body": body}
        for n, (body, _) in enumerate(bodies)
    ]
    events.append({"id": "back", "type": "INVOICE_RESTORED", "occurred_at": at(days=1), "body": {"internalId": "0"}})
    events.append({"id": "none", "type": None, "occurred_at": at(days=1), "body": {"internalId": "0"}})
    # How far back the record goes is not said: what is too old is refused.
    oldest = at(days=30, minutes=5)

    def answer(asked: Asked) -> Said:
        refused = Said({"code": 422, "message": "too old"}, status=422)
        return refused if asked.query["occurred_after"] < oldest else happened(events)(asked)

    with vicai({"/v0/webhooks/events": answer}) as service:
        run = read(service, "webhook_event_log", "invoice_deletions")
    assert [one["id"] for one in run.records["webhook_event_log"]] == [one["id"] for one in events]
    told = [(one["event"], one["internalId"]) for one in run.records["invoice_deletions"]]
    assert told == [("invoice_deleted", id_) for _, id_ in bodies] + [("invoice_restored", "0")]
    assert run.err.count("does not say what it is about") == sum(id_ is None for _, id_ in bodies)
    assert "What is older than 30 days is left out" in run.err


def test_files_behind_odd_links(read: Callable[..., Run], tmp_path: Path) -> None:
    """Of a link that cannot be right only the file is missing; the token goes to no other host; names keep endings."""

    def moved(to: str) -> Said:
        return Said(status=302, headers=(("Location", to),))

    with vicai(
        {"/x.pdf": PDF, "/loop": moved("/loop"), "/ftp": moved("ftp://a.b/c"), "/bad": moved("http://[b")}
    ) as far:
        invoice = {"internalId": "7", "internalUpdatedAt": at(days=1), "refNumber": "A/7"}
        odd = ("", None, 7, "no address", "http://[b", "file:///etc/passwd", f"{far.url}/loop", f"{far.url}/ftp")
        files: list[dict[str, Any]] = []
        routes: dict[str, Said | Callable[[Asked], Said]] = {
            "/v0/invoices": Said([invoice]),
            "/v0/invoices/7/document": moved("http://[b"),
            "/v0/invoices/7/supporting-attachments": lambda _: Said(files),
            "/v0/moved": moved(f"{far.url}/x.pdf"),
            "/v0/astray": moved("http://[b"),
            "/v0/own.pdf": PDF,
        }
        with vicai(routes) as service:
            own = [f"{service.url}/v0/{name}" for name in ("moved", "own.pdf", "astray")]
            links = [*own, f"{far.url}/x.pdf", *odd, f"{far.url}/bad"]
            name = "Sąskaita faktūra/../ė 7.pdf"
            files += [{"id": f"a{n}", "filename": name, "downloadUrl": link} for n, link in enumerate(links)]
            streams = ("invoices", "supporting_attachments", "invoice_documents")
            run = read(service, *streams, documents_dir=str(tmp_path / "files"))
            asked = [one.headers.get("authorization") for one in far.asked]
    found = run.records["supporting_attachments"]
    assert [one["id"] for one in found] == [one["id"] for one in files]
    good = [one for one in found if one["path"]]
    assert [one["downloadUrl"] for one in good] == [*own[:2], f"{far.url}/x.pdf"]
    for one in good:
        assert Path(one["path"]).read_bytes() == PDF.content
        assert one["path"].endswith(".pdf")
        assert Path(one["path"]).parent == tmp_path / "files/supporting_attachments/7"
    assert all(one["error"] for one in found if not one["path"])
    assert asked
    assert set(asked) == {None}
    [document] = run.records["invoice_documents"]
    assert "the link cannot be followed" in document["error"]
    assert run.state["bookmarks"]["invoices"]["replication_key_value"] == invoice["internalUpdatedAt"]


def test_rights_that_are_lacking_in_part(read: Callable[..., Run]) -> None:
    """One company, one list of each invoice, the list of companies: said once, counted, and the rest is read."""
    no = Said({"code": 403, "message": "no"}, status=403)

    def of_v2(*records: dict[str, Any]) -> Said:
        return Said({"data": list(records), "meta": {"page": {"cursor": None}}})

    invoices = [{"internalId": str(n), "internalUpdatedAt": at(days=1, seconds=-n)} for n in range(5)]
    routes: dict[str, Said | Callable[[Asked], Said]] = {
        "/v0/invoices": Said(invoices),
        **{f"/v0/invoices/{n}/supporting-attachments": no for n in range(5)},
        "/v2/companies": of_v2(*({"id": f"{COMPANY}{n}", "legacy_id": str(n)} for n in range(3))),
        f"/v2/companies/{COMPANY}0/invoices": of_v2({"id": "a", "updated_at": at(days=2)}),
        f"/v2/companies/{COMPANY}1/invoices": no,
        f"/v2/companies/{COMPANY}2/invoices": of_v2({"id": "c", "updated_at": at(days=2)}),
    }
    routes["/v0/dimensions"] = Said([{"internalId": str(n), "internalUpdatedAt": at(days=1)} for n in range(3)])
    routes |= {f"/v0/dimensions/{n}/dependencies": Said({}, status=404) for n in range(3)}
    streams = ("invoices", "supporting_attachments", "company_invoices", "dimension_dependencies", "payment_terms")
    with vicai(routes) as service:
        first = read(
            service, *streams, company_ids=["0", f"{COMPANY}0".upper(), "1", "2"], missing_rights="fail", expect=1
        )
        assert [one["id"] for one in first.records["company_invoices"]] == ["a", "c"]
        assert len(first.records["invoices"]) == 5
        assert first.err.count("no right to it") == 2
        assert f"company_invoices (company_id {COMPANY}1, status posted) is left out" in first.err
        assert "company_invoices: 2 records" in first.err
        assert "; left out in part." in first.err
        assert "Rights are missing for 2 streams: company_invoices, supporting_attachments" in first.err
        # A service of today that has not switched it on says so of each invoice.
        routes |= {f"/v0/invoices/{n}/supporting-attachments": Said({}, status=404) for n in range(5)}
        absent = read(service, *streams[:2])
        assert len(absent.records["invoices"]) == 5
        assert absent.err.count("supporting-attachments") == 1
        assert "This Vic.ai does not have it" in absent.err
        assert "Rights are missing" not in absent.err
        for status, words in ((403, "no right to it"), (404, "This Vic.ai does not have it")):
            routes["/v2/companies"] = Said({}, status=status)
            run = read(service, *streams[2:4], company_ids=["ALL"], state=first.state)
            assert "company_invoices is left out, the rest goes on. vicai: GET /v2/companies: " in run.err
            assert words in run.err
            assert ("dimension_dependencies is left out" in run.err) == (status == 403)
            routes["/v0/dimensions/1/dependencies"] = Said([])
            # The bookmarks of the companies stay.
            kept = run.state["bookmarks"]["company_invoices"]["partitions"]
            assert kept == first.state["bookmarks"]["company_invoices"]["partitions"]


@pytest.mark.parametrize("inside", [False, True], ids=["beside", "in page"])
def test_pages_as_the_answer_names_them(read: Callable[..., Run], inside: bool) -> None:
    """v2 with facts beside `data` instead of in `page`, cursors that are refused, a byte order mark, doubled keys."""
    bills = [{"id": str(n), "updated_at": at(days=2, seconds=-n)} for n in range(250)]
    companies = [{"id": f"{COMPANY}{n}", "legacy_id": str(n)} for n in range(3)]
    refusals = ["one", "two"]

    def page(records: list[dict[str, Any]], size: int) -> Callable[[Asked], Said]:
        def answer(asked: Asked) -> Said:
            start = int(asked.query.get("cursor", 0))
            if start and refusals:
                return Said({"message": refusals.pop()}, status=422)
            after = asked.query.get("updated_after", "")
            found = [one for one in records if one.get("updated_at", "~") > after]
            until = start + int(asked.query.get("size", size))
            cursor = str(until) if until < len(found) else None
            # Its description can be read so, too: `cursor` is asked for, and `page[cursor]` is not understood.
            return Said(
                {"data": found[start:until], "meta": {"page": {"cursor": cursor}} if inside else {"cursor": cursor}}
            )

        return answer

    bom = b'\xef\xbb\xbf[{"id": "1", "value": "x", "value": "y", "amount": 1234567890123456789.10}]'
    routes: Routes = {
        "/v2/companies": page(companies, 2),
        f"/v2/companies/{COMPANY}2/invoices": page(bills, 100),
        "/v0/tags": Said(bom),
        "/v0/paymentTerms": Said(b'\xef\xbb\xbf{"id": "only"}'),
    }
    with vicai(routes) as service:
        run = read(service, "companies", "company_invoices", "tags", "payment_terms", company_ids=["2"])
    assert run.records["companies"] == companies
    assert [one["id"] for one in run.records["company_invoices"]] == [one["id"] for one in bills]
    assert '"value":"y"' in run.out
    assert "1234567890123456789.10" in run.out
    assert [one["id"] for one in run.records["payment_terms"]] == ["only"]
    assert json.dumps(refusals) == "[]"
