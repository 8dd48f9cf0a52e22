"""Object storage: pre-signed links in both directions, PDFs, and the errors in XML."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pypdf
import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated import call, page

PDF = b"%PDF-1.7 not much of one"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def error(response: requests.Response) -> tuple[int, str, str]:
    tree = ElementTree.fromstring(response.content)
    return response.status_code, tree.findtext("Code") or "", tree.findtext("Message") or ""


def links(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return list(page(sandbox, "digitized")["documents"])


def test_a_link_gives_a_pdf_that_says_what_the_document_says(sandbox: SandboxProcess) -> None:
    for document in links(sandbox)[:25]:
        response = get(document["url"])
        assert response.headers["content-type"] == "application/pdf"
        assert int(response.headers["content-length"]) == len(response.content)
        text = pypdf.PdfReader(io.BytesIO(response.content), strict=True).pages[0].extract_text()
        flat = " ".join(text.split())
        for name in ("docnum", "buyername", "total"):
            assert str(document[name]) in flat
        assert document["lines"][0]["name"] in flat
        assert get(document["url"]).content == response.content


def test_a_pdf_shows_every_lithuanian_letter_and_overrides(sandbox: SandboxProcess) -> None:
    letters = "ĄČĘĖĮŠŲŪŽ ąčęėįšųūž „Ąžuolas“ – Łódź ķieģelis"
    sandbox.control.add(
        1, instant="2030-01-01T10:00:00Z", overrides={"sellername": letters, "docnum": "Ž-1 (a)\\"}, line_overrides={}
    )
    document = page(sandbox, since="2029-12-31T10:00:00Z")["documents"][0]
    text = pypdf.PdfReader(io.BytesIO(get(document["url"]).content)).pages[0].extract_text()
    assert letters in text
    assert "Ž-1 (a)\\" in text


@pytest.mark.parametrize("filename", ["../../etc/passwd", "..", "a b„č“.pdf", "100%#?.pdf", "š\n.pdf", "\U0001f9fe"])
def test_a_link_works_with_any_file_name_and_id(sandbox: SandboxProcess, filename: str) -> None:
    overrides = {"filename": filename, "id": f"x/../{filename}"}
    sandbox.control.add(1, instant="2030-01-01T10:00:00Z", overrides=overrides)
    document = page(sandbox, since="2029-12-31T10:00:00Z")["documents"][0]
    assert document["filename"] == filename
    assert get(document["url"]).content.startswith(b"%PDF")


def test_a_link_is_refused_with_a_key_a_wrong_signature_or_for_another_document(sandbox: SandboxProcess) -> None:
    first, second = (document["url"] for document in links(sandbox)[:2])
    assert error(get(first, **{"x-api-key": sandbox.api_key}))[0] == 400
    assert error(get(first[:-1] + ("0" if first[-1] != "0" else "1")))[:2] == (403, "SignatureDoesNotMatch")
    swapped = first.partition("?")[0] + "?" + second.partition("?")[2]
    assert error(get(swapped))[:2] == (403, "SignatureDoesNotMatch")
    assert error(get(first.partition("?")[0]))[:2] == (403, "SignatureDoesNotMatch")
    assert error(get(first.replace("Expires=3600", "Expires=9999")))[:2] == (403, "SignatureDoesNotMatch")


def test_links_expire_and_are_made_afresh(sandbox: SandboxProcess) -> None:
    sandbox.control.options(link_seconds=0)
    assert error(get(links(sandbox)[0]["url"])) == (403, "AccessDenied", "Request has expired")
    sandbox.control.options(link_seconds=0.6)
    url = links(sandbox)[0]["url"]
    assert get(url).status_code == 200
    time.sleep(0.65)
    assert error(get(url))[:2] == (403, "AccessDenied")
    assert get(links(sandbox)[0]["url"]).status_code == 200


def test_files_can_be_gone_html_or_short(sandbox: SandboxProcess) -> None:
    document = links(sandbox)[0]
    whole = get(document["url"]).content
    sandbox.control.file(document["id"], "gone")
    assert error(get(document["url"]))[:2] == (404, "NoSuchKey")
    sandbox.control.file(document["id"], "html")
    response = get(document["url"])
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/html")
    sandbox.control.file(document["id"], "short")
    short = get(document["url"]).content
    assert whole.startswith(short)
    assert 0 < len(short) < len(whole)
    sandbox.control.file(document["id"], "ok")
    assert get(document["url"]).content == whole


def location(sandbox: SandboxProcess, name: str = "sąskaita 1/2.pdf", **query: str) -> dict[str, str]:
    response = call(sandbox, "GET", f"/pub/uploadlocation/{quote(name, safe='')}", params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, str] = response.json()
    return answer


def put(answer: dict[str, str], changes: dict[str, str] | None = None, body: bytes = PDF) -> requests.Response:
    headers = {
        "Content-Type": answer["ContentType"],
        "Content-Disposition": answer["ContentDisposition"],
        **(changes or {}),
    }
    return requests.put(answer["url"], data=body, headers={k: v for k, v in headers.items() if v}, timeout=10)


def test_an_upload_is_stored_with_its_options_and_replaced_by_the_next_put(sandbox: SandboxProcess) -> None:
    source = base64.b64encode(json.dumps({"byla": "ž"}).encode()).decode()
    answer = location(sandbox, sourcedata=source, userdata="u1", processlines="true", tags="a,b", warehouse="W")
    assert answer.keys() == {"url", "ContentType", "ContentDisposition"}
    assert answer["url"].startswith(sandbox.url + "/storage/uploads/")
    assert sandbox.control.uploads()[0]["sha256"] is None
    assert put(answer, body=b"first").status_code == 200
    assert put(answer).status_code == 200
    [upload] = sandbox.control.uploads()
    assert upload["name"] == "sąskaita 1/2.pdf"
    assert upload["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert (upload["userdata"], upload["sourcedata"]) == ("u1", {"byla": "ž"})
    assert upload["options"] == {"processlines": True, "tags": ["a", "b"], "warehouse": "W"}


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("new", {"Content-Type", "Content-Disposition"}),
        ("both", {"Content-Type", "Content-Disposition", "ContentType", "ContentDisposition"}),
    ],
)
def test_upload_headers_have_older_and_newer_names(sandbox: SandboxProcess, style: str, names: set[str]) -> None:
    sandbox.control.options(upload_headers=style)
    assert location(sandbox).keys() == names | {"url"}


def test_an_example_of_the_description_is_answered_as_there(sandbox: SandboxProcess) -> None:
    answer = location(sandbox, "somefile.pdf")
    assert answer["ContentType"] == "application/pdf"
    assert answer["ContentDisposition"] == 'filename="somefile.pdf"'


@pytest.mark.parametrize(
    "changes",
    [{"Content-Type": "text/plain"}, {"Content-Disposition": 'filename="b.pdf"'}, {"Content-Disposition": ""}],
)
def test_a_put_needs_exactly_the_signed_headers(sandbox: SandboxProcess, changes: dict[str, str]) -> None:
    assert error(put(location(sandbox), changes))[:2] == (403, "SignatureDoesNotMatch")
    assert sandbox.control.uploads()[0]["sha256"] is None


def test_a_put_is_refused_with_a_key_a_wrong_signature_or_too_late(sandbox: SandboxProcess) -> None:
    answer = location(sandbox)
    assert error(put(answer, {"x-api-key": sandbox.api_key}))[0] == 400
    assert error(put({**answer, "url": answer["url"][:-2] + "zz"}))[:2] == (403, "SignatureDoesNotMatch")
    sandbox.control.options(link_seconds=0)
    assert error(put(location(sandbox))) == (403, "AccessDenied", "Request has expired")
    assert all(upload["sha256"] is None for upload in sandbox.control.uploads())


@pytest.mark.parametrize("query", [{"processlines": "1"}, {"sourcedata": "{}"}, {"sourcedata": "bm90IGpzb24="}])
def test_wrong_upload_options_are_refused(sandbox: SandboxProcess, query: dict[str, str]) -> None:
    assert call(sandbox, "GET", "/pub/uploadlocation/a.pdf", params=query).status_code == 400
    assert sandbox.control.uploads() == []
