"""Builds the records of the streams from a file's elements, each with its company."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import msgspec

from ap_connectors.core.raw_json import Record
from ap_connectors.singer.schema import canonical
from tap_saft import balances, contract, vic
from tap_saft.balances import Balances, Place, Reconciled, Stated
from tap_saft.company import Company
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
        reconciled: what the lines say of the balances, once that is known.
    """

    def __init__(
        self,
        wanted: frozenset[str],
        state: FileState,
        facts: Mapping[str, Any],
        repeated: frozenset[int],
        warn: Callable[[str], None],
        *,
        reconciled: Reconciled | None = None,
    ) -> None:
        self._wanted, self._state, self._facts, self._warn = wanted, state, facts, warn
        self._reconciled = reconciled
        self.balances = Balances()
        """Balances that were found so far."""
        self.built: dict[str, list[Record]] = {}
        """Records that are not yet handed out, by stream."""
        self.company: Company | None = None
        """The company, once the header was read."""
        self._seen: dict[tuple[str, str], int] = {}
        self._vat_codes: dict[str, tuple[str, Fields]] = {}
        self._types_of_codes: dict[str, list[str]] = {}
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
        for key, (_, plain) in self._vat_codes.items():
            keys = self._types_of_codes[plain["code"]]
            if len(keys) > 1 and key == keys[0]:
                self._warn(f"tax code {plain['code']} has several types; in vat_codes they are {', '.join(keys)}.")
            # 0.1.0 had no type in the key, so one of the types is what it loaded: VAT.
            former = {"formerExternalId": plain["code"]} if key == _vat_of(keys) != plain["code"] else {}
            self._ready("vat_codes", plain, former, key)
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
        balance = balances.stated(plain) if "account_balances" in self._wanted else None
        if balance and self._first("account_balances", key):
            self._balance("account_balances", Place("", "", key), plain, balance, {"account_id": key})

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
            self._ready("vendors", vic.vendor(plain, self._known().country, self._warn), {}, plain["supplier_id"])

    def _party(self, stream: str, id_name: str, element: Element) -> Fields:
        plain = members(element, _WRAPPED)
        key = _key(plain, id_name, "CustomerID" if id_name == "customer_id" else "SupplierID")
        if stream in self._wanted:
            ours = {"company_id": self._known().id, "occurrence": self._nth(stream, key)}
            self._put(stream, record(ours | _fenced(plain, _OURS), contract.kinds("parties")))
        if "party_balances" in self._wanted:
            for place, element_, balance in balances.of_party(stream.removesuffix("s"), key, plain):
                ours = {**place._asdict(), "occurrence": self._nth("party_balances", "/".join(place))}
                self._balance(
                    "party_balances", place, element_, balance, {**ours, "account_id": place.account_id or "-"}
                )
        return plain

    def _balance(self, stream: str, place: Place, saft: Fields, balance: Stated, key: Fields) -> None:
        """Add a balance of a period, with what the lines say of it."""
        self.balances.state(place, balance)
        company = self._known()
        numbers = {"opening_balance": balance.opening, "closing_balance": balance.closing}
        if self._reconciled and (movement := self._reconciled.movement(place)):
            numbers |= {"movement_debit": movement.debit, "movement_credit": movement.credit}
            numbers["difference"] = self._reconciled.difference(place)
        ours: Fields = {"company_id": company.id, **key, **company.period, **self._facts_of_balance()}
        ours |= {name: saft[name] for name in contract.kinds(stream) if name.endswith("t_balance") and name in saft}
        ours |= {name: f"{number:f}" for name, number in numbers.items() if number is not None}
        self._put(stream, record(ours, contract.kinds(stream)))

    def _facts_of_balance(self) -> Fields:
        company = self._known()
        known = {"audit_file_date_created": company.created or "-", "file": self._facts.get("file")}
        return {name: item for name, item in {**known, "currency_code": company.currency}.items() if item}

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
            self._choose(vic.vat_code({**plain, "tax_code": key}))

    def _choose(self, plain: Fields) -> None:
        """Keep the entry of a code that was the latest to begin when the file was made; of equal ones the first."""
        code = plain["externalId"]
        if code not in self._vat_codes:
            self._types_of_codes.setdefault(plain["code"], []).append(code)
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
_VAT = frozenset({"MVA", "VAT", "PVM", "MOMS", "ALV", "IVA", "TVA", "BTW", "DPH", "PTU", "UST", "MWST", "PVN", "KM"})
"""What value added tax is called."""


def _vat_of(keys: list[str]) -> str:
    """Return which of a code's keys, by type, is its VAT; the first one if their types do not say so."""
    return next((key for key in keys if key.partition(":")[0].upper() in _VAT), keys[0])


def _fenced(plain: Mapping[str, Any], reserved: frozenset[str]) -> Fields:
    """Return members under names that have no other meaning, in any spelling: reserved ones get ``saft_`` before."""
    return {f"saft_{name}" if canonical(name) in reserved else name: item for name, item in plain.items()}


def _key(plain: Mapping[str, Any], name: str, element: str) -> str:
    found = plain.get(name)
    if not isinstance(found, str) or not found.strip():
        how = "is missing or empty" if found in (None, "") or isinstance(found, str) else "occurs more than once"
        raise InvalidElement(f"{element} {how}; it is the record's key", None)
    return found
