"""Sync errors, subscriptions, columns: what is validated and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated import call, held

SUBSCRIPTION = {"name": "a", "eventType": "on_exported", "target": "https://example.org/hook?secret=1"}


def test_a_sync_error_is_kept(sandbox: SandboxProcess) -> None:
    error = {"documentid": held(sandbox)[0], "companycode": "302320404", "message": "Šalies „Japan“ nėra."}
    for _ in range(2):
        assert call(sandbox, "POST", "/pub/syncerrors", json=error).status_code == 200
    assert sandbox.control.sync_errors() == [error, error]


@pytest.mark.parametrize("field", ["documentid", "companycode", "message"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_a_sync_error_needs_all_fields(sandbox: SandboxProcess, field: str, value: Any) -> None:
    error = {"documentid": held(sandbox)[0], "companycode": "302320404", "message": "m", field: value}
    assert call(sandbox, "POST", "/pub/syncerrors", json=error).status_code == 400
    assert sandbox.control.sync_errors() == []


@pytest.mark.parametrize("document_id", ["7777707d-594d-420c-9174-ce278f823333", "ž", "1"])
def test_a_sync_error_needs_a_known_document(sandbox: SandboxProcess, document_id: str) -> None:
    error = {"documentid": document_id, "companycode": "302320404", "message": "m"}
    assert call(sandbox, "POST", "/pub/syncerrors", json=error).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_must_be_a_json_object(sandbox: SandboxProcess, body: bytes) -> None:
    assert call(sandbox, "POST", "/pub/syncerrors", data=body).status_code == 400


def test_a_subscription_is_kept_and_cannot_be_read_back(sandbox: SandboxProcess) -> None:
    assert call(sandbox, "POST", "/pub/subscriptions", json=SUBSCRIPTION).status_code == 200
    assert sandbox.control.subscriptions() == [SUBSCRIPTION]
    refused = call(sandbox, "GET", "/pub/subscriptions")
    assert (refused.status_code, list(refused.json())) == (405, ["message"])


@pytest.mark.parametrize(
    "change",
    [{"eventType": "on_paid"}, {"target": "http://example.org"}, {"target": "https://"}, {"target": "x"}, {"name": ""}],
)
def test_a_subscription_is_validated(sandbox: SandboxProcess, change: dict[str, str]) -> None:
    assert call(sandbox, "POST", "/pub/subscriptions", json={**SUBSCRIPTION, **change}).status_code == 400
    assert sandbox.control.subscriptions() == []


def company(sandbox: SandboxProcess) -> str:
    return str(sandbox.control.ivesk(sums=False)["companies"][0]["code"])


def column(sandbox: SandboxProcess, code: str, **query: str) -> list[dict[str, Any]]:
    """All items, by way of `next`."""
    items: list[dict[str, Any]] = []
    while True:
        response = call(sandbox, "GET", f"/pub/columns/{code}", params=query)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert len(answer["items"]) <= 100
        items += answer["items"]
        if "next" not in answer:
            return items
        query["next"] = answer["next"]


def test_a_column_is_served_in_pages(sandbox: SandboxProcess) -> None:
    items = column(sandbox, company(sandbox), column="allocation")
    assert len(items) == 230
    assert len({item["code"] for item in items}) == 230
    assert all(item.keys() == {"code", "description", "modifiedat"} for item in items)


def test_modifiedsince_is_inclusive(sandbox: SandboxProcess) -> None:
    code = company(sandbox)
    items = column(sandbox, code, column="allocation")
    border = sorted(item["modifiedat"] for item in items)[200]
    newer = column(sandbox, code, column="allocation", modifiedsince=border)
    assert newer == [item for item in items if item["modifiedat"] >= border]
    assert 0 < len(newer) < 230


def test_columns_can_be_changed_and_added(sandbox: SandboxProcess) -> None:
    code = company(sandbox)
    before = max(item["modifiedat"] for item in column(sandbox, code, column="allocation"))
    items = [{"code": "A0001", "description": "Pakeista"}, {"code": "Ž9", "modifiedat": "2030-01-01T00:00:00Z"}]
    sandbox.control.columns(code, "allocation", items)
    newer = column(sandbox, code, column="allocation", modifiedsince=before)
    changed = {item["code"]: item for item in newer if item["modifiedat"] > before}
    assert changed["A0001"]["description"] == "Pakeista"
    assert changed["Ž9"] == {"code": "Ž9", "description": None, "modifiedat": "2030-01-01T00:00:00.000Z"}
    assert len(column(sandbox, code, column="allocation")) == 231


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{code}?column=nothing", 404),
        ("999?column=allocation", 404),
        ("{code}", 400),
        ("{code}?column=allocation&next=%FF", 400),
        ("{code}?column=allocation&modifiedsince=x", 400),
    ],
)
def test_wrong_column_calls_are_refused(sandbox: SandboxProcess, path: str, status: int) -> None:
    response = call(sandbox, "GET", f"/pub/columns/{path.format(code=company(sandbox))}")
    assert (response.status_code, list(response.json())) == (status, ["message"])
