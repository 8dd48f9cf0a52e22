"""Several reasons in one reject, and what it shows to programs."""

from __future__ import annotations

from ap_connectors.core.errors import Reject

FIRST = Reject("total is missing.", "missing_field", fields=["total"])
SECOND = Reject("It has no lines.", "no_lines")


def test_one_reason_stays_as_it_is() -> None:
    assert Reject.several([FIRST]) is FIRST


def test_several_reasons_are_one_reject() -> None:
    both = Reject.several([FIRST, SECOND])
    assert (str(both), both.code) == ("total is missing. It has no lines.", "several")
    assert both.params["reasons"] == [
        {"code": "missing_field", "params": {"fields": ["total"]}, "reason": "total is missing."},
        {"code": "no_lines", "params": {}, "reason": "It has no lines."},
    ]
    assert str(Reject.several([FIRST, SECOND], joint="; ")) == "total is missing; It has no lines."


def test_several_among_several_count_as_their_parts() -> None:
    inner = Reject.several([FIRST, SECOND], joint="; ")
    outer = Reject.several([inner, Reject("id is missing.", "missing_field", fields=["id"])])
    assert str(outer) == "total is missing; It has no lines. id is missing."
    assert [reason["code"] for reason in outer.params["reasons"]] == ["missing_field", "no_lines", "missing_field"]


def test_texts_inside_parameters_are_changed_too() -> None:
    shown = Reject.several([FIRST, SECOND]).shown(str.upper)
    assert shown["params"]["reasons"][0]["params"] == {"fields": ["TOTAL"]}
