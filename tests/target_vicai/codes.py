"""Records that are set aside, and what is checked of their codes and parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Message, Record, Target, load, record
from tests.target_vicai.scene import AT


class Bad(NamedTuple):
    """A record that is set aside, and its reject's code and parameters; text of theirs that is `...` may be any."""

    code: str
    stream: str
    record: Record
    params: Record
    replayed: str | None = None


def account(**changed: Any) -> Record:
    return {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "S"} | changed


def vendor(**changed: Any) -> Record:
    return {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB"} | changed


def order(number: int, **changed: Any) -> Record:
    return {
        "externalId": f"UZS-{number}",
        "poNumber": f"N-{number}",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "50000",
        "lineItems": [order_line(1, "2", "5.00", "10.00"), order_line(2, "1", "3.00", "3.00")],
    } | changed


def check(target: Target, *cases: Bad) -> None:
    """Load all of them at once; each is set aside with its code and its parameters."""
    messages: list[Message] = []
    for case in cases:
        mark = {} if case.replayed is None else {"rejected": {"reason": "-", "at": case.replayed}}
        messages += [load(case.stream, case.record)[0], record(case.stream, **case.record) | mark]
    run = target(messages, expect=1)
    rejects = {message["rejected"]["line"]: message for message in run.rejects}
    assert len(rejects) == len(cases), run.reasons
    for number, case in enumerate(cases):
        ((code, params),) = told([rejects[2 * number + 2]])
        assert code == case.code, rejects[2 * number + 2]["rejected"]
        any_ = {name for name, value in case.params.items() if value is ...}
        assert params.keys() == case.params.keys(), params
        assert {name: value for name, value in params.items() if name not in any_} == {
            name: value for name, value in case.params.items() if name not in any_
        }
    assert run.report["reject_codes"] == {
        code: [case.code for case in cases].count(code) for code in {case.code for case in cases}
    }


def told(rejects: list[Record]) -> list[tuple[str, Any]]:
    """The codes and parameters of rejects; parameters are text, whole numbers, and lists and objects of them."""
    for message in rejects:
        plain(message["rejected"]["params"])
        assert message["rejected"]["reason"]
    return [(message["rejected"]["code"], message["rejected"]["params"]) for message in rejects]


def plain(value: Any) -> None:
    assert type(value) in {str, int, list, dict}, value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        plain(member)
