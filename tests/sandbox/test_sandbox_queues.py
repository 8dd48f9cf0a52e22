"""The two queues: order, pages, borders, filters, and each reading of what the description leaves open."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated import EARLY, call, held, ids, page, pages

LATER = "2030-01-07T09:00:00.000Z"


def codes(sandbox: SandboxProcess) -> list[str]:
    return [company["code"] for company in sandbox.control.ivesk(sums=False)["companies"]]


def favorite(document: dict[str, Any]) -> str:
    side = "seller" if document["sellerisfavorite"] else "buyer"
    return str(document[f"{side}code"])


@pytest.mark.parametrize("key", [None, "other", ""])
@pytest.mark.parametrize("path", ["/pub/exported", "/pub/nothing"])
def test_without_the_key_nothing_is_served(sandbox: SandboxProcess, key: str | None, path: str) -> None:
    headers = {} if key is None else {"x-api-key": key}
    response = requests_get(sandbox.ivesk_url + path, headers)
    assert response.status_code == 401
    assert response.json().keys() == {"message"}


def requests_get(url: str, headers: dict[str, str]) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


@pytest.mark.parametrize(("path", "status"), [("/pub/nothing", 404), ("/other", 404), ("/pub/exported?from=x", 400)])
def test_errors_are_json_messages(sandbox: SandboxProcess, path: str, status: int) -> None:
    response = call(sandbox, "GET", path)
    assert response.status_code == status
    assert isinstance(response.json()["message"], str)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-05", "2026-13-05T00:00:00Z", "2026-01-05T10:00:00"])
def test_from_must_be_an_instant(sandbox: SandboxProcess, since: str) -> None:
    assert call(sandbox, "GET", "/pub/digitized", params={"from": since}).status_code == 400


@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_the_paging_gives_every_document_once_in_order(sandbox: SandboxProcess, queue: str) -> None:
    answers = list(pages(sandbox, queue))
    assert ids(iter(answers)) == held(sandbox, queue)
    documents = [document for answer in answers for document in answer["documents"]]
    assert len({document["id"] for document in documents}) == len(documents) > 250
    instants = [document[f"{queue}at"] for document in documents]
    assert instants == sorted(instants)
    for answer in answers[:-1]:
        assert list(answer) == ["$schema", "documents", "next"]
        assert answer["next"] == answer["documents"][-1][f"{queue}at"]
    assert list(answers[-1]) == ["$schema", "documents"]


def test_an_exported_page_is_one_company_s_and_a_digitized_page_is_not(sandbox: SandboxProcess) -> None:
    exported = [{favorite(document) for document in answer["documents"]} for answer in pages(sandbox)]
    assert {len(companies) for companies in exported} == {1}
    assert len({code for companies in exported for code in companies}) > 5
    digitized = page(sandbox, "digitized")
    assert len(digitized["documents"]) >= 100
    assert len({favorite(document) for document in digitized["documents"]}) > 5


@pytest.mark.parametrize(
    "written", ["2030-01-07T09:00:00.000Z", "2030-01-07T09:00:00Z", "2030-01-07T11:00:00+02:00", "2030-01-07T09:00Z"]
)
def test_from_may_be_written_in_several_ways(sandbox: SandboxProcess, written: str) -> None:
    made = sandbox.control.add(1, instant=LATER)
    assert page(sandbox, since=written)["documents"] == []
    sandbox.control.options(from_is="inclusive")
    assert ids(iter([page(sandbox, since=written)])) == made


def test_finer_digits_than_milliseconds_compare_right(sandbox: SandboxProcess) -> None:
    sandbox.control.add(1, instant=LATER)
    assert len(page(sandbox, since="2030-01-07T08:59:59.999999Z")["documents"]) == 1
    sandbox.control.options(from_is="inclusive")
    assert page(sandbox, since="2030-01-07T09:00:00.000001Z")["documents"] == []


@pytest.mark.parametrize("borders", ["whole", "cut"])
@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_inclusive_paging_repeats_but_loses_nothing_and_ends(sandbox: SandboxProcess, borders: str, queue: str) -> None:
    sandbox.control.options(from_is="inclusive", borders=borders, page_size=7)
    sandbox.control.add(20, instant=LATER)
    got = ids(pages(sandbox, queue))
    assert len(got) > len(set(got))
    assert list(dict.fromkeys(got)) == held(sandbox, queue)


def crowd(sandbox: SandboxProcess) -> tuple[list[str], list[str]]:
    """Six documents on an instant each, then ten of one company and three of another on one instant."""
    first, second = codes(sandbox)[:2]
    sandbox.control.reset(documents=0, page_size=10)
    for second_of in range(6):
        sandbox.control.add(1, instant=f"2030-01-07T08:00:0{second_of}.000Z", company=first)
    return (
        sandbox.control.add(10, instant=LATER, company=first),
        sandbox.control.add(3, instant=LATER, company=second),
    )


def test_borders_whole_keeps_an_instant_together_even_of_two_companies(sandbox: SandboxProcess) -> None:
    crowd(sandbox)
    assert [len(answer["documents"]) for answer in pages(sandbox)] == [19]


def test_borders_cut_cuts_an_instant_unless_it_begins_the_page(sandbox: SandboxProcess) -> None:
    ten, three = crowd(sandbox)
    sandbox.control.options(borders="cut")
    first = page(sandbox)
    assert len(first["documents"]) == 10
    assert first["next"] == LATER
    # What was cut off cannot be had by going on, only by asking again from before.
    assert page(sandbox, since=first["next"])["documents"] == []
    again = page(sandbox, since="2030-01-07T08:59:59.999Z")
    assert ids(iter([again])) == ten + three


def test_borders_hard_cuts_always(sandbox: SandboxProcess) -> None:
    ten, _ = crowd(sandbox)
    sandbox.control.options(borders="hard", page_size=4)
    again = page(sandbox, since="2030-01-07T08:59:59.999Z")
    assert ids(iter([again])) == ten[:4]
    assert again["next"] == LATER


def test_hard_and_inclusive_goes_on_as_long_as_an_instant_fits_a_page(sandbox: SandboxProcess) -> None:
    crowd(sandbox)
    sandbox.control.options(borders="hard", from_is="inclusive", page_size=14)
    got = ids(pages(sandbox))
    assert list(dict.fromkeys(got)) == held(sandbox)


def test_next_always_ends_with_an_empty_page(sandbox: SandboxProcess) -> None:
    sandbox.control.options(next_when="always")
    answers = list(pages(sandbox))
    assert answers[-1]["documents"] == []
    assert answers[-2]["next"] == answers[-2]["documents"][-1]["exportedat"]
    assert ids(iter(answers)) == held(sandbox)


@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_doctype_filters_before_or_after_paging(sandbox: SandboxProcess, queue: str) -> None:
    notes = [d["id"] for d in sandbox.control.documents(queue) if d["doctype"] == "creditnote"]
    assert 5 < len(notes) < 60
    sandbox.control.options(page_size=20)
    before = list(pages(sandbox, queue, doctype="creditnote"))
    sandbox.control.options(doctype_filter="after")
    after = list(pages(sandbox, queue, doctype="creditnote"))
    assert ids(iter(before)) == ids(iter(after)) == notes
    assert all(answer["documents"] for answer in before)
    assert len(after) > len(before)
    assert any(not answer["documents"] and "next" in answer for answer in after)


def test_an_unknown_doctype_gives_nothing(sandbox: SandboxProcess) -> None:
    assert page(sandbox, doctype="poem")["documents"] == []


def test_every_nth_answer_with_a_successor_is_empty(sandbox: SandboxProcess) -> None:
    sandbox.control.options(empty_page_every=2)
    first = page(sandbox, "digitized")
    second = page(sandbox, "digitized", first["next"])
    assert second["documents"] == []
    assert second["next"] == first["next"]
    assert len(page(sandbox, "digitized", second["next"])["documents"]) == 100
    assert ids(pages(sandbox, "digitized", EARLY)) == held(sandbox, "digitized")


def test_latency_is_waited(sandbox: SandboxProcess) -> None:
    sandbox.control.options(latency_ms=150)
    start = time.monotonic()
    page(sandbox)
    assert time.monotonic() - start >= 0.15


def test_extra_fields_come_at_both_levels(sandbox: SandboxProcess) -> None:
    plain = page(sandbox, "digitized")["documents"]
    sandbox.control.options(extra_fields=True)
    more = page(sandbox, "digitized")["documents"]
    added = [more[0].keys() - plain[0].keys(), more[0]["lines"][0].keys() - plain[0]["lines"][0].keys()]
    assert added == [{"approvalstage", "exactweight", "delivery", "prepaid", "costcenter"}, {"batchno", "discount"}]
    assert len(more[0]["exactweight"].as_tuple().digits) == 19
    assert {type(document["costcenter"]) for document in more} == {str, type(None)}
    assert [document["total"] for document in more] == [document["total"] for document in plain]


def test_a_document_has_the_described_fields_and_exact_sums(sandbox: SandboxProcess) -> None:
    documents = sandbox.control.documents("exported", with_url=True)
    line_fields = [
        "lineid",
        "code",
        "name",
        "unit",
        "quantity",
        "price",
        "subtotal",
        "vat",
        "vatpercent",
        "total",
        "vatclass",
        "warehouse",
        "object",
    ]
    for document in documents:
        assert document["url"].startswith(sandbox.url + "/storage/documents/")
        for amount in ("subtotal", "vat", "total"):
            assert document[amount] == sum(line[amount] for line in document["lines"])
        assert document["total"] == document["subtotal"] + document["vat"]
        assert list(document["lines"][0]) == line_fields
        assert {document["sellerisfavorite"], document["buyerisfavorite"]} == {True, False}
    assert {"invoice", "creditnote", "cashreceipt"} <= {document["doctype"] for document in documents}
    assert all(d["total"] < 0 for d in documents if d["doctype"] == "creditnote")
    assert any(d["currency"] != "EUR" and isinstance(d["currencyrate"], Decimal) for d in documents)
    assert 2 < sum(len(d["lines"]) for d in documents) / len(documents) < 4.5
    assert max(len(d["lines"]) for d in documents) > 15


def test_amounts_keep_all_digits(sandbox: SandboxProcess) -> None:
    big = [d for d in sandbox.control.documents() if len(d["total"].as_tuple().digits) == 19]
    assert len(big) == 1
    assert big[0]["total"] == sum(line["total"] for line in big[0]["lines"])
    sandbox.control.options(big_amounts=False)
    assert all(len(d["total"].as_tuple().digits) < 12 for d in sandbox.control.documents())
    sandbox.control.add(1, instant=LATER, overrides={"total": Decimal("0.10")})
    assert b'"total":0.10,' in call(sandbox, "GET", "/pub/digitized", params={"from": "2029-01-01T00:00:00Z"}).content


def test_clicks_share_instants_and_one_is_longer_than_a_page(sandbox: SandboxProcess) -> None:
    sandbox.control.reset(documents=2000)
    instants = [document["exportedat"] for document in sandbox.control.documents()]
    sizes = [len(list(group)) for _, group in groupby(instants)]
    assert max(sizes) == 250
    assert sizes.count(25) >= 5
    assert sizes.count(1) > 50
    assert 0.88 < len(instants) / 2000 < 0.96
    assert len(max(pages(sandbox), key=lambda answer: len(answer["documents"]))["documents"]) >= 250


def test_the_same_seed_gives_the_same_data(sandbox: SandboxProcess) -> None:
    first = list(sandbox.control.document_lines())
    sandbox.control.reset(documents=300, seed=1)
    assert list(sandbox.control.document_lines()) == first
    sandbox.control.reset(documents=300, seed=2)
    assert not set(sandbox.control.document_lines()) & set(first)


def test_ibans_and_codes_have_right_check_digits(sandbox: SandboxProcess) -> None:
    ibans = {d["selleriban"] for d in sandbox.control.documents("digitized")} - {None}
    assert len(ibans) > 30
    for iban in ibans:
        assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
    assert all(len(code) == 9 and code.isdigit() for code in codes(sandbox))


def test_the_schema_describes_what_is_served(sandbox: SandboxProcess) -> None:
    address = page(sandbox)["$schema"]
    schema = requests_get(address, {}).json()
    assert address == schema["$id"]
    described = schema["properties"]["documents"]["items"]["properties"]
    served = {name for document in sandbox.control.documents(with_url=True) for name in document}
    assert served == set(described)
