"""Makes any document from (seed, number) alone: data that a Lithuanian accountant recognises, all invented.

Fields and types are those of "Įvesk REST API, Synchronize results"; money is `decimal.Decimal` throughout, and a
header's amounts are exactly the sums of its lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom
from ap_connectors.sandbox.ivesk import timeline
from ap_connectors.sandbox.ivesk.parties import Parties, Party

Document = dict[str, Any]

CENT = Decimal("0.01")
_HUNDRED = Decimal(100)
# Name, unit, account, unit price in hundredths from and to, VAT class at home.
_GOODS = (
    ("Biuro popierius A4, 500 l.", "pak.", "6312", 389, 650, "PVM1"),
    ("Dyzelinas", "l", "6301", 132, 179, "PVM1"),
    ("Benzinas A95", "l", "6301", 139, 185, "PVM1"),
    ("Elektros energija", "kWh", "6305", 12, 31, "PVM1"),
    ("Šildymas", "MWh", "6306", 5890, 9100, "PVM2"),
    ("Vanduo ir nuotekos", "m3", "6307", 145, 290, "PVM1"),
    ("Ryšio paslaugos", "vnt.", "6308", 900, 8900, "PVM1"),
    ("Patalpų nuoma", "mėn.", "6304", 45000, 390000, "PVM1"),
    ("Knyga „Apskaitos žinynas“", "vnt.", "6313", 1200, 5400, "PVM3"),
    ("Vaistai", "vnt.", "6315", 250, 4300, "PVM3"),
    ("Draudimo įmoka", "vnt.", "6309", 3500, 99000, "PVM5"),
    ("Mokymai", "val.", "6311", 2500, 15000, "PVM5"),
    ("Viešbučio paslaugos", "naktis", "6310", 4900, 18900, "PVM2"),
    ("Kavos pupelės", "kg", "6316", 1150, 2890, "PVM1"),
    ("Transporto paslaugos", "km", "6302", 85, 210, "PVM1"),
    ("Programinės įrangos licencija", "vnt.", "1120", 900, 129900, "PVM1"),
    ("Ąžuolinė lenta 40×200", "m3", "2010", 42000, 118000, "PVM1"),
    ("Varžtai M8×40", "šimt.", "2012", 899, 1650, "PVM1"),
    ("Valymo darbai", "val.", "6303", 1200, 2600, "PVM1"),
    ("Reklamos gamyba", "vnt.", "6314", 1500, 250000, "PVM1"),
    ("Uogų džemas 300 g", "vnt.", "2040", 219, 480, "PVM1"),
    ("Keleivių vežimas", "bilietas", "6317", 100, 3900, "PVM2"),
)
_PERCENT = {
    "PVM1": Decimal(21), "PVM2": Decimal(9), "PVM3": Decimal(5), "PVM5": Decimal(0), "PVM12": Decimal(0),
    "PVM13": Decimal(0), "PVM16": Decimal(0), "PVM21": Decimal(0),
}  # fmt: skip
_QUANTITIES = ("1.000", "1", "2", "3", "0.125", "0.5", "4.000", "10", "12.50", "1.000", "24", "1", "7.375", "100")
_CURRENCIES = {
    "PL": ("PLN", 42150), "NO": ("NOK", 117400), "SE": ("SEK", 111900), "GB": ("GBP", 8460), "US": ("USD", 11310),
    "ID": ("IDR", 183_250_000), "VN": ("VND", 296_400_000),
}  # fmt: skip
_BIG_CURRENCIES = ("IDR", "VND", "EUR")
_BIG_RATES = {"IDR": 183_250_000, "VND": 296_400_000}
_SERIES = ("SF", "VAR", "PVM", "ABC", "ŽLK", "LT", "EL", "S")
# (docnum, file name): what breaks those who put names into paths, headers, CSV or shell lines.
_ODD_NAMES = (
    ("SF 2026/001", "../../etc/passwd"),
    ("Nr. „7“ \U0001f9fe", "sąskaita „gegužė“.pdf"),
    ("PVM\n2026-05", "a/b\\c:d*e?.pdf"),
    ('5" vamzdžiai, 3\t\\ 4', "faktūra \U0001f4b6 100%.pdf"),
    ("=1+1", ".."),
    ("O'Neil & <b>Co</b>", "CON.pdf"),
    ("0012,5;", 'su "kabutėmis" ir #grotelėmis.pdf'),
    (" A-1 ", "ž" * 120 + ".pdf"),
)


@dataclass(frozen=True)
class PlannedDocument:
    """What the store knows about a document before it is made: its company, its type, its instant."""

    number: int
    id: str
    company: int
    doctype: str
    digitized_at: int


@dataclass(frozen=True)
class DocumentMaker:
    """Makes documents of one seed; `extra_fields` and `big_amounts` as in `Options`."""

    seed: int
    parties: Parties
    extra_fields: bool
    big_amounts: bool

    def document(self, planned: PlannedDocument) -> Document:
        """Make one document with all fields but `url` (which every answer makes afresh) and `exportedat`."""
        rng = SeededRandom(self.seed, "document", planned.number)
        company = self.parties.companies[planned.company]
        partner = self.parties.partners[rng.below(len(self.parties.partners))]
        sale = rng.chance(7)
        seller, buyer = (company, partner) if sale else (partner, company)
        big = self.big_amounts and planned.number % timeline.BIG_AMOUNT_EVERY == timeline.BIG_AMOUNT_AT
        currency, rate = self._currency(rng, seller, big)
        lines = self._lines(rng, planned, seller, buyer, big)
        docnum, filename = self._names(rng, planned)
        issued = date.fromisoformat(clock.day(planned.digitized_at)) - timedelta(days=rng.below(10))
        term = rng.pick((None, 7, 14, 30, 30, 60))
        document: Document = {
            "id": planned.id,
            "date": issued.isoformat(),
            "operationdate": None if rng.chance(3) else (issued - timedelta(days=rng.below(3))).isoformat(),
            "duedate": None if term is None else (issued + timedelta(days=term)).isoformat(),
            "paymentterm": term,
            "docnum": docnum,
            "ordernum": f"U-{rng.below(100_000):05d}" if rng.chance(4) else None,
            "doctype": planned.doctype,
            "subtotal": sum(line["subtotal"] for line in lines),
            "vat": sum(line["vat"] for line in lines),
            "total": sum(line["total"] for line in lines),
            "currency": currency,
            "currencyrate": rate,
            "url": None,
            "filename": filename,
            "report2isaf": planned.doctype in ("invoice", "creditnote", "debitnote"),
            "separatevat": rng.chance(60),
            "hasreceipt": planned.doctype == "cashreceipt",
            **_seller(seller, rng.chance(12)),
            **_buyer(buyer),
            "lines": lines,
            "userdata": f"byla-{rng.below(10**6):06d}" if rng.chance(5) else None,
        }
        if rng.chance(15):
            document["sourcedata"] = {"file": f"scan-{rng.below(10**4):04d}", "batch": rng.below(50), "tags": ["ą"]}
        if self.extra_fields:
            document |= _extra(rng)
        document["digitizedat"] = clock.iso(planned.digitized_at)
        return document

    def _currency(self, rng: SeededRandom, seller: Party, big: bool) -> tuple[str, Decimal | None]:
        currency, rate = _CURRENCIES.get(seller.country, ("EUR", 0))
        if big:
            currency = rng.pick(_BIG_CURRENCIES)
            rate = _BIG_RATES.get(currency, 0)
        elif currency != "EUR":
            rate += rng.below(rate // 50)
        return currency, Decimal(rate).scaleb(-4) if rate else None

    def _lines(
        self, rng: SeededRandom, planned: PlannedDocument, seller: Party, buyer: Party, big: bool
    ) -> list[Document]:
        count = rng.pick((1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6))
        if big:
            count = rng.between(2, 4)
        elif rng.chance(100):
            count = rng.between(20, 60)
        return [self._line(planned, seller, buyer, place, big) for place in range(count)]

    def _line(self, planned: PlannedDocument, seller: Party, buyer: Party, place: int, big: bool) -> Document:
        rng = SeededRandom(self.seed, "line", planned.number, place)
        name, unit, account, low, high, vat_class = rng.pick(_GOODS)
        if big:
            quantity = Decimal("1.000")
            # 17 digits before the point: with cents, 19 significant ones, and at most four such lines.
            price = Decimal(rng.between(10**18, 2 * 10**18 - 1)).scaleb(-2)
            vat_class = "PVM5"
        else:
            quantity = Decimal(rng.pick(_QUANTITIES))
            price = Decimal(rng.between(low * 100, high * 100)).scaleb(-4) if rng.chance(4) else Decimal(
                rng.between(low, high)
            ).scaleb(-2)  # fmt: skip
            vat_class = _vat_class(vat_class, seller, buyer)
        if planned.doctype == "creditnote":
            quantity = -quantity
        percent = _PERCENT[vat_class]
        subtotal = (quantity * price).quantize(CENT)
        vat = (subtotal * percent / _HUNDRED).quantize(CENT)
        line = {
            "lineid": rng.uuid(),
            "code": account if rng.below(5) else None,
            "name": name,
            "unit": unit,
            "quantity": quantity,
            "price": price,
            "subtotal": subtotal,
            "vat": vat,
            "vatpercent": percent,
            "total": subtotal + vat,
            "vatclass": vat_class,
            "warehouse": rng.pick(("C1", "PARD", None, None)),
            "object": rng.pick(("ADM", "GAM-2", "Žemė", None, None, None)),
        }
        if self.extra_fields:
            line |= {"batchno": f"P{rng.below(10**6):06d}", "discount": Decimal(rng.below(10**4)).scaleb(-4)}
        return line

    def _names(self, rng: SeededRandom, planned: PlannedDocument) -> tuple[str, str]:
        if planned.number % timeline.ODD_NAME_EVERY == timeline.ODD_NAME_AT:
            return _ODD_NAMES[planned.number // timeline.ODD_NAME_EVERY % len(_ODD_NAMES)]
        docnum = f"{rng.pick(_SERIES)}-2026-{planned.number % 10**6:06d}"
        return docnum, f"{docnum}.pdf"


def _vat_class(at_home: str, seller: Party, buyer: Party) -> str:
    """Return the i.SAF class: a foreign seller's goods carry no Lithuanian VAT, nor do sales abroad."""
    if seller.country != "LT":
        return "PVM16" if seller.in_eu else "PVM21"
    if buyer.country != "LT":
        return "PVM13" if buyer.in_eu else "PVM12"
    return at_home


def _seller(party: Party, iban_missing: bool) -> Document:
    return {
        "sellerid": party.id,
        "sellercode": party.code,
        "sellervat": party.vat,
        "sellername": party.name,
        "sellernameascii": party.ascii,
        "selleraddress": party.address,
        "sellercountry": party.country,
        "selleriban": None if iban_missing else party.iban,
        "sellerisperson": party.person,
        "sellerisfavorite": party.favorite,
    }


def _buyer(party: Party) -> Document:
    return {
        "buyerid": party.id,
        "buyercode": party.code,
        "buyervat": party.vat,
        "buyername": party.name,
        "buyernameascii": party.ascii,
        "buyeraddress": party.address,
        "buyercountry": party.country,
        "buyerisperson": party.person,
        "buyerisfavorite": party.favorite,
    }


def _extra(rng: SeededRandom) -> Document:
    """Return fields that no description mentions: of every JSON type, one of them null on some documents only."""
    return {
        "approvalstage": rng.pick(("gauta", "tikrinama", "patvirtinta")),
        "exactweight": Decimal(rng.between(10**18, 10**19 - 1)).scaleb(-9),
        "delivery": {"method": rng.pick(("paštas", "kurjeris")), "parcels": rng.between(1, 9), "notes": [None, "ž"]},
        "prepaid": rng.chance(2),
        "costcenter": f"KC-{rng.below(20):02d}" if rng.chance(2) else None,
    }
