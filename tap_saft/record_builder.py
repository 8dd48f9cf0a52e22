"""Builds the records of the streams from a file's elements, each with its company."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import msgspec

from ap_connectors.core.raw_json import Record
from ap_connectors.core.validate import id_text
from ap_connectors.singer.schema import canonical
from tap_saft import contract, vic
from tap_saft.file_state import FileState
from tap_saft.lines import LineBuilder
from tap_saft.values import Fields, InvalidElement, encode, members, number, record
from tap_saft.walk import Container

# Other countries wrap the facts of a party.
_WRAPPED = ("CompanyStructure",)


class RecordBuilder:
    """Builds the records of one reading of one file.

    Args:
        wanted: streams whose records are to be built.
        state: tells since when a record has been what it is.
        facts: further fields of the header's record: file, size and so on.
        repeated: transactions that occur more than once (see `LineBuilder`).
        warn: reports in a sentence what is odd but not a reason to stop.
    """

    def __init__(
        self,
        wanted: frozenset[str],
        state: FileState,
        facts: Mapping[str, Any],
        repeated: frozenset[int],
        warn: Callable[[str], None],
    ) -> None:
        self._wanted, self._state, self._facts, self._warn = wanted, state, facts, warn
        self.built: dict[str, list[Record]] = {}
        """Records that are not yet handed out, by stream."""
        self.company: Company | None = None
        """The company, once the header was read."""
        self._seen: dict[tuple[str, str], int] = {}
        self._vat_codes: dict[str, tuple[str, Fields]] = {}
        self._lines = LineBuilder(repeated, warn)
        self._sections: dict[str, Callable[[Element], None]] = {
            "header": self._header,
            "accounts": self._account,
            "customers": self._customer,
            "suppliers": self._supplier,
            "tax_codes": self._tax_codes,
            "dimensions": self._dimension,
        }

    def add(self, section: str, element: Element, container: Container) -> None:
        """Build the records of an element.

        Raises:
            InvalidElement: it is invalid.
        """
        if section == "journal_lines":
            if "journal_lines" in self._wanted:
                self._put("journal_lines", self.line(element, container))
        else:
            self._sections[section](element)

    def line(self, element: Element, container: Container) -> Record:
        """Return the record of a line. Raises InvalidElement."""
        return self._lines.build(element, container, self._known().id)

    def finish(self) -> None:
        """Build the records that need all master data: of a VAT code, the entry that counts."""
        for code, (_, plain) in self._vat_codes.items():
            self._ready("vat_codes", plain, {}, code)
        self._vat_codes.clear()

    def _known(self) -> Company:
        if self.company is None:
            raise InvalidElement("there is no Header before it, so its company is unknown")
        return self.company

    def _put(self, stream: str, built: Record) -> None:
        self.built.setdefault(stream, []).append(built)

    def _header(self, element: Element) -> None:
        if self.company is not None:
            raise InvalidElement("a second Header: two files were joined. Give them one by one")
        plain = members(element)
        self.company = company = Company(plain)
        if "header" in self._wanted:
            ours = {"company_id": company.id, **self._facts}
            self._put(
                "header", record(ours | _fenced(plain, frozenset(map(canonical, ours))), contract.kinds("header"))
            )

    def _account(self, element: Element) -> None:
        plain = members(element)
        key = _key(plain, "account_id", "AccountID")
        if "accounts" in self._wanted and self._first("accounts", key):
            self._ready("accounts", vic.account(plain), plain, key)

    def _dimension(self, element: Element) -> None:
        plain = members(element)
        _key(plain, "analysis_type", "AnalysisType")
        _key(plain, "analysis_id", "AnalysisID")
        ours = vic.dimension(plain)
        if "dimensions" in self._wanted and self._first("dimensions", ours["externalId"]):
            self._ready("dimensions", ours, plain, ours["externalId"])

    def _customer(self, element: Element) -> None:
        self._party("customers", "customer_id", element)

    def _supplier(self, element: Element) -> None:
        plain = self._party("suppliers", "supplier_id", element)
        if "vendors" in self._wanted and self._first("vendors", plain["supplier_id"]):
            self._ready("vendors", vic.vendor(plain, self._known().country), {}, plain["supplier_id"])

    def _party(self, stream: str, id_name: str, element: Element) -> Fields:
        plain = members(element, _WRAPPED)
        key = _key(plain, id_name, "CustomerID" if id_name == "customer_id" else "SupplierID")
        if stream in self._wanted:
            ours = {"company_id": self._known().id, "occurrence": self._nth(stream, key)}
            self._put(stream, record(ours | _fenced(plain, _OURS), contract.kinds("parties")))
        return plain

    def _tax_codes(self, element: Element) -> None:
        entry = members(element)
        details = entry.pop("tax_code_details", None)
        kind = entry.pop("tax_type", "")
        for one in details if isinstance(details, list) else [details]:
            # Some countries write the details directly into the entry.
            plain: Fields = {"tax_type": kind, **entry}
            if isinstance(one, dict):
                words = entry.get("description", "")
                rest = {f"entry_{name}": item for name, item in entry.items() if name in one and name != "description"}
                others = {name: item for name, item in entry.items() if name not in one and name != "description"}
                plain = {"tax_type": kind, "tax_type_description": words, **others, **rest, **one}
            self._tax_code(plain)

    def _tax_code(self, plain: Fields) -> None:
        key = _key(plain, "tax_code", "TaxCode")
        if "tax_codes" in self._wanted:
            ours = {"company_id": self._known().id, "occurrence": self._nth("tax_codes", f"{plain['tax_type']}/{key}")}
            self._put("tax_codes", record(ours | _fenced(plain, _OURS), contract.kinds("tax_codes")))
        if "vat_codes" in self._wanted:
            self._choose(key, vic.vat_code(plain))

    def _choose(self, code: str, plain: Fields) -> None:
        """Keep the entry of a code that was the latest to begin when the file was made; of equal ones the first."""
        begins, today = plain.get("activeStartingAt", ""), self._known().created
        known = self._vat_codes.get(code)
        future, known_future = begins[:10] > today[:10], known is not None and known[0][:10] > today[:10]
        better = known is None or (known_future and not future) or (begins > known[0] and future == known_future)
        if known is not None and begins == known[0] and plain != known[1]:
            self._warn(f"tax code {code} has several entries from the same day; in vat_codes the first counts.")
        if better:
            self._vat_codes[code] = begins, plain

    def _ready(self, stream: str, ours: Fields, saft: Fields, key: str) -> None:
        """Add a record in Vic.ai's names, with SAF-T's own beside them."""
        company = self._known()
        if "rate" in ours:
            ours = {**ours, "rate": msgspec.Raw(number(ours["rate"], "TaxPercentage") or b"null")}
        when = self._state.as_of(stream, company.id, key, ours, company.created)
        times = {} if when is None else {"externalUpdatedAt": when}
        own = {name: msgspec.Raw(encode(item)) for name, item in ({"company_id": company.id} | ours | times).items()}
        kinds = contract.kinds(stream) if stream in {"accounts", "dimensions"} else {}
        self._put(stream, own | record(_fenced(saft, vic.RESERVED[stream]), kinds))

    def _nth(self, stream: str, key: str) -> int:
        self._seen[stream, key] = count = self._seen.get((stream, key), 0) + 1
        return count

    def _first(self, stream: str, key: str) -> bool:
        count = self._nth(stream, key)
        if count == 2:
            self._warn(f"{key} occurs more than once; in {stream} the first one counts.")
        return count == 1


_OURS = frozenset({"companyid", "occurrence"})


class Company:
    """The company of a file, as its header says.

    Raises:
        InvalidElement: the header does not name a company.

    Attributes:
        id: registration number of the company, else its number with the tax authority.
        country: of the file; two letters, or empty.
        created: date on which the file was made (AuditFileDateCreated, elsewhere DateCreated), as written; or empty.
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


def _fenced(plain: Mapping[str, Any], reserved: frozenset[str]) -> Fields:
    """Return members under names that have no other meaning, in any spelling: reserved ones get ``saft_`` before."""
    return {f"saft_{name}" if canonical(name) in reserved else name: item for name, item in plain.items()}


def _key(plain: Mapping[str, Any], name: str, element: str) -> str:
    found = plain.get(name)
    if not isinstance(found, str) or not found.strip():
        how = "is missing or empty" if found in (None, "") or isinstance(found, str) else "occurs more than once"
        raise InvalidElement(f"{element} {how}; it is the record's key", None)
    return found
