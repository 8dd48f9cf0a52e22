"""Settings of `mapper-ivesk-vicai`; it reads messages, and writes what its parts make of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from singer_sdk import typing as th

from ap_connectors.core.companies import two_letters
from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.messages import Line, too_deep
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.mapper import ExactMapper
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.settings import DOCUMENTS_FROM, MAX_REJECTS, REPORT_PATH, rejects_path
from mapper_ivesk_vicai.doctypes import load_doctypes
from mapper_ivesk_vicai.document_files import FileFinder
from mapper_ivesk_vicai.duplicates import Duplicates, key_of
from mapper_ivesk_vicai.fields import given, one_line, shown, stated_export
from mapper_ivesk_vicai.lines import LineTables
from mapper_ivesk_vicai.purchase import LeftOut, MappingOptions, Purchase, SetAside, read_document
from mapper_ivesk_vicai.records import INVOICES, KEYS, document_fields, not_booked, schema_of
from mapper_ivesk_vicai.report import Report
from mapper_ivesk_vicai.sellers import Seller, SellerOptions
from mapper_ivesk_vicai.tables import FIELDS, TABLES, load, load_vendor_table
from mapper_ivesk_vicai.tolerance import Tolerance
from mapper_ivesk_vicai.vendors import Vendors

_DOCUMENTS = {canonical(name) for name in ("exported_documents", "digitized_documents")}
_FILES = canonical("document_files")
_NEEDED = (
    "id", "date", "docnum", "doctype", "subtotal", "vat", "total", "currency", "lines", "buyercode", "sellercode",
    "buyerisfavorite", "sellerisfavorite",
)  # fmt: skip
_HALF = "A text holds half a character (a lone surrogate), which JSON can't carry."


def _table(name: str, title: str, description: str, examples: list[Any]) -> th.Property[Any]:
    return th.Property(
        name,
        th.CustomType({"type": ["string", "object", "null"]}),
        title=title,
        description=description,
        examples=examples,
    )


class MapperIveskVicai(ExactMapper):
    """Documents of ivesk as vendors and training invoices for Vic.ai, exact to the last digit."""

    name = "mapper-ivesk-vicai"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "company_code",
            th.StringType(min_length=1),
            required=True,
            title="Company",
            description="Registration code of the company whose Vic.ai it is, with or without blanks and country. Its "
            "purchases are mapped; its sales, and documents of other companies, are left out and counted.",
            examples=["302320404"],
        ),
        th.Property(
            "invoices_as",
            th.StringType(allowed_values=["training_invoices", "invoices"]),
            default="training_invoices",
            title="Purchases become",
            description="training_invoices: for Vic.ai to learn from. invoices: for Vic.ai to process.",
        ),
        _table(
            "vat_classes",
            "VAT classes",
            "Vic's VAT code for each VAT class: an object, or a CSV file with the columns vat_class and vat_code.",
            [{"PVM1": "1", "PVM5": "0"}, "tables/vat.csv"],
        ),
        _table(
            "accounts",
            "Accounts",
            "Vic's account (its external id) for each code of a line: an object, or a CSV file with the columns code "
            "and account.",
            [{"6312": "KTO-6312"}, "tables/accounts.csv"],
        ),
        _table(
            "objects",
            "Objects",
            "Vic's dimension (its external id) for each object: an object, or a CSV file with the columns object, "
            "dimension and, if wanted, type.",
            [{"ADM": "AVD-10", "GAM-2": {"dimension": "PRJ-2", "type": "PRJ"}}, "tables/objects.csv"],
        ),
        th.Property(
            "unmapped",
            th.StringType(allowed_values=["reject", "pass", "leave_out"]),
            default="reject",
            title="Codes without a mapping",
            description="reject: the document is set aside. pass: the code goes on as it is. leave_out: the field is "
            "left out. In any case each of them is named at the end.",
        ),
        _table(
            "doctypes",
            "Kinds of documents",
            "What becomes of each kind of document (doctype): invoice, creditnote, leave_out or set_aside; an object, "
            "or a CSV file with the columns doctype and becomes. Without it invoice and debitnote are invoices, "
            "creditnote is one; proforma, prepaymentinvoice and cashreceipt are left out and counted. Any other kind "
            "is set aside.",
            [{"prepaymentinvoice": "invoice", "cashreceipt": "set_aside"}],
        ),
        th.Property(
            "tolerance",
            th.CustomType({"type": ["string", "number", "object", "null"]}),
            title="Tolerance",
            description="By how much header and lines may differ: an amount for the document, or an object of per_line "
            "and per_rate, which are added up. Without it half a cent a line and VAT rate. The object, and no "
            "setting, allow for totals that are rounded to what can be paid in cash; an amount does not.",
            examples=[0, "0.02", {"per_line": "0.01", "per_rate": "0.01"}],
        ),
        th.Property(
            "rounding",
            th.StringType(allowed_values=["header", "line"]),
            default="header",
            title="Rounding",
            description="What becomes of a difference within the tolerance. header: header and lines go on as they "
            "are. line: a line makes up for it, with the account that the table accounts gives the code rounding.",
        ),
        th.Property(
            "duplicates",
            th.StringType(allowed_values=["set_aside", "allow"]),
            default="set_aside",
            title="Duplicates",
            description="What becomes of a document whose seller, number, date and total came before in the run, under "
            "another id. set_aside: it is set aside. allow: it is mapped.",
        ),
        _table(
            "fields",
            "Configured fields",
            "The label of a field that is configured at Vic.ai, for each field of documents that is to go there: an "
            "object, or a CSV file with the columns field and label.",
            [{"allocation": "allocation", "originaldocnum": "corrects"}],
        ),
        th.Property(
            "vendors",
            th.StringType(allowed_values=["create", "update", "never"]),
            default="create",
            title="Vendors",
            description="What becomes of sellers. create: those that Vic.ai does not have are made, the others left "
            "alone. update: name and address of the others follow the documents, bank details never. never: no vendor "
            "is sent; an invoice whose seller Vic.ai does not have is set aside by target-vicai.",
        ),
        th.Property(
            "vendor_table",
            th.CustomType({"type": ["string", "array", "null"], "items": {"type": "object"}}),
            title="Vendor table",
            description="The ERP's vendor (its external id) for each seller that cannot be found by its numbers: a "
            "list of objects, or a CSV file with the columns country, code or vat, and external_id; seller_id is "
            "ivesk's own id.",
            examples=[[{"country": "LT", "code": "304111222", "external_id": "50010"}], "tables/vendors.csv"],
        ),
        th.Property(
            "person_codes",
            th.StringType(allowed_values=["hide", "key"]),
            default="hide",
            title="Codes of persons",
            description="hide: the code of a person is not part of a vendor's key, and so of no address; messages do "
            "not show it. key: persons are treated as companies.",
        ),
        th.Property(
            "without_lines",
            th.StringType(allowed_values=["reject", "header"]),
            default="reject",
            title="Documents without lines",
            description="reject: they are set aside. header: the header's amounts make one line, without an account.",
        ),
        th.Property(
            "credit_amounts",
            th.StringType(allowed_values=["positive", "negative"]),
            default="positive",
            title="Amounts of credit notes",
            description="positive: ivesk's negative amounts lose their sign, because CREDITNOTE says it. negative: "
            "they keep it.",
        ),
        th.Property(
            "documents_dir",
            th.StringType,
            title="Folder of files",
            description="The documents_dir of tap-ivesk. Needed only where its stream document_files does not come "
            "along, as with a reject file; without a file the document's link is sent, which expires.",
            examples=["output/documents"],
        ),
        DOCUMENTS_FROM,
        rejects_path("documents that were set aside", "rejects-mapper"),
        MAX_REJECTS,
        REPORT_PATH,
    ).to_dict()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        settings = self.config
        self._company = settings["company_code"].strip()
        self.rejects.company = self._company
        self._options = MappingOptions(
            company=self._company,
            invoices_as=settings["invoices_as"],
            doctypes=load_doctypes(settings.get("doctypes")),
            tables=LineTables(
                {table: load(table, settings.get(table.setting)) for table in TABLES}, settings["unmapped"]
            ),
            tolerance=Tolerance.of(settings.get("tolerance")),
            rounds=settings["rounding"] == "line",
            fields=load(FIELDS, settings.get("fields")),
            header_as_line=settings["without_lines"] == "header",
            negative_credits=settings["credit_amounts"] == "negative",
            sellers=SellerOptions(
                self._company, load_vendor_table(settings.get("vendor_table")), settings["person_codes"] == "hide"
            ),
        )
        self._files = FileFinder(settings.get("documents_dir"), settings.get("documents_from"))
        self._vendors, self._vendors_as = Vendors(), settings["vendors"]
        self._duplicates = None if settings["duplicates"] == "allow" else Duplicates()
        self._report = Report(learns=self._options.invoices_as == "training_invoices")
        self._announced: set[str] = set()
        self._wrote_schemas = False
        self._strange_countries: set[str] = set()

    # Messages

    @property
    def mark(self) -> Mapping[str, str]:
        """Whose document it is that was set aside, as reject files of every version say it; tap-rejects goes by it."""
        return {"company_code": self.config["company_code"].strip()}

    def schema(self, line: Line) -> None:
        """Announce our streams before the first document; log which streams are left out.

        Raises:
            Stop: fields that mapping requires are missing.
        """
        stream = line.message.stream or ""
        is_new = stream not in self._announced
        self._announced.add(stream)
        if canonical(stream) not in _DOCUMENTS:
            if is_new and canonical(stream) != _FILES:
                self.logger.info("The stream %s is left out: documents are mapped, with the lines in them.", stream)
            return
        fields = (line.message.schema or {}).get("properties") or {}
        missing = [name for name in _NEEDED if fields and name not in fields]
        if missing:
            raise Stop(
                f"Line {line.number}: the stream {stream} comes without {', '.join(missing)}: select "
                f"{'it' if len(missing) == 1 else 'them'} at the tap (select: {stream}.*)."
            )
        if not self._wrote_schemas:
            self._wrote_schemas = True
            for name in ("vendors", self._options.invoices_as):
                self.write_schema(name, schema_of(name), KEYS)

    def record(self, line: Line) -> None:
        """Map a document.

        Raises:
            Stop: its SCHEMA has not come yet.
        """
        stream = line.message.stream or ""
        document: JsonObject = line.message.record or {}
        if stream not in self._announced:
            raise Stop(
                f"Line {line.number}: a RECORD of the stream {stream} came before its SCHEMA. "
                "Nothing from this line on was mapped; the tap has to send a SCHEMA first."
            )
        if canonical(stream) == _FILES:
            self._files.note(document)
        elif canonical(stream) in _DOCUMENTS:
            self._map(document, line)

    def _map(self, document: JsonObject, line: Line) -> None:
        found = SetAside(too_deep()) if line.too_deep else read_document(document, self._options, self._files)
        if isinstance(found, Purchase):
            found = self._write_purchase(found, document)
        if isinstance(found, LeftOut) and isinstance(id_ := document.get("id"), str):
            # If it was booked before it was corrected, target-vicai remembers.
            with suppress(UnicodeEncodeError):
                self.write_records((self._options.invoices_as, not_booked(id_, found) | _export(document)))
        self._report.add(found)
        aside = (found.reject,) if isinstance(found, SetAside) else ()
        for reject in found.aside if isinstance(found, Purchase) else aside:
            self.set_aside(line, f"document {shown(document)} ({one_line(document.get('id'))})", reject)

    def _write_purchase(self, purchase: Purchase, document: JsonObject) -> Purchase | SetAside:
        """Write the records of a purchase, read from a document; return why not if they cannot be written."""
        vendor, is_news = self._vendors.of(purchase.seller, purchase.issued)
        purchase = replace(purchase, seller=replace(purchase.seller, key=vendor.key))
        key = key_of(purchase) if self._duplicates else None
        if self._duplicates and (reject := self._duplicates.refusal(purchase, key)):
            return SetAside(reject, purchase.header, purchase.unmapped)
        ours = {"ivesk_document_id": purchase.id, "ivesk_company_code": purchase.buyer} | _export(document)
        stream = self._options.invoices_as
        invoice: JsonObject = INVOICES[stream](purchase, vendor) | ours | document_fields(purchase)
        records: list[tuple[str, JsonObject]] = [(stream, invoice)]
        is_sent = is_news and not vendor.is_erps and self._vendors_as != "never"
        if is_sent:
            records.insert(0, ("vendors", vendor.record(update=self._vendors_as == "update") | ours))
        try:
            self.write_records(*records)
        except UnicodeEncodeError:
            return SetAside(Reject(_HALF, "half_a_character"), purchase.header, purchase.unmapped)
        if self._duplicates:
            self._duplicates.remember(purchase, key)
        self._vendors.remember(vendor, purchase.seller)
        self._report.vendors += is_sent
        self._check_country(purchase.seller)
        return purchase

    def _check_country(self, seller: Seller) -> None:
        given = seller.country
        if given and two_letters(given) is None and given not in self._strange_countries:
            self._strange_countries.add(given)
            self.logger.warning("sellercountry %r is not a two-letter code; it is left out of vendors.", given)

    # The end

    def ending(self) -> None:
        """Log what became of the documents, and which codes have no mapping."""
        for sentence in self._report.summary(self._company):
            self.logger.info("%s", sentence)
        if self._report.all_of_others:
            self.logger.warning(
                "None of the %d documents is of company %s, so nothing was mapped. Is company_code right? It is the "
                "registration code, as buyercode of its purchases has it.",
                self._report.received,
                self._company,
            )
        for sentence in self._report.without_place():
            self.logger.info("%s", sentence)
        for sentence in self._report.untaught():
            self.logger.warning("%s", sentence)
        # Codes that are passed on purpose are not worth a warning.
        level = logging.INFO if self._options.tables.unmapped == "pass" else logging.WARNING
        for sentence in self._report.unmapped(_HAPPENED[self._options.tables.unmapped]):
            self.logger.log(level, "%s", sentence)
        if path := self.config.get("report_path"):
            facts = {"mapper": self.name, "company_code": self._company, "rejects_path": self.rejects.path}
            self._report.write(path, facts)


def _export(document: JsonObject) -> JsonObject:
    return given(ivesk_exported_at=stated_export(document))


_HAPPENED = {"reject": "set aside", "pass": "with the code as it is", "leave_out": "without it"}
