"""What a target and its sinks share: unknown fields are told once, and a mark of deletion is known in any spelling."""

from __future__ import annotations

import pytest

from ap_connectors.core.reject_codes import CODES
from ap_connectors.singer.schema import ObjectSchema, canonical
from ap_connectors.singer.sink import UnknownFields, is_deletion, paths
from ap_connectors.singer.worker_pool import Missing


def test_unknown_fields_are_told_once() -> None:
    said: list[str] = []
    fields = UnknownFields("vendors", "Vic.ai", said.append, {canonical("display_name")})
    fields.report({"shoeSize": 1, "displayName": "A", "_sdc_batched_at": 1})
    fields.report({"shoeSize": 2, "hat": None, "colour": "red"})
    fields.report({"hat": 1})
    assert said == [
        "vendors: shoeSize: ignored; Vic.ai has no such field.",
        "vendors: hat, colour: ignored; Vic.ai has no such fields.",
    ]


def test_a_misspelt_field_is_told_what_it_may_mean() -> None:
    said: list[str] = []
    iban = {"type": "object", "properties": {"iban": {"type": "string"}}}
    schema = ObjectSchema.of({"type": "object", "properties": {"externalId": {"type": "string"}, "account": iban}})
    fields = UnknownFields("vendors", "Vic.ai", said.append, known=lambda: paths(schema))
    fields.report({"IBAN": "LT1", "external_idd": "1", "shoeSize": 1})
    assert said == [
        "vendors: IBAN, external_idd, shoeSize: ignored; Vic.ai has no such fields. "
        "Did you mean account.iban, externalId?"
    ]


@pytest.mark.parametrize(
    ("fields", "deleted"),
    [
        ({"_sdc_deleted_at": "2026-01-01T00:00:00Z"}, True),
        ({"_SDC_DELETED_AT": "2026-01-01T00:00:00Z"}, True),
        ({"_sdc_deletedAt": "2026-01-01T00:00:00Z"}, True),
        ({"_sdc_deleted_at": None}, False),
        ({"sdcDeletedAt": "2026-01-01T00:00:00Z"}, False),
        ({"_sdc_batched_at": "2026-01-01T00:00:00Z"}, False),
        ({}, False),
    ],
)
def test_a_mark_of_deletion(fields: dict[str, str | None], deleted: bool) -> None:
    assert is_deletion(fields) is deleted


def test_a_missing_reference_has_a_code() -> None:
    references = [{"kind": "vendor", "key": "V-1"}]
    missing = Missing("Unknown to Vic.ai: vendor V-1.", [("vendors", "V-1")], references)
    assert (missing.code, missing.params) == ("unknown_reference", {"references": references})
    assert missing.parents == {("vendors", "V-1")}
    assert missing.code in CODES
