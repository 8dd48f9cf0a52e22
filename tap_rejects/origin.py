"""Which ivesk document a refused record stems from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import canonical

_DOCUMENT, _COMPANY = canonical("ivesk_document_id"), canonical("ivesk_company_code")
"""What mapper-ivesk-vicai sends along with everything that it makes of a document."""

_QUEUES = frozenset(map(canonical, ("exported_documents", "digitized_documents")))
"""Streams whose records are ivesk's documents themselves; the mapper sets these aside as they came."""


class Origin(NamedTuple):
    """A document: its id, and the registration code of the company that it belongs to."""

    document: str
    company: str


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields by what all spellings of a name have in common."""
    return {canonical(name): value for name, value in record.items()}


def origin(
    stream: str, record: Mapping[str, Any], company_code: str | None, mark: Mapping[str, Any] | None = None
) -> Origin | None:
    """Return the document that a record stems from; None if it stems from somewhere else.

    Args:
        stream: the record's.
        record: its `fields`.
        company_code: whose document it is where the reject does not say so.
        mark: its member `rejected`; the mapper says there for which company it worked.

    Raises:
        Reject: it stems from a document, but nobody knows whose that is.
    """
    document, company = _text(record.get(_DOCUMENT)), _text(record.get(_COMPANY)) or company_code
    if not document and canonical(stream) in _QUEUES:
        company = _text((mark or {}).get("company_code")) or company_code or _owner(record)
        document = _text(record.get("id"))
    if not document:
        return None
    if not company:
        raise Reject(f"document {document} names no company, so ivesk cannot be told: set company_code")
    return Origin(document, company)


def _owner(document: Mapping[str, Any]) -> str:
    """Return the code of the party that the accountant works for; of the buyer where ivesk does not say which."""
    favourites = [party for party in ("buyer", "seller") if document.get(f"{party}isfavorite") is True]
    codes = (_text(document.get(f"{party}code")) for party in (*favourites, "buyer"))
    return next(filter(None, codes), "")


def _text(value: Any) -> str:
    """Return an id as text; ivesk's are text, and a warehouse may have made numbers of codes."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
