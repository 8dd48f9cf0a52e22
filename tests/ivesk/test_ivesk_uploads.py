"""Places for uploads: how they are named, what the storage says of them, and that they stay secret."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace

import pytest
import requests
import urllib3

from ap_connectors.core.errors import Outage, Retry
from ap_connectors.http.session import RetryPolicy
from ap_connectors.ivesk.client import IveskClient, LinkExpired, LinkRefused
from ap_connectors.ivesk.uploads import Location, drain
from ap_connectors.sandbox.process import SandboxProcess

URL = "https://storage.example/public/21d6d167-edda-4a87?AWSAccessKeyId=ASIAQDMJYDC73OP47GHF&Signature=short"


def client(sandbox: SandboxProcess) -> IveskClient:
    return IveskClient(sandbox.api_key, sandbox.ivesk_url, retry_policy=RetryPolicy(tries=2, first_pause=0.01))


@pytest.mark.parametrize("names", [("ContentType", "ContentDisposition"), ("Content-Type", "content-disposition")])
def test_both_styles_of_headers_are_read_and_any_letter_in_them(names: tuple[str, str]) -> None:
    answer = {"url": URL, names[0]: "application/pdf", names[1]: 'filename="sąskaita.pdf"', "more": None}
    location = Location.read(json.dumps(answer).encode())
    headers = {"Content-Type": b"application/pdf", "Content-Disposition": 'filename="sąskaita.pdf"'.encode()}
    assert (location.url, location.headers) == (URL, headers)
    assert URL not in repr(location)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"url":null}', b"[]"])
def test_what_is_no_place_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(Retry):
        Location.read(body)


def answer(kind: str, body: bytes) -> requests.Response:
    response = requests.Response()
    response.headers["Content-Type"] = kind
    response.raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
    return response


@pytest.mark.parametrize("body", [b"", b"OK", b" \n"])
def test_an_empty_answer_is_done_even_if_it_is_called_a_page(body: bytes) -> None:
    drain(answer("text/html; charset=UTF-8", body))


@pytest.mark.parametrize("body", [b"<html>", b"\n<!DOCTYPE html>", b"\xef\xbb\xbf<html>"])
def test_a_page_is_no_answer(body: bytes) -> None:
    with pytest.raises(Retry, match="HTML page"):
        drain(answer("Text/HTML", body))
    drain(answer("application/xml", body))


def test_the_storage_says_why_it_refuses(sandbox: SandboxProcess) -> None:
    ivesk = client(sandbox)
    location = ivesk.location("a.pdf", {"userdata": "ž"})
    wrong = replace(location, headers={**location.headers, "Content-Type": b"text/plain"})
    with pytest.raises(LinkRefused, match=r"upload of a: the storage refuses .*403, SignatureDoesNotMatch") as refused:
        ivesk.put(wrong, lambda: io.BytesIO(b"%PDF-"), what="a")
    said = refused.value.params.pop("said")
    assert said.startswith("SignatureDoesNotMatch: ")
    assert refused.value.code == "service_refused"
    assert refused.value.params == {"service": "Įvesk", "call": "upload of a", "status": 403}
    sandbox.control.options(link_seconds=0)
    with pytest.raises(LinkExpired) as expired:
        ivesk.put(ivesk.location("a.pdf", {}), lambda: io.BytesIO(b"%PDF-"), what="a")
    assert expired.value.code == "link_expired"
    assert all(upload["sha256"] is None for upload in sandbox.control.uploads())


def test_doubt_is_told_at_once_and_files_are_closed(sandbox: SandboxProcess) -> None:
    ivesk, told, files = client(sandbox), [], []

    def opened() -> io.BytesIO:
        files.append(io.BytesIO(b"%PDF-1"))
        return files[-1]

    sandbox.control.fault("lost", method="PUT", path="/storage")
    ivesk.put(ivesk.location("a.pdf", {}), opened, what="a", find_done=lambda: told.append(1))
    assert (len(told), len(files)) == (1, 2)
    assert all(file.closed for file in files)


def test_a_place_is_secret_while_it_is_in_use(sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
    ivesk = client(sandbox)
    location = ivesk.location("a.pdf", {})
    path, _, query = location.url.partition("?")
    said = []

    def opened() -> io.BytesIO:
        said.append(ivesk.mask(f"{location.url} {query} {path.partition('/storage')[2]}"))
        return io.BytesIO(b"%PDF-1")

    sandbox.control.fault("reset", method="PUT", path="/storage", times=5)
    with caplog.at_level(logging.DEBUG), pytest.raises(Outage) as error:
        ivesk.put(location, opened, what=location.url)
    for text in (*said, str(error.value), caplog.text):
        assert query not in text
        assert query.rpartition("=")[2] not in text
    assert path.rpartition("/")[2] not in str(error.value) + caplog.text
    assert ivesk.mask(location.url) == location.url, "forgotten afterwards, lest every message gets slower"
