"""The streams of `tap-saft`. They share the reading of a file: `header` reads, the others derive their records."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex

from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import ApError, Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.core.redact import printable
from ap_connectors.singer.stream import Batch, ExactStream
from tap_saft import contract, vic
from tap_saft.balances import Reconciled
from tap_saft.checking import Checked, check, portions, sha256
from tap_saft.exports import Exports
from tap_saft.file_state import FileState
from tap_saft.sources import Source, find

if TYPE_CHECKING:
    from singer_sdk import Tap


class Portion(list[Record]):
    """Records of the header's stream, and those of the other streams from the same part of the file.

    Args:
        built: records by stream.
    """

    def __init__(self, built: Mapping[str, list[Record]]) -> None:
        super().__init__(built.get(Header.name, ()))
        self.built = built

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        """Return one record; or, for a slice, some of them with the records of the other streams."""
        if not isinstance(place, slice):
            return super().__getitem__(place)
        return Portion({**self.built, Header.name: super().__getitem__(place)})


class SaftStream(ExactStream):
    """A stream of SAF-T files."""

    section: ClassVar[str | None]
    """Its part of `fields.json`; None if all its fields are Vic.ai's."""
    own_fields: ClassVar[dict[str, Any]] = {}

    def __init__(self, tap: Tap) -> None:
        company = contract.fields("accounts")["company_id"]
        ready = (
            {"company_id": company, **contract.vic_fields(*vic.FIELDS[self.name])} if self.name in vic.FIELDS else {}
        )
        saft = contract.fields(self.section) if self.section else {}
        properties = {**ready, **self.own_fields}
        properties |= {name: field for name, field in saft.items() if name not in properties}
        super().__init__(tap, {"type": "object", "properties": properties})


class Header(SaftStream):
    """One record for each file: its header. Its bookmark is what is known of the files."""

    name, section = "header", "header"
    key_fields = ("company_id", "file")

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the records of new and changed files; of each after it was checked to be complete."""
        wanted = frozenset(stream.name for stream in self.tap.streams.values() if stream.selected)
        state = FileState(self.last_bookmark(context))
        sources = find(self.config["path"])
        exports, unsaved = Exports(sources), 0
        if wanted & _FOR_VIC and not (self.config.get("company_id") or "").strip():
            _require_one_company(sources, exports, state)
        try:
            for source, streams in self._in_order(list(self._changed(sources, wanted, state)), exports, len(sources)):
                checked = self._checked(source, streams, state, exports)
                reconciled = self._reconciled(source, checked, exports)
                warn = functools.partial(self._warn, source)
                for built in portions(source, checked, streams, state, warn, reconciled=reconciled):
                    yield Batch(Portion(built))
                self.logger.info("%s: read to its end", source.shown)
                state.done(source.name, checked.size, checked.sha256, streams, checked.fingerprints)
                unsaved += checked.size
                # Of thousands of small files, most of the output would be STATE.
                if unsaved >= state.size:
                    yield Batch([], state.bookmark())
                    unsaved = 0
        except ApError:
            if unsaved:
                yield Batch([], state.bookmark())
            raise
        if unsaved:
            yield Batch([], state.bookmark())

    def _changed(
        self, sources: list[Source], wanted: frozenset[str], state: FileState
    ) -> Iterator[tuple[Source, frozenset[str]]]:
        """Yield the files that are new or have changed, each with the streams that lack its records."""
        for source in sources:
            known = state.file(source.name)
            lacking = wanted - set(known.get("streams", ()))
            if known.get("size") != source.size or known.get("sha256") != sha256(source):
                yield source, wanted
            elif lacking:
                yield source, lacking
            else:
                self.logger.info("%s: unchanged since the last run", source.shown)

    def _in_order(
        self, found: list[tuple[Source, frozenset[str]]], exports: Exports, files: int
    ) -> list[tuple[Source, frozenset[str]]]:
        """Return the files in the order in which they were made, so that the latest has the last word."""
        only, dated = (self.config.get("company_id") or "").strip(), []
        others: set[str] = set()
        for source, streams in found:
            company = exports.company(source)
            if company and only and not same_company(company.id, only):
                self.logger.info("%s: skipped; it is of company %s (company_id)", source.shown, company.id)
                others.add(company.id)
                continue
            # An unreadable file comes last: those before it are loaded.
            dated.append(((company is None, company.created if company else "", source.name), source, streams))
        if others and not dated and len(found) == files:
            self.logger.warning(
                "company_id is %s, and none of the %d files is of that company, so nothing is read: they are of %s. "
                "Correct company_id or path.",
                only,
                files,
                _some(others),
            )
        return [(source, streams) for _, source, streams in sorted(dated, key=lambda one: one[0])]

    def _checked(self, source: Source, streams: frozenset[str], state: FileState, exports: Exports) -> Checked:
        checked = check(source, streams, state)
        if problems := exports.problems(source, checked):
            words = f"{source.shown}: its control totals do not agree: {'; '.join(problems)}."
            if self.config.get("control_totals") != "warn":
                raise Stop(
                    f"{words} Nothing of it is loaded. Export it again; or, to load it as it is: control_totals: warn."
                )
            self.logger.warning("%s It is loaded as it is (control_totals: warn).", words)
        for other, transactions in state.elsewhere(source.name, checked.fingerprints).items():
            _, year, period, journal, id_ = transactions[0]
            self._warn(
                source,
                f"transactions that are in {printable(other)} come again, with other contents: at least "
                f"{len(transactions)}, for example {id_} of journal {journal or '(none)'}, period {period} of {year}. "
                "In a warehouse these replace the earlier ones. That is right if the ERP has changed them; if its "
                "numbering begins anew, load the files into different schemas.",
            )
        return checked

    def _reconciled(self, source: Source, checked: Checked, exports: Exports) -> Reconciled:
        reconciled = exports.reconciled(source, checked)
        for words in reconciled.problems():
            self._warn(source, words)
        return reconciled

    def _warn(self, source: Source, words: str) -> None:
        self.logger.warning("%s: %s", source.shown, words)

    def last_bookmark(self, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return what is known of the files.

        Discovery says FULL_TABLE of every stream without a replication key; here, files are read again, not tables.
        """
        return self.get_context_state(context)

    def bookmark(self, values: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> None:
        """Write a STATE after each file, but not in the middle of one: it would be the same."""
        if values:
            super().bookmark(values, context)
            self.write_state()

    def warn_of_unread_past(self, children: list[ExactStream]) -> None:
        """Do not warn: a stream that joins later gets every file."""


class Part(SaftStream):
    """A stream whose records come from the same reading."""

    parent_stream_type = Header

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the stream's records of a portion."""
        yield from parents.built.get(self.name, ()) if isinstance(parents, Portion) else ()


class Accounts(Part):
    """Accounts of the general ledger, also in Vic.ai's names."""

    name, section, key_fields = "accounts", "accounts", ("company_id", "externalId")


class Suppliers(Part):
    """Suppliers, as the file has them."""

    name, section, key_fields = "suppliers", "parties", ("company_id", "supplier_id", "occurrence")
    own_fields: ClassVar = contract.party("supplier_id")


class Customers(Part):
    """Customers, as the file has them."""

    name, section, key_fields = "customers", "parties", ("company_id", "customer_id", "occurrence")
    own_fields: ClassVar = contract.party("customer_id")


class TaxCodes(Part):
    """Tax codes with all their entries, as the file has them."""

    name, section, key_fields = "tax_codes", "tax_codes", ("company_id", "tax_type", "tax_code", "occurrence")


class AccountBalances(Part):
    """Balances of the accounts, of each period that a file was made for, with the sums of its lines."""

    name, section = "account_balances", "account_balances"
    key_fields = ("company_id", "account_id", "period_start", "period_end", "audit_file_date_created")


class PartyBalances(Part):
    """Balances of suppliers and customers by account, likewise."""

    name, section = "party_balances", "party_balances"
    key_fields = (
        *("company_id", "party_type", "party_id", "account_id", "occurrence"),
        *("period_start", "period_end", "audit_file_date_created"),
    )


class Dimensions(Part):
    """Analysis types (departments, projects and the like), also in Vic.ai's names."""

    name, section, key_fields = "dimensions", "dimensions", ("company_id", "externalId")


class JournalLines(Part):
    """Lines of the journals, each with its transaction's and its journal's fields."""

    name, section = "journal_lines", "journal_lines"
    key_fields = ("company_id", "period_year", "period", "journal_id", "transaction_id", "line_number")


class Vendors(Part):
    """Suppliers in Vic.ai's names, ready to load."""

    name, section, key_fields = "vendors", None, ("company_id", "externalId")
    selected_by_default = False


class VatCodes(Part):
    """Tax codes in Vic.ai's names, ready to load: of each the entry in force when the file was made."""

    name, section, key_fields = "vat_codes", None, ("company_id", "externalId")
    selected_by_default = False
    own_fields: ClassVar = contract.FORMER_KEY


_FOR_VIC = frozenset({Vendors.name, VatCodes.name})
"""Streams that are selected only to be loaded into Vic.ai."""


def _require_one_company(sources: list[Source], exports: Exports, state: FileState) -> None:
    """Check that all files are of one company, those of earlier runs too: its ids are another one's with another.

    Raises:
        Stop: they are of several.
    """
    found = {company.id for source in sources if (company := exports.company(source))} | state.companies(_FOR_VIC)
    different: list[str] = []
    for one in sorted(found):
        if not any(same_company(one, other) for other in different):
            different.append(one)
    if len(different) > 1:
        raise Stop(
            f"The files, with those of earlier runs, are of {len(different)} companies ({_some(set(different))}), and "
            f"Vic.ai has one company behind its credentials: vendors of one would overwrite those of another. Set "
            f"company_id, and load each company by itself, with a STATE of its own. For a warehouse, deselect "
            f"{' and '.join(sorted(_FOR_VIC))}: suppliers and tax_codes have more. Nothing was read."
        )


def _some(companies: set[str]) -> str:
    return ", ".join(sorted(companies)[:10]) + (", ..." if len(companies) > 10 else "")


ALL: tuple[type[SaftStream], ...] = (
    Header,
    Accounts,
    Suppliers,
    Customers,
    AccountBalances,
    PartyBalances,
    TaxCodes,
    Dimensions,
    JournalLines,
    Vendors,
    VatCodes,
)
