"""The code and the parameters of every reject: programs go by them, whatever the sentence says."""

from __future__ import annotations

import ast
from pathlib import Path

from ap_connectors.core.reject_codes import CODES

ELSEWHERE = {
    # of target-ivesk: tests/target_ivesk/test_target_ivesk_codes.py
    "comma_in_tag",
    "control_character",
    "no_form_fits",
    "sent_with_another_key",
    # of target-warehouse: tests/target_warehouse
    "key_does_not_fit",
    "too_many_fields",
    "warehouse_refused",
    # test_load_corrections.py
    "moved_to_another_company",
    "no_longer_booked",
    "older_export",
    "corrected_after_posting",
    # of downloads, and of the mapper
    "document_moved_on",
    "document_not_a_pdf",
    "link_expired",
    "no_link",
    "does_not_add_up",
    "due_before_date",
    "kind_set_aside",
    "kind_unknown",
    "no_lines",
    "no_mapping",
    "no_subtotal",
    "kid",
    "seller_is_buyer",
    "seller_without_id",
    "several",
    "sign_of_credit_note",
    "whose_document",
    # of vendors: test_load_document_vendors_unclear.py, test_load_bank_changes.py
    "ambiguous_vendor",
    "bank_account",
    "bank_change",
    "vendor_differs",
    "vendor_without_external_id",
    # of invoices that were rejected before: test_load_postings.py
    "rejected_before",
    # of plans: test_load_apply.py
    "changed_since_plan",
    "not_as_approved",
    "not_in_plan",
    # of a reject that has none
    "unclassified",
}
"""Codes that no record of target-vicai gets."""


def test_every_code_has_a_case() -> None:
    """In a `test_load_codes_*.py`, where a code is written as text."""
    parts = Path(__file__).parent.glob("test_load_codes_*.py")
    nodes = [node for part in parts for node in ast.walk(ast.parse(part.read_text(encoding="utf-8")))]
    written = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert CODES.keys() - written - ELSEWHERE == set()
