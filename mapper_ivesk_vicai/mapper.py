"""Settings of `mapper-ivesk-vicai`, and what puts its parts together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

from singer_sdk import typing as th

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.messages import Line
from ap_connectors.singer.mapper import ExactMapper
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.settings import MAX_REJECTS, REPORT_PATH, rejects_path
from mapper_ivesk_vicai import invoices, schemas, vendors
from mapper_ivesk_vicai.fields import Fields, needed, one_line, shown, text
from mapper_ivesk_vicai.files import Files
from mapper_ivesk_vicai.parties import belonging
from mapper_ivesk_vicai.report import Report
from mapper_ivesk_vicai.tables import KINDS, Table

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
            description="Registration code of the company whose Vic.ai it is. Its purchases are mapped; its sales, and "
            "documents of other companies, are left out and counted.",
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
            description="positive: ivesk's negative amounts lose their sign, for CREDITNOTE says it. negative: they "
            "keep it.",
        ),
        th.Property(
            "documents_dir",
            th.StringType,
            title="Folder of files",
            description="The documents_dir of tap-ivesk. Needed only where its stream document_files does not come "
            "along, as with a reject file; without a file the document's link is sent, which expires.",
            examples=["output/documents"],
        ),
        rejects_path("documents that were set aside", "rejects-mapper"),
        MAX_REJECTS,
        REPORT_PATH,
    ).to_dict()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        settings = self.config
        self._company = settings["company_code"].strip()
        if not self._company:
            raise Stop("company_code is empty.")
        self._kind: Literal["training_invoices", "invoices"] = settings["invoices_as"]
        self._ways = invoices.Ways(
            {kind.setting: Table(kind, settings.get(kind.setting), settings["unmapped"]) for kind in KINDS},
            settings["unmapped"],
            settings["without_lines"] == "header",
            settings["credit_amounts"] == "negative",
        )
        self._files = Files(settings.get("documents_dir"))
        self._vendors = vendors.Vendors()
        self._report = Report(self._ways.tables.values())
        self._announced: set[str] = set()
        self._ours: set[str] = set()
        self._strange_countries: set[str] = set()

    # Messages

    @property
    def mark(self) -> Mapping[str, str]:
        """Whose document it is that was set aside; tap-rejects goes by it."""
        return {"company_code": str(self.config["company_code"]).strip()}

    def schema(self, line: Line) -> None:
        """Announce our streams before the first document; say which streams are of no use here.

        Raises:
            Stop: fields are missing that nothing can be mapped without.
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
        for name in ("vendors", self._kind):
            if name not in self._ours:
                self._ours.add(name)
                self.write_schema(name, schemas.ALL[name](), schemas.KEYS)

    def record(self, line: Line) -> None:
        """Map a document.

        Raises:
            Stop: its SCHEMA has not come.
        """
        stream = line.message.stream or ""
        document: Fields = line.message.record or {}
        if stream not in self._announced:
            raise Stop(
                f"Line {line.number}: a RECORD of the stream {stream} came before its SCHEMA. "
                "Nothing from this line on was mapped; the tap has to send a SCHEMA first."
            )
        if canonical(stream) == _FILES:
            self._files.told(document)
        elif canonical(stream) in _DOCUMENTS:
            self._map(document, line)

    def _map(self, document: Fields, line: Line) -> None:
        count = self._report
        count.received += 1
        is_purchase = False
        try:
            # Asked for every document, so that what the tap told of it does not stay in memory.
            file = self._files.of(document)
            whose = belonging(document, self._company)
            if whose.kind == "sale":
                count.sales += 1
            elif whose.kind == "other":
                count.others[whose.company] += 1
            else:
                is_purchase = True
                self._send(document, file)
                count.mapped += 1
                count.purchase(document, "mapped")
        except (Reject, UnicodeEncodeError) as error:
            count.set_aside += 1
            if is_purchase:
                count.purchase(document, "set_aside")
            reject = error if isinstance(error, Reject) else Reject(_HALF, "half_a_character")
            self.set_aside(line, _name(document), reject)

    def _send(self, document: Fields, file: str | None) -> None:
        vendor = vendors.key(document)
        purchase = invoices.read(document, self._ways)
        ours = {"ivesk_document_id": needed(document, "id"), "ivesk_company_code": self._company}
        record = invoices.KINDS[self._kind](purchase, vendor) | ours
        records: list[tuple[str, Mapping[str, Any]]] = [(self._kind, record | invoices.file(document, file))]
        news = self._vendors.news(vendor, vendors.facts(document))
        if news is not None:
            head = {"externalId": vendor, "externalUpdatedAt": invoices.when(document)}
            records.insert(0, ("vendors", head | news | ours))
        self.write_records(*records)
        if news is not None:
            self._vendors.remember(vendor, news)
            self._report.vendors += 1
            self._look_at_country(document)

    def _look_at_country(self, document: Fields) -> None:
        said = text(document, "sellercountry")
        if said and vendors.country(document) is None and said not in self._strange_countries:
            self._strange_countries.add(said)
            self.logger.warning("sellercountry %r is no two-letter code; it is left out of vendors.", said)

    # The end

    def ending(self) -> None:
        """Say what became of the documents, and what has no mapping."""
        for said in self._report.told(self._company):
            self.logger.info("%s", said)
        # What somebody wants to pass is no trouble.
        level = logging.INFO if self._ways.unmapped == "pass" else logging.WARNING
        for said in self._report.unmapped(_HAPPENED[self._ways.unmapped]):
            self.logger.log(level, "%s", said)
        if path := self.config.get("report_path"):
            facts = {"mapper": self.name, "company_code": self._company, "rejects_path": self.rejects.path}
            self._report.write(path, facts)


_HAPPENED = {"reject": "set aside", "pass": "with the code as it is", "leave_out": "without it"}


def _name(document: Fields) -> str:
    return f"document {shown(document)} ({one_line(document.get('id'))})"
