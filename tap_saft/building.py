"""What a file's elements become: records of the streams, each with the company whose books they are from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import msgspec

from ap_connectors.core.raw_json import Record
from ap_connectors.singer.schema import canonical
from tap_saft import contract, vic
from tap_saft.lines import Lines
from tap_saft.memory import Memory
from tap_saft.plain import Plain, Unfit, encode, members, number, record
from tap_saft.walk import Holder

# Other countries wrap what a company says about itself.
_WRAPPED = ("CompanyStructure",)


class Building:
    """Builds the records of one reading of one file.

    Args:
        wanted: streams whose records are to be built.
        memory: tells since when a record has looked as it does.
        facts: what the header's record says beside the header: file, size and so on.
        repeated: transactions whose ids come more than once (`Lines`).
        warn: takes a sentence on what is odd but no reason to stop.
    """

    def __init__(
        self,
        wanted: frozenset[str],
        memory: Memory,
        facts: Mapping[str, Any],
        repeated: frozenset[int],
        warn: Callable[[str], None],
    ) -> None:
        self._wanted, self._memory, self._facts, self._warn = wanted, memory, facts, warn
        self.built: dict[str, list[Record]] = {}
        """Records that nobody has taken yet, by stream."""
        self.company: Company | None = None
        """What the header says, once it has come."""
        self._seen: dict[tuple[str, str], int] = {}
        self._vat_codes: dict[str, tuple[str, Plain]] = {}
        self._lines = Lines(repeated, warn)
        self._sections: dict[str, Callable[[Element], None]] = {
            "header": self._header,
            "accounts": self._account,
            "customers": self._customer,
            "suppliers": self._supplier,
            "tax_codes": self._tax_codes,
            "dimensions": self._dimension,
        }

    def add(self, section: str, element: Element, holder: Holder) -> None:
        """Build the records of an element.

        Raises:
            Unfit: it is not what it should be.
        """
        if section == "journal_lines":
            if "journal_lines" in self._wanted:
                self._put("journal_lines", self.line(element, holder))
        else:
            self._sections[section](element)

    def line(self, element: Element, holder: Holder) -> Record:
        """Return the record of a line. Raises Unfit."""
        return self._lines.build(element, holder, self._known().id)

    def finish(self) -> None:
        """Build what can only be told when the master data are known: of a VAT code, the entry that counts."""
        for code, (_, plain) in self._vat_codes.items():
            self._ready("vat_codes", plain, {}, code)
        self._vat_codes.clear()

    def _known(self) -> Company:
        if self.company is None:
            raise Unfit("there is no Header before it, so nobody knows whose books these are")
        return self.company

    def _put(self, stream: str, built: Record) -> None:
        self.built.setdefault(stream, []).append(built)

    def _header(self, element: Element) -> None:
        if self.company is not None:
            raise Unfit("a second Header: two files were put together. Give them one by one")
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

    def _party(self, stream: str, id_name: str, element: Element) -> Plain:
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
            # Some countries write the details straight into the entry.
            plain: Plain = {"tax_type": kind, **entry}
            if isinstance(one, dict):
                words = entry.get("description", "")
                rest = {f"entry_{name}": item for name, item in entry.items() if name in one and name != "description"}
                others = {name: item for name, item in entry.items() if name not in one and name != "description"}
                plain = {"tax_type": kind, "tax_type_description": words, **others, **rest, **one}
            self._tax_code(plain)

    def _tax_code(self, plain: Plain) -> None:
        key = _key(plain, "tax_code", "TaxCode")
        if "tax_codes" in self._wanted:
            ours = {"company_id": self._known().id, "occurrence": self._nth("tax_codes", f"{plain['tax_type']}/{key}")}
            self._put("tax_codes", record(ours | _fenced(plain, _OURS), contract.kinds("tax_codes")))
        if "vat_codes" in self._wanted:
            self._choose(key, vic.vat_code(plain))

    def _choose(self, code: str, plain: Plain) -> None:
        """Keep the entry of a code that is the latest to have begun when the file was made; of equal ones the first."""
        begins, today = plain.get("activeStartingAt", ""), self._known().created
        known = self._vat_codes.get(code)
        future, known_future = begins[:10] > today[:10], known is not None and known[0][:10] > today[:10]
        better = known is None or (known_future and not future) or (begins > known[0] and future == known_future)
        if known is not None and begins == known[0] and plain != known[1]:
            self._warn(f"tax code {code} has several entries from the same day; in vat_codes the first counts.")
        if better:
            self._vat_codes[code] = begins, plain

    def _ready(self, stream: str, ours: Plain, saft: Plain, key: str) -> None:
        """Put out a record in Vic.ai's names, with SAF-T's own beside them."""
        company = self._known()
        if "rate" in ours:
            ours = {**ours, "rate": msgspec.Raw(number(ours["rate"], "TaxPercentage") or b"null")}
        when = self._memory.as_of(stream, company.id, key, ours, company.created)
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
            self._warn(f"{key} comes more than once; in {stream} the first one counts.")
        return count == 1


_OURS = frozenset({"companyid", "occurrence"})


class Company:
    """What a header says of whose books a file holds.

    Raises:
        Unfit: it names no company.

    Attributes:
        id: registration number of the company; where there is none, its number with the tax authority.
        country: of the file; two letters, or empty.
        created: date on which the file was made (AuditFileDateCreated, elsewhere DateCreated), as it stands there; or
            empty.
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
        self.id = next((text.strip() for text in ids if isinstance(text, str) and text.strip()), "")
        if not self.id:
            raise Unfit("the Header names no company: Company/RegistrationNumber is missing", "Company")
        country = header.get("audit_file_country")
        created = header.get("audit_file_date_created") or header.get("date_created")
        self.country = country.strip() if isinstance(country, str) else ""
        self.created = created.strip() if isinstance(created, str) else ""


def _fenced(plain: Mapping[str, Any], reserved: frozenset[str]) -> Plain:
    """Return members under names that mean nothing else to us or to Vic.ai, whatever their spelling."""
    return {f"saft_{name}" if canonical(name) in reserved else name: item for name, item in plain.items()}


def _key(plain: Mapping[str, Any], name: str, element: str) -> str:
    found = plain.get(name)
    if not isinstance(found, str) or not found.strip():
        how = "is missing or empty" if found in (None, "") or isinstance(found, str) else "stands there more than once"
        raise Unfit(f"{element} {how}; without it nobody knows which one is meant", None)
    return found
