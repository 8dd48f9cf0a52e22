"""The field that a reference stands in is named if it is surely that one."""

from __future__ import annotations

from typing import Any

import pytest

from ap_connectors.singer.reject_advice import located


@pytest.mark.parametrize(
    ("kind", "key", "record", "field"),
    [
        ("vendor", "100", {"totalAmount": 100, "vendorExternalId": "100"}, "vendorExternalId"),
        (
            "account",
            "1",
            {"lines": [{"index": 1}, {"costAccount": {"externalId": "1"}}]},
            "lines[1].costAccount.externalId",
        ),
        ("dimension", "7", {"dimensionsExternalIds": ["6", "7"]}, "dimensionsExternalIds[1]"),
        ("vat_code", "25", {"lines": [{"amount": 25, "vatCode": "25"}]}, "lines[0].vatCode"),
        ("invoice", "999", {"internalId": "999", "amount": "999"}, "internalId"),
        # Two may be meant, or none: a document names its vendor by other things.
        ("invoice", "999", {"internalId": "999", "externalId": 999}, None),
        ("vendor", "100", {"totalAmount": 100}, None),
        ("vendor", "true", {"vendorIsNew": True}, None),
    ],
)
def test_the_field_of_a_reference(kind: str, key: str, record: dict[str, Any], field: str | None) -> None:
    reference = {"kind": kind, "key": key}
    expected = reference if field is None else {**reference, "field": field}
    assert located({"references": [reference]}, record) == {"references": [expected]}
    reasons = [{"code": "unknown_reference", "params": {"references": [reference]}}]
    assert located({"reasons": reasons}, record)["reasons"][0]["params"] == {"references": [expected]}
