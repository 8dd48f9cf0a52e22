"""The company of a file, and what its header says of the file as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ap_connectors.core.validate import id_text
from tap_saft.values import InvalidElement


class Company:
    """The company of a file, as its header says.

    Raises:
        InvalidElement: the header does not name a company.

    Attributes:
        id: registration number of the company, else its number with the tax authority.
        country: of the file; two letters, or empty.
        created: date on which the file was made (AuditFileDateCreated, elsewhere DateCreated), as written; or empty.
        currency: of the books, or empty.
        period: `period_start` and `period_end` of the selection: dates, else year and period; "-" without.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        found = header.get("company")
        company: Mapping[str, Any] = found if isinstance(found, dict) else {}
        taxes = company.get("tax_registration")
        tax = next((one for one in (taxes if isinstance(taxes, list) else [taxes]) if isinstance(one, dict)), {})
        ids = (
            company.get("registration_number"),
            header.get("company_id"),
            tax.get("tax_registration_number"),
            header.get("tax_registration_number"),
        )
        self.id = next((text for one in ids if isinstance(one, str) and (text := id_text(one))), "")
        if not self.id:
            raise InvalidElement("the Header does not name a company: Company/RegistrationNumber is missing", "Company")
        country = header.get("audit_file_country")
        created = header.get("audit_file_date_created") or header.get("date_created")
        self.country = country.strip() if isinstance(country, str) else ""
        self.created = created.strip() if isinstance(created, str) else ""
        currency = header.get("default_currency_code")
        self.currency = currency if isinstance(currency, str) else ""
        self.period = {"period_start": _selected(header, "Start"), "period_end": _selected(header, "End")}


def _selected(header: Mapping[str, Any], end: str) -> str:
    """Return the first or last day of the selection that a header names; else its period, as 2026-01; "-" without."""
    criteria = header.get("selection_criteria")
    found = [one for one in (criteria if isinstance(criteria, list) else [criteria]) if isinstance(one, dict)]
    side = end.lower()
    for one in found:
        if date := id_text(str(one.get(f"selection_{side}_date") or "")):
            return date
    for one in found:
        year, period = (id_text(str(one.get(name) or "")) for name in (f"period_{side}_year", f"period_{side}"))
        if year and period:
            return f"{year}-{period:0>2}"
    return "-"
