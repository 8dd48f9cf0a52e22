"""Vendors that documents name: found at Vic.ai by country and numbers, or new; never changed by a guess.

A record says by its member `documentVendor` that its vendor was read from a document (a scan, say), and not told by the
ERP. In a record of `vendors` it is the vendor itself; in one of an invoice, the vendor that the invoice names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.companies import DOCUMENT_VENDOR, Identity, plain_name, same_name
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.schema import canonical
from target_vicai.bank_details import FIELD, accounts
from target_vicai.record_cache import RecordCache

MARK = DOCUMENT_VENDOR
_TEXT = {"type": ["string", "null"]}
FIELDS: Mapping[str, Any] = {
    MARK: {
        "type": ["object", "null"],
        "properties": {
            "countryCode": _TEXT,
            "orgNumber": _TEXT,
            "taxId": _TEXT,
            "name": _TEXT,
            "date": {"type": ["string", "null"], "format": "date"},
            "update": {"type": ["boolean", "null"]},
            "person": {"type": ["boolean", "null"]},
        },
    }
}
"""The mark, as a field of records."""

NO_ERP_TIME = "1970-01-01T00:00:00"
"""`externalUpdatedAt` of vendors that documents made: earlier than all that the ERP's clock says. An instant of the
document's would compete with that clock, and the ERP's own vendor of the same day would lose."""
STEMS_FROM_A_DOCUMENT = "ivesk_document_id"
"""By this field a record of `vendors` is known that an earlier version of the mapper made."""
FORMER_MARK = canonical(STEMS_FROM_A_DOCUMENT)
"""The same in canonical spelling."""
KEPT = frozenset((canonical(MARK), FORMER_MARK))
"""Fields that stream maps neither drop nor rename: without them a document's vendor would look like the ERP's."""

_MOST_SHOWN = 5
_HIDDEN = "hidden"


@dataclass(frozen=True)
class DocumentVendor:
    """A vendor as a document names it.

    Args:
        key: its id at Vic.ai, if it is new there.
        identity: its country and numbers.
        name: its name.
        date: of the newest invoice that says so (ISO 8601); empty if not known.
        update: its name and address may be changed at Vic.ai.
        is_person: its numbers are personal data, and are not shown.
    """

    key: str
    identity: Identity
    name: str | None = None
    date: str = ""
    update: bool = False
    is_person: bool = False


def vendor_of(mark: JsonObject, key: str, record: JsonObject | None = None) -> DocumentVendor:
    """Return the vendor that a mark means.

    Args:
        mark: the value of `documentVendor`.
        key: the vendor's id, if it is new.
        record: the vendor's own record, if it is one: it says what the mark does not.
    """
    tax = (record or {}).get("taxInfo") or {}
    own = {"countryCode": (record or {}).get("countryCode"), "name": (record or {}).get("name"), **tax}
    said = {name: mark.get(name) or own.get(name) for name in ("countryCode", "orgNumber", "taxId", "name")}
    return DocumentVendor(
        key,
        Identity.of(said["countryCode"], said["orgNumber"], said["taxId"]),
        said["name"],
        mark.get("date") or "",
        bool(mark.get("update")),
        bool(mark.get("person")),
    )


def is_of_documents(record: JsonObject) -> bool:
    """Return whether documents made a vendor of Vic's, and the ERP has not spoken of it yet."""
    try:
        return instants.milliseconds(record.get("externalUpdatedAt") or "") == 0
    except ValueError:
        return False


def aliases(record: JsonObject) -> Iterator[str]:
    """Yield what a vendor of Vic's may be found by besides its ids."""
    return _aliases(_identity(record), record.get("name"))


def _identity(record: JsonObject) -> Identity:
    tax = record.get("taxInfo") or {}
    return Identity.of(record.get("countryCode"), tax.get("orgNumber"), tax.get("taxId"))


def _aliases(identity: Identity, name: str | None) -> Iterator[str]:
    yield from (f"number {number}" for number in identity.numbers)
    if plain := plain_name(name):
        yield f"name {plain}"


@dataclass(frozen=True)
class Known:
    """A vendor that is at Vic.ai, or on its way there.

    Args:
        key: the ERP's id; None if Vic.ai has it without one.
        identity: its country and numbers.
        name: its name.
        id: Vic's id; None if it is on its way.
        is_provisional: only documents know it; the ERP's own vendor goes before it.
    """

    key: str | None
    identity: Identity
    name: str | None
    id: str | None = None
    is_provisional: bool = True


def _known(record: JsonObject) -> Known:
    """Return a vendor of Vic's."""
    key, name, id_ = (record.get(member) for member in ("externalId", "name", "internalId"))
    return Known(key, _identity(record), name, id_, is_of_documents(record))


class DocumentVendors:
    """Finds the vendors that documents name. Vic's vendors are read once, when the first of them is looked for.

    Args:
        cache: returns Vic's vendors.
        settle: waits until what was read before is written; the ERP may have named the same vendor just before.
        warn: shows a message to the user.
    """

    def __init__(
        self, cache: Callable[[], RecordCache], settle: Callable[[], None], warn: Callable[[str], None]
    ) -> None:
        self._cache, self._settle, self._warn = cache, settle, warn
        self._told_of: set[tuple[str, ...]] = set()
        self._coming: dict[str, Known] = {}
        self._keys: dict[str, set[str]] = {}
        # Where those want to be paid, and the date of the newest invoice about them.
        self._accounts: dict[str, tuple[str, frozenset[str]]] = {}
        self._answers: dict[str, str | Reject] = {}
        self.made: dict[str, str] = {}
        """Vendors that documents made in this run, with the date of the invoice that they were made of."""
        self.others_wait = False
        """Whether vendors of the ERP's may still be on their way."""

    def announced(self, vendor: DocumentVendor, info: Mapping[str, Any] | None) -> Known:
        """Return who a vendor is that is going to be written; a new one counts as on its way from now on.

        Only the thread that reads the input asks, so that of two records about a new vendor one makes it.

        Args:
            vendor: as a document names it.
            info: what the document says of where to pay.

        Raises:
            Reject: as `known`.
        """
        try:
            found = self.known(vendor)
        except Reject as reject:
            self._answers[vendor.key] = reject
            raise
        if not isinstance(self._answers.get(vendor.key), Reject):
            self._answers[vendor.key] = (found and found.key) or vendor.key
        key = str((found and found.key) or vendor.key)
        if found is None or key in self._accounts:
            date, told = self._accounts.get(key, ("", frozenset()))
            if vendor.date >= date:
                self._accounts[key] = vendor.date, accounts(info) or told
        if found is not None and found.id is not None:
            return found
        first = found or Known(vendor.key, vendor.identity, vendor.name)
        # A later document may know a number that the first one lacks.
        mine, its = vendor.identity, first.identity
        whole = Identity(its.country or mine.country, its.code or mine.code, its.vat or mine.vat)
        coming = self._coming[key] = Known(key, whole, first.name or vendor.name)
        for alias in (f"key {key}", *_aliases(vendor.identity, vendor.name)):
            self._keys.setdefault(alias, set()).add(key)
        return coming

    @property
    def has_answers(self) -> bool:
        """Whether vendors of documents came in this run."""
        return bool(self._answers)

    def key_instead_of(self, key: str) -> str:
        """Return the key of the vendor that was found for a document's, of which an invoice tells only the key.

        Raises:
            Reject: a vendor of that key was set aside in this run; the invoice may be of that one.
        """
        answer = self._answers.get(key, key)
        if isinstance(answer, Reject):
            raise answer
        return answer

    def named(self, key: str | None, id_: str | None) -> Known | None:
        """Return the vendor that a document's record names by an id: the vendor table's choice, or a person's.

        Args:
            key: the ERP's id of it.
            id_: Vic's id, where there is no other.
        """
        self._settle_others()
        cache = self._cache()
        found = [reading.record for reading in cache.by_key(key)] if key else [cache.by_id(id_)] if id_ else []
        return next((_known(record) for record in found if record), None)

    def tell_of_account(self, known: Known, info: Mapping[str, Any] | None) -> None:
        """Warn, once, of an account of a document that is not its vendor's: the invoice may be forged.

        Args:
            known: the vendor.
            info: what the document says of where to pay.
        """
        ours = accounts(info)
        told = (known.key or known.id or "", *sorted(ours))
        if not ours or told in self._told_of:
            return
        self._told_of.add(told)
        theirs = self._accounts_at_vic(known)
        if ours & theirs:
            return
        named = ", ".join(sorted(ours))
        kept = (
            f"{', '.join(sorted(theirs))} for the vendor, and keeps it. An invoice to process is loaded without {named}"
        )
        none = "none for the vendor, and gets none from a document; only the invoice has it"
        self._warn(
            f"vendors {known.key or known.id}: a document names another bank account, {named}. Vic.ai has "
            f"{kept if theirs else none}. Ask the vendor before the invoice is paid."
        )

    def is_foreign(self, known: Known, info: Mapping[str, Any] | None) -> bool:
        """Return whether a document names an account, and its vendor at Vic.ai has only others."""
        theirs = self._accounts_at_vic(known) if info else frozenset()
        return bool(theirs) and bool(ours := accounts(info)) and not ours & theirs

    def _accounts_at_vic(self, known: Known) -> frozenset[str]:
        if known.is_provisional and known.key in self._accounts:
            # Documents of this run made it: what Vic has of it at this moment depends on how far the writing is.
            return self._accounts[known.key][1]
        return accounts((self._cache().by_id(known.id) or {}).get(FIELD)) if known.id else frozenset()

    def known(self, vendor: DocumentVendor) -> Known | None:
        """Return who a vendor is; None if neither Vic.ai nor this run has it.

        Raises:
            Reject: several may be meant, or the one that is meant has another country or number.
        """
        self._settle_others()
        return self.at_vic(vendor, tuple(self._on_the_way(vendor)))

    def _settle_others(self) -> None:
        if self.others_wait:
            self.others_wait = False
            self._settle()

    def at_vic(self, vendor: DocumentVendor, more: Iterable[Known] = ()) -> Known | None:
        """Return which of Vic's vendors is meant, or of `more`; None if it is new. Thread-safe.

        Raises:
            Reject: as `known`.
        """
        same, perhaps, differ, has_key = [], [], [], []
        for one in self._candidates(vendor, more):
            relation, has_name = vendor.identity.relation(one.identity), same_name(one.name, vendor.name)
            if one.key == vendor.key and (relation == "unknown" and (has_name or not one.name)):
                relation = "same"
            if relation == "same":
                same.append(one)
            elif relation == "differs":
                differ.append(one)
            elif one.key == vendor.key:
                has_key.append(one)
            elif relation == "perhaps" or (relation == "unknown" and has_name):
                perhaps.append(one)
        # The ERP's own vendor goes before those that documents made while the ERP did not have it yet.
        own = [one for one in same if not one.is_provisional]
        same = own if len(own) == 1 else same
        if len(same) == 1 and not differ:
            return same[0]
        if same or len(differ) > 1:
            raise _ambiguous(vendor, [*same, *differ], "are that by a number of theirs")
        if differ or has_key:
            raise _differs(vendor, *(differ or has_key))
        if perhaps:
            raise _ambiguous(vendor, perhaps, "this may be the same one")
        return None

    def _candidates(self, vendor: DocumentVendor, more: Iterable[Known]) -> Iterator[Known]:
        cache = self._cache()
        found = {reading.record["internalId"]: reading.record for reading in cache.by_key(vendor.key)}
        for alias in _aliases(vendor.identity, vendor.name):
            found |= {each.record["internalId"]: each.record for each in cache.by_alias(alias)}
        yield from map(_known, found.values())
        there = {record.get("externalId") for record in found.values()}
        yield from (each for each in more if each.key not in there)

    def _on_the_way(self, vendor: DocumentVendor) -> Iterator[Known]:
        aliases_of = (f"key {vendor.key}", *_aliases(vendor.identity, vendor.name))
        keys = {key: None for alias in aliases_of for key in sorted(self._keys.get(alias, ()))}
        yield from (self._coming[key] for key in keys)


# What messages say of both sides


def _told(identity: Identity, name: str | None, *, hidden: bool) -> str:
    code, vat = (_HIDDEN if hidden and number else number for number in (identity.code, identity.vat))
    parts = [
        identity.country or "no country",
        f"code {code}" if code else "no registration code",
        f"VAT number {vat}" if vat else "no VAT number",
    ]
    return f"{name or 'without a name'} ({', '.join(parts)})"


def _params(identity: Identity, name: str | None, *, hidden: bool) -> dict[str, str]:
    code, vat = (_HIDDEN if hidden and number else number for number in (identity.code, identity.vat))
    named = {"name": name, "country": identity.country, "code": code, "vat": vat}
    return {member: value for member, value in named.items() if value}


def _sides(vendor: DocumentVendor, others: list[Known]) -> tuple[str, str, dict[str, Any]]:
    """Return the document's side and Vic's in words, and both for programs."""
    hidden = vendor.is_person
    shown = others[:_MOST_SHOWN]
    keys = [_HIDDEN if hidden and one.key in one.identity.numbers else one.key or "" for one in shown]
    theirs = "; ".join(
        f"{key or 'without an external id'} {_told(one.identity, one.name, hidden=hidden)}"
        for key, one in zip(keys, shown, strict=True)
    )
    more = f"; and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    params = {
        "document": _params(vendor.identity, vendor.name, hidden=hidden),
        "vendors": [
            {"externalId": key, **_params(one.identity, one.name, hidden=hidden)}
            for key, one in zip(keys, shown, strict=True)
        ],
    }
    return _told(vendor.identity, vendor.name, hidden=hidden), theirs + more, params


_REMEDY = (
    "Nothing of it was changed. Correct the document or the vendor; or say which vendor is meant: in vendor_table of "
    "the mapper, or in this line with vendorExternalId, and documentVendor null."
)


def _ambiguous(vendor: DocumentVendor, others: list[Known], what: str) -> Reject:
    ours, theirs, params = _sides(vendor, others)
    message = f"The document names {ours}; at Vic.ai {what}: {theirs}. {_REMEDY}"
    return Reject(message, "ambiguous_vendor", **params)


def _differs(vendor: DocumentVendor, other: Known) -> Reject:
    ours, theirs, params = _sides(vendor, [other])
    message = f"The document names {ours}; at Vic.ai the vendor of that number or key is {theirs}. {_REMEDY}"
    return Reject(message, "vendor_differs", **params)
