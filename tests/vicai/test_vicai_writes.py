"""The client of Vic.ai writes: exactly what was given, exactly once, and says what the service says."""

from __future__ import annotations

import hashlib
import io
import re
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from ap_connectors.core.errors import Outage, Reject, Stop
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.http.request_counts import RequestCounts, counting
from ap_connectors.http.session import RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.client import Forbidden, NotFound, Part, Refused, VicaiClient
from tests.vicai.scripted import Asked, Said, Scripted, granting, serving

QUICK = RetryPolicy(tries=3, first_pause=0.01, longest_pause=0.02)
ACCOUNT = {"name": "Kanceliarinės prekės", "number": "6310", "externalUpdatedAt": "2026-02-01T10:11:12.154"}
LONG = Decimal("12345678901234567.890")
PDF = b"%PDF-1.7 not really\n%%EOF"
SYNC = "3f0e4a3e-6a0f-4a0e-9c55-0d2f5a9f3b11"
VIC = "/vicai/v0"


@pytest.fixture
def vic(sandbox: SandboxProcess) -> SandboxProcess:
    sandbox.control.reset(documents=0, invoices=5, vicai={"rate_requests": 0})
    sandbox.control.clear_calls()
    return sandbox


def make(vic: SandboxProcess, **more: Any) -> VicaiClient:
    more = {"retry_policy": QUICK, "timeout": 5, **more}
    return VicaiClient(vic.client_id, vic.client_secret, vic.vicai_url, **more)


@pytest.fixture
def client(vic: SandboxProcess) -> VicaiClient:
    return make(vic)


def at(service: Scripted, **more: Any) -> VicaiClient:
    return VicaiClient("me", "secret", service.url, retry_policy=QUICK, **more)


def calls(vic: SandboxProcess, method: str) -> list[dict[str, Any]]:
    return [call for call in vic.control.calls() if call["method"] == method and not call["path"].endswith("/token")]


def tag(client: VicaiClient, value: str) -> Callable[[], JsonObject | None]:
    """A look for a tag: the tags are listed, and compared by value."""

    def find_done() -> JsonObject | None:
        found = (msgspec.json.decode(raw) for page in client.raw_pages("listTags") for raw in page)
        return next((one for one in found if one["value"] == value), None)

    return find_done


class TestOnce:
    """Creating is not idempotent, and there is no idempotency key."""

    def create(self, client: VicaiClient) -> JsonObject:
        return client.send("createTag", {"value": "nauja žymė"}, find_done=tag(client, "nauja žymė"))

    def created(self, vic: SandboxProcess) -> list[dict[str, Any]]:
        return [one for one in vic.control.vicai.records("tags") if one["value"] == "nauja žymė"]

    @pytest.mark.parametrize("kind", ["lost", "truncate"])
    def test_when_the_answer_is_lost(self, vic: SandboxProcess, client: VicaiClient, kind: str) -> None:
        vic.control.fault(kind, path=f"{VIC}/tags", method="POST")
        assert [self.create(client)] == self.created(vic)
        assert len(calls(vic, "POST")) == 1

    @pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 502}, {"kind": "html"}])
    def test_when_it_was_not_done(self, vic: SandboxProcess, client: VicaiClient, fault: dict[str, Any]) -> None:
        vic.control.fault(path=f"{VIC}/tags", method="POST", times=2, **fault)
        assert [self.create(client)] == self.created(vic)
        assert (len(calls(vic, "POST")), len(calls(vic, "GET"))) == (3, 2)

    def test_when_the_look_has_its_own_trouble(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.fault("lost", path=f"{VIC}/tags", method="POST")
        vic.control.fault("reset", path=f"{VIC}/tags", method="GET", times=2)
        request_counts = RequestCounts()
        with counting(request_counts):
            assert [self.create(client)] == self.created(vic)
        assert (len(calls(vic, "POST")), len(calls(vic, "GET"))) == (1, 3)
        # Besides, one for the token. The call that was made good by a look was not repeated; the look was, twice.
        assert (request_counts.requests, request_counts.retries) == (5, 2)

    def test_when_every_answer_is_lost(self, vic: SandboxProcess) -> None:
        """The last try did it, and the look after it sees so."""
        client = make(vic, retry_policy=RetryPolicy(tries=1, first_pause=0.01))
        vic.control.fault("lost", path=f"{VIC}/tags", method="POST", times=1000)
        assert [self.create(client)] == self.created(vic)

    def test_when_the_limit_is_exceeded_there_is_no_look(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.fault("status", status=429, retry_after=0, path=f"{VIC}/tags", method="POST", times=2)
        assert [self.create(client)] == self.created(vic)
        assert not calls(vic, "GET")

    def test_when_it_cannot_be_known_it_is_not_repeated(self, vic: SandboxProcess, client: VicaiClient) -> None:
        def find_done() -> JsonObject | None:
            raise Reject("it cannot be known whether the file arrived", "unclassified")

        vic.control.fault("lost", path=f"{VIC}/attachments", method="POST")
        with pytest.raises(Reject, match="it cannot be known"):
            client.upload(
                "uploadAttachment", lambda: [Part("file", PDF, "a.pdf", "application/pdf")], find_done=find_done
            )
        assert len(vic.control.vicai.records("attachments")) == 1
        assert len(calls(vic, "POST")) == 1

    def test_what_may_be_repeated_is(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.fault("lost", path=f"{VIC}/accounts", method="PUT", times=2)
        client.send("upsertAccount", ACCOUNT, id="A-1", useSystem="EXTERNAL")
        assert len(calls(vic, "PUT")) == 3
        assert [one["name"] for one in vic.control.vicai.records("accounts") if one["externalId"] == "A-1"] == [
            ACCOUNT["name"]
        ]


class TestBody:
    def test_is_sent_digit_by_digit(self) -> None:
        body = {
            "amount": LONG,
            "rate": Decimal("0.10"),
            "tiny": Decimal("1E-10"),
            "count": 12345678901234567890123,
            "text": "12345678901234567.890 ąč\u2028",
            "none": None,
            "raw": msgspec.Raw(b'{"a": 1.0}'),
        }
        with serving(granting(lambda _: Said({"amount": 1}))) as service:
            at(service).send("upsertVendor", body, id="a/b ą", useSystem="EXTERNAL")
        sent = service.asked[-1]
        assert sent.body.decode() == (
            '{"amount":12345678901234567.890,"rate":0.10,"tiny":1E-10,"count":12345678901234567890123,'
            '"text":"12345678901234567.890 ąč\u2028","none":null,"raw":{"a": 1.0}}'
        )
        assert (sent.method, sent.path, sent.query) == ("PUT", "/vendors/a%2Fb%20%C4%85", {"useSystem": "EXTERNAL"})
        assert sent.headers["content-type"] == "application/json"
        assert sent.headers["authorization"].startswith("Bearer ")

    def test_comes_back_digit_by_digit(self, vic: SandboxProcess, client: VicaiClient) -> None:
        lines = [{"amount": LONG, "costAccount": {"number": "6300"}}]
        made = client.send("createInvoice", {"transactionType": "INVOICE", "externalId": "I-1", "lineItems": lines})
        assert str(made["lineItems"][0]["amount"]) == str(LONG)
        (line,) = vic.control.vicai.line_items(made["internalId"])
        assert str(line["amount"]) == str(LONG)
        ((listed,),) = client.raw_pages("getInvoicelineItems", id="I-1", useSystem="EXTERNAL")
        assert str(LONG).encode() in bytes(listed)
        found = client.found("getInvoice", id="I-1", useSystem="EXTERNAL")
        assert found == made

    def test_may_be_missing(self) -> None:
        with serving(granting(lambda _: Said({"status": "CLOSED"}))) as service:
            assert at(service).send("closePurchaseOrder", purchaseOrderId="7") == {"status": "CLOSED"}
        sent = service.asked[-1]
        assert (sent.body, sent.headers["content-length"]) == (b"", "0")
        assert "content-type" not in sent.headers

    @pytest.mark.parametrize(
        ("said", "plain"),
        [
            (b"", {}),
            (b" \n", {}),
            (b"[]", {}),
            (b"null", {}),
            (b'"done"', {}),
            (b'{"a": 1.10, "b": 1, "c": [1e2]}', {"a": Decimal("1.10"), "b": 1, "c": [Decimal("1E+2")]}),
        ],
    )
    def test_of_the_answer_is_plain(self, said: bytes, plain: JsonObject) -> None:
        with serving(granting(lambda _: Said(said))) as service:
            answer = at(service).send("upsertVendor", {}, id="7")
        assert repr(answer) == repr(plain)

    def test_of_the_answer_may_be_missing(self, vic: SandboxProcess, client: VicaiClient) -> None:
        id_ = client.send("createTag", {"value": "x"})["id"]
        assert client.send("deleteTag", id=id_) == {}
        assert calls(vic, "DELETE")[0]["status"] == 204


class TestRequestId:
    def test_goes_with_what_writes_and_with_nothing_else(self, vic: SandboxProcess) -> None:
        client = make(vic, request_id=SYNC)
        client.send("upsertAccount", ACCOUNT, id="A-1", useSystem="EXTERNAL")
        client.send("createTag", {"value": "x"}, find_done=tag(client, "x"))
        client.upload("uploadAttachment", lambda: [Part("file", PDF, "a.pdf", "application/pdf")])
        client.send("deleteAccount", id="A-1", useSystem="EXTERNAL")
        client.found("getAccount", id="A-1", useSystem="EXTERNAL")
        list(client.raw_pages("listVendors"))
        list(client.raw_pages("listTags"))
        log = vic.control.calls()
        assert {call["method"] for call in log if call["request_id"]} == {"PUT", "POST", "DELETE"}
        for call in log:
            writes = call["method"] != "GET" and not call["path"].endswith("/token")
            assert call["request_id"] == (SYNC if writes else None), call

    def test_is_none_unless_given(self, vic: SandboxProcess, client: VicaiClient) -> None:
        client.send("createTag", {"value": "x"})
        assert not any(call["request_id"] for call in vic.control.calls())

    @pytest.mark.parametrize("wrong", ["", "ąč", "a\nb"])
    def test_must_fit_a_header(self, wrong: str) -> None:
        with pytest.raises(Stop, match="request_id"):
            VicaiClient("me", "secret", "http://127.0.0.1", request_id=wrong)


class TestRefusals:
    def test_name_the_call_and_quote_the_service(self, client: VicaiClient) -> None:
        client.send("createInvoice", {"transactionType": "INVOICE", "externalId": "I-1"})
        with pytest.raises(Refused) as caught:
            client.send("createInvoice", {"transactionType": "INVOICE", "externalId": "I-1"})
        assert caught.value.status == 422
        assert re.fullmatch(
            r"vicai: POST /invoices: the service refuses the call: status 422 \(.+; request id [0-9a-f-]{36}\)\.",
            str(caught.value),
        )

    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            (400, Refused, "service_refused"),
            (403, Forbidden, "no_right"),
            (404, NotFound, "not_found"),
            (409, Refused, "service_refused"),
            (410, NotFound, "not_found"),
            (413, Refused, "service_refused"),
        ],
    )
    def test_have_their_status_and_a_code(
        self,
        vic: SandboxProcess,
        client: VicaiClient,
        status: int,
        kind: type[Refused | Forbidden | NotFound],
        code: str,
    ) -> None:
        vic.control.fault("status", status=status, path=f"{VIC}/vendors")
        with pytest.raises(kind, match=rf"DELETE /vendors/7: .*status {status} \(.*told to answer {status}") as caught:
            client.send("deleteVendor", id="7", useSystem="EXTERNAL")
        assert caught.value.status == status
        assert caught.value.code == code
        assert caught.value.params == {
            "service": "Vic.ai",
            "call": "DELETE /vendors/7",
            "status": status,
            "said": f"The sandbox was told to answer {status}",
        }
        assert len(calls(vic, "DELETE")) == 1

    def test_another_address_is_one(self) -> None:
        elsewhere = Said({}, 308, (("Location", "https://elsewhere.test/v0/vendors/7"),))
        with (
            serving(granting(lambda _: elsewhere)) as service,
            pytest.raises(Refused, match="another address") as caught,
        ):
            at(service).send("upsertVendor", {"name": "x"}, id="7")
        assert caught.value.status == 308
        assert service.paths() == ["/token", "/vendors/7"]


class TestFound:
    def test_one_object_with_all_digits(self, vic: SandboxProcess, client: VicaiClient) -> None:
        (id_,) = vic.control.vicai.touch("vendors", count=1, externalData={"rate": LONG, "count": 3})
        found = client.found("getVendor", id=id_, useSystem="INTERNAL")
        assert found is not None
        assert repr(found["externalData"]) == repr({"rate": LONG, "count": 3})

    def test_none(self, vic: SandboxProcess, client: VicaiClient) -> None:
        assert client.found("getVendor", id="unknown", useSystem="EXTERNAL") is None
        vic.control.fault("status", status=410, path=f"{VIC}/vendors")
        assert client.found("getVendor", id="unknown") is None

    @pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (400, Refused), (500, Outage)])
    def test_no_answer_is_not_none(
        self, vic: SandboxProcess, client: VicaiClient, status: int, kind: type[Exception]
    ) -> None:
        vic.control.fault("status", status=status, path=f"{VIC}/vendors", times=1000)
        with pytest.raises(kind):
            client.found("getVendor", id="7")


class TestRaw:
    def test_pages_are_the_bytes_that_came(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.vicai.touch("accounts", count=1, amount="12345678901234567.890", externalData={"a": None})
        pages = list(client.raw_pages("listAccounts", useSystem="INTERNAL"))
        assert [len(page) for page in pages] == [100, 30]
        assert [bytes(raw) for page in pages for raw in page] == list(vic.control.vicai.record_lines("accounts"))

    def test_cursors_that_go_round_stop(self) -> None:
        with serving(granting(lambda _: Said([{}], headers=(("X-Next", "a"),)))) as service:
            with pytest.raises(Stop, match="listAccounts goes round in a circle"):
                list(at(service).raw_pages("listAccounts"))
            assert len(service.asked) == 3

    @pytest.mark.parametrize(
        ("said", "raw"),
        [
            (b"[]", []),
            (b' [{"a": 1.0}, {"b":2}]', [b'{"a": 1.0}', b'{"b":2}']),
            (b' {"a": 1.0} ', [b'{"a": 1.0}']),
            (b'{"a": "\\ud800"}', [b'{"a": "\\ufffd"}']),
        ],
    )
    def test_a_lone_object_is_a_list_of_one(self, said: bytes, raw: list[bytes]) -> None:
        with serving(granting(lambda _: Said(said))) as service:
            assert [[bytes(one) for one in page] for page in at(service).raw_pages("listPaymentTerms")] == [raw]

    @pytest.mark.parametrize("said", [b"null", b"7", b'"{"', b""])
    def test_anything_else_is_no_list(self, said: bytes) -> None:
        with serving(granting(lambda _: Said(said))) as service, pytest.raises(Outage):
            list(at(service).raw_pages("listPaymentTerms"))


class Opened(io.BytesIO):
    """A file that is noted, to see whether it was closed."""

    def __init__(self, content: bytes, every: list[Opened]) -> None:
        super().__init__(content)
        assert all(one.closed for one in every), "the file of the try before is still open"
        every.append(self)


def document(content: bytes | IO[bytes], name: str = 'sąskaita "7".pdf') -> list[Part]:
    return [Part("document", content, name, "application/pdf")]


class TestUpload:
    @pytest.fixture
    def invoice(self, client: VicaiClient) -> str:
        client.send("createInvoice", {"transactionType": "INVOICE", "externalId": "I-1"})
        return "I-1"

    def test_file_and_bytes_arrive_as_they_are(self, client: VicaiClient, invoice: str, tmp_path: Path) -> None:
        content = PDF + bytes(range(256)) * 5000 + b"\r\n--"
        path = tmp_path / "a.pdf"
        path.write_bytes(content)
        made = client.upload(
            "uploadDocumentInvoice", lambda: document(path.open("rb")), id=invoice, useSystem="EXTERNAL"
        )
        assert made["externalId"] == invoice
        read = client.document("getInvoiceDocument", lambda answer: answer.content, id=invoice, useSystem="EXTERNAL")
        assert read == content

    def test_a_form_is_as_the_contract_wants_it(self) -> None:
        data = b'{"amount":12345678901234567.890}'
        parts = [
            Part("invoiceData", data, None, "application/json"),
            Part("invoiceDocument", io.BytesIO(PDF), 'są "7"\r\n.pdf', "application/pdf"),
        ]
        with serving(granting(lambda _: Said({}, 201))) as service:
            assert at(service, request_id=SYNC).upload("upsertTrainingInvoice", lambda: parts, id="T-1") == {}
        sent = service.asked[-1]
        boundary = sent.headers["content-type"].removeprefix("multipart/form-data; boundary=")
        assert re.fullmatch("[0-9a-f]{32}", boundary)
        assert sent.headers["content-length"] == str(len(sent.body))
        assert sent.headers["x-request-id"] == SYNC
        assert sent.body.decode() == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="invoiceData"\r\n'
            f"Content-Type: application/json\r\n\r\n{data.decode()}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="invoiceDocument"; '
            f'filename="są %227%22%0D%0A.pdf"\r\nContent-Type: application/pdf\r\n\r\n{PDF.decode()}\r\n'
            f"--{boundary}--\r\n"
        )

    def test_of_a_training_invoice(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vendor = next(one for one in vic.control.vicai.records("vendors") if one.get("externalId"))
        data = {
            "transactionType": "INVOICE",
            "refNumber": "7",
            "vendorExternalId": vendor["externalId"],
            "externalUpdatedAt": "2026-02-01T10:11:12.154",
            "lineItems": [{"amount": LONG}],
        }
        encoded = msgspec.json.Encoder(decimal_format="number").encode(data)
        client.upload(
            "upsertTrainingInvoice",
            lambda: [
                Part("invoiceData", encoded, None, "application/json"),
                Part("invoiceDocument", PDF, "a.pdf", "application/pdf"),
            ],
            id="T-1",
        )
        found = client.found("getTrainingInvoice", id="T-1")
        assert found is not None
        assert str(found["lineItems"][0]["amount"]) == str(LONG)
        assert client.exists("getTrainingInvoiceDocument", id="T-1")

    @pytest.mark.parametrize(
        "fault", [{"kind": "reset"}, {"kind": "status", "status": 503}, {"status": 401, "kind": "status"}]
    )
    def test_is_opened_anew_for_every_try_and_closed(
        self, vic: SandboxProcess, client: VicaiClient, invoice: str, fault: dict[str, Any]
    ) -> None:
        vic.control.fault(path=f"{VIC}/invoices/{invoice}/document", method="POST", **fault)
        every: list[Opened] = []
        client.upload("uploadDocumentInvoice", lambda: document(Opened(PDF, every)), id=invoice, useSystem="EXTERNAL")
        assert [one.closed for one in every] == [True, True]
        read = client.document("getInvoiceDocument", lambda answer: answer.content, id=invoice, useSystem="EXTERNAL")
        assert read == PDF

    def test_once_when_the_answer_is_lost(self, vic: SandboxProcess, client: VicaiClient, invoice: str) -> None:
        """A document can be attached once only: to repeat it blindly would make a refusal of a success."""
        which = {"id": invoice, "useSystem": "EXTERNAL"}

        def find_done() -> JsonObject | None:
            return client.found("getInvoice", **which) if client.exists("getInvoiceDocument", **which) else None

        vic.control.fault("lost", path=f"{VIC}/invoices/{invoice}/document", method="POST")
        made = client.upload("uploadDocumentInvoice", lambda: document(PDF), find_done=find_done, **which)
        assert made["externalId"] == invoice
        assert len([call for call in calls(vic, "POST") if call["path"].endswith("/document")]) == 1

    @pytest.mark.parametrize("more", [-1, 1])
    def test_of_a_file_that_changes_meanwhile_is_a_reject(self, client: VicaiClient, invoice: str, more: int) -> None:
        class Changing(io.BytesIO):
            """A file that was longer or shorter when its length was taken."""

            def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
                return super().seek(place, whence) - (more if whence == io.SEEK_END else 0)

        with pytest.raises(Reject, match=r"sąskaita .* changed while it was being sent") as caught:
            client.upload("uploadDocumentInvoice", lambda: document(Changing(PDF)), id=invoice, useSystem="EXTERNAL")
        assert caught.value.code == "document_changed"
        assert not client.exists("getInvoiceDocument", id=invoice, useSystem="EXTERNAL")

    def test_takes_little_memory(self, vic: SandboxProcess, client: VicaiClient, tmp_path: Path) -> None:
        path, digest, megabyte = tmp_path / "a.pdf", hashlib.sha256(), 1024 * 1024
        with path.open("wb") as file:
            for number in range(40):
                piece = bytes([number]) * megabyte
                file.write(piece)
                digest.update(piece)
        client.company()
        tracemalloc.start()
        try:
            client.upload("uploadAttachment", lambda: [Part("file", path.open("rb"), "a.pdf", "application/pdf")])
            assert tracemalloc.get_traced_memory()[1] < 2 * megabyte
        finally:
            tracemalloc.stop()
        (kept,) = vic.control.vicai.records("attachments")
        assert (kept["bytes"], kept["sha256"]) == (40 * megabyte, digest.hexdigest())


class TestExists:
    @pytest.mark.parametrize("by", ["direct", "redirect"])
    def test_sees_a_document_without_reading_it(self, vic: SandboxProcess, client: VicaiClient, by: str) -> None:
        vic.control.vicai.options(documents_by=by)
        invoice = str(vic.control.vicai.records("invoices")[0]["internalId"])
        which = {"id": invoice, "useSystem": "INTERNAL"}
        assert client.exists("getInvoiceDocument", **which) is True
        assert not [call for call in vic.control.calls() if "/storage/" in call["path"]]
        vic.control.vicai.document("invoices", invoice, "gone")
        if by == "direct":
            assert client.exists("getInvoiceDocument", **which) is False

    @pytest.mark.parametrize("status", [404, 410])
    def test_sees_none(self, vic: SandboxProcess, client: VicaiClient, status: int) -> None:
        assert client.exists("getInvoiceDocument", id="unknown", useSystem="INTERNAL") is False
        vic.control.fault("status", status=status, path=f"{VIC}/invoices")
        assert client.exists("getInvoiceDocument", id="1") is False

    def test_a_web_page_is_no_document(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.fault("html", path=f"{VIC}/invoices", times=1000)
        with pytest.raises(Outage, match="HTML page"):
            client.exists("getInvoiceDocument", id="1")

    def test_no_answer_is_not_false(self, vic: SandboxProcess, client: VicaiClient) -> None:
        vic.control.fault("status", status=403, path=f"{VIC}/invoices")
        with pytest.raises(Forbidden):
            client.exists("getInvoiceDocument", id="1")


def test_json_sent_twice_is_the_same(vic: SandboxProcess) -> None:
    bodies: list[bytes] = []

    def script(asked: Asked) -> Said:
        bodies.append(asked.body)
        return Said({}, 503 if len(bodies) < 3 else 200)

    with serving(granting(script)) as service:
        at(service).send("upsertVendor", {"name": "x", "amount": LONG}, id="7")
    assert bodies == [b'{"name":"x","amount":12345678901234567.890}'] * 3
