"""The client of Vic.ai: lists, documents, and what is said when the service says no."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.bodies import body
from ap_connectors.http.session import RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.client import Forbidden, NotFound, Refused, VicaiClient, document_type
from tests.vicai.scripted import TOKEN, Asked, Said, granting, serving

QUICK = RetryPolicy(tries=3, first_pause=0.01, longest_pause=0.02)
INVOICES = 30


@pytest.fixture
def vic(sandbox: SandboxProcess) -> SandboxProcess:
    sandbox.control.reset(documents=0, invoices=INVOICES, vicai={"rate_requests": 0})
    sandbox.control.clear_calls()
    return sandbox


@pytest.fixture
def client(vic: SandboxProcess) -> VicaiClient:
    return VicaiClient(vic.client_id, vic.client_secret, vic.vicai_url, retry_policy=QUICK, timeout=5)


def calls(sandbox: SandboxProcess, part: str) -> list[dict[str, Any]]:
    return [call for call in sandbox.control.calls() if part in call["path"]]


def ids(records: list[Record]) -> list[str | None]:
    return [text(record, "internalId") for record in records]


class TestLists:
    @pytest.mark.parametrize("cursors", ["keyset", "offset"])
    @pytest.mark.parametrize("empty", [0, 2, 3])
    @pytest.mark.parametrize("last", ["absent", "empty"])
    def test_pages_to_the_end(
        self, vic: SandboxProcess, client: VicaiClient, cursors: str, empty: int, last: str
    ) -> None:
        vic.control.vicai.options(cursors=cursors, empty_page_every=empty, last_cursor=last)
        pages = list(client.pages("listAccounts", limit="20", useSystem="INTERNAL"))
        held = [json.loads(line)["internalId"] for line in vic.control.vicai.record_lines("accounts")]
        assert [id_ for page in pages for id_ in ids(page)] == held
        assert all(len(page) <= 20 for page in pages)

    def test_a_page_is_as_long_as_the_service_gives(self, vic: SandboxProcess, client: VicaiClient) -> None:
        assert [len(page) for page in client.pages("listAccounts")] == [100, 30]
        assert all("limit=100" in call["query"] for call in calls(vic, "/accounts"))

    def test_values_are_the_bytes_that_came(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.vicai.touch("accounts", count=1, amount="12345678901234567.890", externalData={"a": None})
        records = [one for page in client.pages("listAccounts", useSystem="INTERNAL") for one in page]
        encoded = [
            b"{" + b",".join(json.dumps(n).encode() + b":" + bytes(v) for n, v in one.items()) + b"}" for one in records
        ]
        assert encoded == list(vic.control.vicai.record_lines("accounts"))

    @pytest.mark.parametrize(
        ("operation", "resource"), [("listPaymentTerms", "paymentTerms"), ("getTaxCodes", "taxCodes")]
    )
    def test_a_lone_object_is_a_list_of_one(
        self, vic: SandboxProcess, client: VicaiClient, operation: str, resource: str
    ) -> None:
        everything = client.whole_list(operation)
        assert len(everything) > 1
        vic.control.vicai.options(lone_objects=True)
        assert client.whole_list(operation) == everything
        vic.control.vicai.delete(resource, [text(one, "id") or "" for one in everything[1:]])
        assert client.whole_list(operation) == everything[:1]
        vic.control.vicai.delete(resource, [text(everything[0], "id") or ""])
        assert client.whole_list(operation) == []

    @pytest.mark.parametrize("operation", ["listAccounts", "listVendors", "listInvoices", "listVatCodes"])
    def test_a_lone_object_elsewhere_is_an_error(self, operation: str) -> None:
        with serving(granting(lambda _: Said({"internalId": "1"}))) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with pytest.raises(Outage, match="unexpected shape"):
                list(vicai.pages(operation))

    @pytest.mark.parametrize("kind", ["reset", "truncate", "html", "html_status", "drip"])
    def test_a_broken_page_is_asked_for_again(self, vic: SandboxProcess, kind: str) -> None:
        vic.control.fault(kind, path="/vicai/v0/accounts", times=2, after=1, seconds=1)
        vicai = VicaiClient(vic.client_id, vic.client_secret, vic.vicai_url, retry_policy=QUICK, timeout=0.4)
        assert sum(len(page) for page in vicai.pages("listAccounts")) == 130
        assert len(calls(vic, "/accounts")) == 4

    def test_cursors_that_go_round_stop(self) -> None:
        around = {None: "a", "a": "b", "b": "a"}

        def script(asked: Asked) -> Said:
            return Said([{"internalId": "1"}], headers=(("X-Next", around[asked.query.get("cursor")]),))

        with serving(granting(script)) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with pytest.raises(Stop, match="listAccounts goes round in a circle"):
                list(vicai.pages("listAccounts"))
            assert len(service.asked) == 4

    def test_cursors_are_sent_as_they_came(self) -> None:
        odd = "a+b/c==&limit=1 %41ą"

        def script(asked: Asked) -> Said:
            following = () if asked.query.get("cursor") else (("x-next", "a+b/c==&limit=1 %41"),)
            return Said([], headers=following)

        with serving(granting(script)) as service:
            list(VicaiClient("me", "secret", service.url).pages("listAccounts", since="2026-01-01T00:00:00.000Z"))
            assert service.asked[-1].query == {
                "limit": "100",
                "since": "2026-01-01T00:00:00.000Z",
                "cursor": odd.removesuffix("ą"),
            }


class TestRefusals:
    def test_forbidden(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.vicai.options(unposted_allowed=False)
        with pytest.raises(Forbidden, match="this company has no right to it: status 403") as caught:
            list(client.pages("listInvoices", state="ALL"))
        assert "Access to invoices that are not posted is restricted; request id " in str(caught.value)
        assert "GET /invoices" in str(caught.value)

    def test_not_found(self, client: VicaiClient) -> None:
        with pytest.raises(NotFound, match=r"GET /vendors/no%2Fsuch%20one%3F: not found: status 404"):
            client.get("getVendor", id="no/such one?")

    def test_refused(self, client: VicaiClient) -> None:
        with pytest.raises(
            Refused, match=r"the service refuses the call: status 400 \(.*nonsense.*; request id [0-9a-f-]{36}\)"
        ):
            list(client.pages("listAccounts", nonsense="1"))

    @pytest.mark.parametrize("status", [400, 405, 409, 413, 415, 422])
    def test_the_service_is_quoted(self, status: int) -> None:
        said = Said({"code": status, "message": "Naudotojo\nklaida: ąč."}, status, (("X-Request-Id", "r-17"),))
        with serving(granting(lambda _: said)) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with pytest.raises(Refused) as caught:
                vicai.get("getVendor", id="7")
            assert len(service.asked) == 2
        quoted = "(Naudotojo klaida: ąč; request id r-17)"
        assert str(caught.value) == f"vicai: GET /vendors/7: the service refuses the call: status {status} {quoted}."

    @pytest.mark.parametrize(
        "content", [b"", b"<html>no</html>", b"[1]", b'{"message": null}', b'{"message": {"a": 1', b"\xff\xfe"]
    )
    def test_without_a_message_it_is_still_a_refusal(self, content: bytes) -> None:
        with serving(granting(lambda _: Said(content, 422))) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with pytest.raises(Refused, match=r"the service refuses the call: status 422\.$"):
                vicai.get("getVendor", id="7")

    def test_a_long_message_is_cut(self) -> None:
        with serving(granting(lambda _: Said({"message": "word " * 10_000}, 422))) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with pytest.raises(Refused) as caught:
                vicai.get("getVendor", id="7")
        assert len(str(caught.value)) < 500

    def test_a_redirect_of_a_call_is_not_followed(self) -> None:
        """The token goes nowhere else."""
        with serving(lambda _: Said({})) as elsewhere:
            away = Said({}, 302, (("Location", f"{elsewhere.url}/here"),))
            with serving(granting(lambda _: away)) as service, pytest.raises(ApError):
                VicaiClient("me", "secret", service.url, retry_policy=QUICK).get("getVendor", id="7")
            assert elsewhere.asked == []

    def test_a_wrong_address_is_named(self, vic: SandboxProcess) -> None:
        wrong = VicaiClient(vic.client_id, vic.client_secret, f"{vic.url}/vicai/v1", retry_policy=QUICK)
        with pytest.raises(Stop, match="Check api_url: it ends in /v0"):
            wrong.company()

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (("", "secret", "https://x/v0"), "client_id: is empty"),
            (("me", "sec ret", "https://x/v0"), "client_secret: is empty or contains"),
            (("me", "secret", "x/v0"), "api_url: is not an address"),
        ],
    )
    def test_settings_are_checked_before_anything_is_sent(self, settings: tuple[str, str, str], words: str) -> None:
        with pytest.raises(Stop, match=words):
            VicaiClient(*settings)


def read(response: requests.Response) -> tuple[str, bytes]:
    return document_type(response), body(response)


class TestDocuments:
    @pytest.fixture
    def invoice(self, vic: SandboxProcess) -> str:
        return str(vic.control.vicai.records("invoices")[0]["internalId"])

    def fetch(self, client: VicaiClient, invoice: str) -> tuple[str, bytes]:
        return client.document("getInvoiceDocument", read, id=invoice, useSystem="INTERNAL")

    def test_directly_or_elsewhere_it_is_the_same(self, vic: SandboxProcess, client: VicaiClient, invoice: str) -> None:
        direct = self.fetch(client, invoice)
        assert direct[0] == "application/pdf"
        assert direct[1].startswith(b"%PDF-")
        assert direct[1].rstrip().endswith(b"%%EOF")
        vic.control.vicai.options(documents_by="redirect")
        assert self.fetch(client, invoice) == direct
        (call,) = calls(vic, "/storage/vicai/")
        assert (call["key"], call["status"]) == ("none", 200)

    def test_the_token_is_not_sent_along(self) -> None:
        with serving(lambda _: Said(b"%PDF-1.7")) as storage:
            away = Said({}, 302, (("Location", f"{storage.url}/a?X-Signature=s3"),))
            with serving(granting(lambda _: away)) as service:
                vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
                assert vicai.document("getInvoiceDocument", read, id="7")[1] == b"%PDF-1.7"
            (asked,) = storage.asked
        assert asked.query == {"X-Signature": "s3"}
        assert "authorization" not in asked.headers
        assert TOKEN not in str(asked)

    @pytest.mark.parametrize("place", ["{own}/files/7", "{other}/a", "http://{at}@{away}/a", "{other}\\\\@{at}/a"])
    def test_a_link_of_a_record_gets_the_token_at_the_api_alone(self, place: str) -> None:
        """As an attachment of an invoice names it; what only looks like the API does not get it either."""
        with serving(lambda _: Said(b"%PDF-1.7")) as away, serving(granting(lambda _: Said(b"%PDF-1.7"))) as service:
            at, other = (urlsplit(one.url).netloc for one in (service, away))
            link = place.format(own=service.url, other=away.url, at=at, away=other)
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            with suppress(Refused, Stop):
                assert vicai.linked(link, read, "attachment 7")[1] == b"%PDF-1.7"
            assert not any(asked.headers.get("authorization", "").startswith("Bearer") for asked in away.asked)
            assert TOKEN not in str(away.asked)
            told = [asked.headers.get("authorization") for asked in service.asked if asked.path.endswith("/files/7")]
            assert told == ([f"Bearer {TOKEN}"] if place.startswith("{own}") else [])

    @pytest.mark.parametrize("location", ["/files/7", "files/7"])
    def test_a_link_may_be_relative(self, location: str) -> None:
        def script(asked: Asked) -> Said:
            return Said(b"%PDF-1.7") if "files" in asked.path else Said({}, 307, (("Location", location),))

        with serving(granting(script)) as service:
            vicai = VicaiClient("me", "secret", service.url, retry_policy=QUICK)
            assert vicai.document("getInvoiceDocument", read, id="7")[1] == b"%PDF-1.7"
            assert "authorization" not in service.asked[-1].headers

    @pytest.mark.parametrize("by", ["direct", "redirect"])
    def test_gone(self, vic: SandboxProcess, client: VicaiClient, invoice: str, by: str) -> None:
        vic.control.vicai.options(documents_by=by)
        vic.control.vicai.document("invoices", invoice, "gone")
        with pytest.raises(NotFound):
            self.fetch(client, invoice)

    def test_gone_from_the_storage(self, vic: SandboxProcess, client: VicaiClient, invoice: str) -> None:
        vic.control.vicai.options(documents_by="redirect")
        vic.control.fault("status", status=404, path="/storage/vicai/")
        with pytest.raises(NotFound, match=r"document behind GET /invoices/\d+/document: the storage does not have it"):
            self.fetch(client, invoice)

    @pytest.mark.parametrize("by", ["direct", "redirect"])
    def test_a_web_page_in_its_place_is_an_outage(
        self, vic: SandboxProcess, client: VicaiClient, invoice: str, by: str
    ) -> None:
        vic.control.vicai.options(documents_by=by)
        vic.control.vicai.document("invoices", invoice, "html")
        with pytest.raises(Outage, match=r"failed 3 times, last: .*HTML page"):
            self.fetch(client, invoice)

    @pytest.mark.parametrize("path", ["/vicai/v0/invoices", "/storage/vicai"])
    def test_shorter_than_announced_every_time_is_an_outage(
        self, vic: SandboxProcess, client: VicaiClient, invoice: str, path: str
    ) -> None:
        vic.control.vicai.options(documents_by="redirect" if "storage" in path else "direct")
        vic.control.fault("truncate", path=path, times=1000)
        with pytest.raises(Outage, match=r"failed 3 times, last: .* broke off in the middle"):
            self.fetch(client, invoice)
        assert len(calls(vic, path)) == 3

    @pytest.mark.parametrize("path", ["/vicai/v0/invoices", "/storage/vicai"])
    @pytest.mark.parametrize("kind", ["truncate", "reset", "html"])
    def test_spoilt_for_once_is_whole_in_the_end(
        self, vic: SandboxProcess, client: VicaiClient, invoice: str, path: str, kind: str
    ) -> None:
        whole = self.fetch(client, invoice)
        vic.control.vicai.options(documents_by="redirect" if "storage" in path else "direct")
        vic.control.fault(kind, path=path)
        assert self.fetch(client, invoice) == whole

    def test_a_refused_link_is_asked_for_anew(self, vic: SandboxProcess, client: VicaiClient, invoice: str) -> None:
        vic.control.vicai.options(documents_by="redirect")
        vic.control.fault("expired", path="/storage/vicai/", times=2)
        assert self.fetch(client, invoice)[1].startswith(b"%PDF-")
        assert len(calls(vic, f"/invoices/{invoice}/document")) == 3 + 3

    def test_links_that_are_always_refused_leave_it_out(
        self, vic: SandboxProcess, client: VicaiClient, invoice: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        vic.control.vicai.options(documents_by="redirect", link_seconds=0)
        with pytest.raises(Refused, match="the storage refuses the link: status 403") as caught:
            self.fetch(client, invoice)
        assert len(calls(vic, "/storage/vicai/")) == 3
        assert "ignature" not in str(caught.value) + caplog.text
