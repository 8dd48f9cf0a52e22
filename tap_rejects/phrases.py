"""What accountants are told: sentences by the reason of a reject, as data.

A row is a pattern of reasons, as `target_vicai`, `vicai` and `mapper_ivesk_vicai` put them, and the sentences that it
becomes: what is wrong, and what to do. Named groups of the pattern stand in the sentences by their names; those that
`tap_rejects.terms` knows are put into words of the language first. The first row that fits counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Phrase(NamedTuple):
    """One kind of reason, and how to say it."""

    pattern: re.Pattern[str]
    lt: str
    en: str


def _phrase(pattern: str, lt: str, en: str) -> Phrase:
    return Phrase(re.compile(pattern, re.DOTALL), lt, en)


def _clause(pattern: str, lt: str, en: str) -> Phrase:
    return _phrase(rf"{pattern}(?=; |\. |\.?$)", lt, en)


_AGAIN = (" ir eksportuokite dokumentą iš naujo.", ", then export the document again.")
_CORRECT = ("Pataisykite Įvesk" + _AGAIN[0], "Correct it in ivesk" + _AGAIN[1])
_FIELD = r"(?P<field>[A-Za-z][\w.\[\]]*)"

_VALUE = r"(?P<value>'[^']*'…?|.+?)"

PHRASES: tuple[Phrase, ...] = (
    # References: what Vic.ai does not have. The service's own words for the same thing come second.
    _phrase(
        r"^Unknown to Vic\.ai, and not loaded in this run: (?P<parents>.+?)\.(?: vicai: .*)?$",
        "Vic.ai neturi to, ką nurodo dokumentas: {parents}. Patikrinkite kodą Įvesk, arba tegul jį sukuria Vic.ai; "
        "tada eksportuokite dokumentą iš naujo.",
        "Vic.ai does not have what the document refers to: {parents}. Check the code in ivesk, or have it created in "
        "Vic.ai; then export the document again.",
    ),
    _phrase(
        r"\(costAccount is unknown: (?P<name>.+?)\.?\)",
        f"Vic.ai neturi sąskaitos {{name}}. Patikrinkite eilučių sąskaitos kodą Įvesk{_AGAIN[0]}",
        f"Vic.ai has no account {{name}}. Check the account code of the lines in ivesk{_AGAIN[1]}",
    ),
    _phrase(
        r"\(dimension is unknown: (?P<name>.+?)\.?\)",
        f"Vic.ai neturi objekto {{name}}. Patikrinkite eilučių objektą Įvesk{_AGAIN[0]}",
        f"Vic.ai has no dimension {{name}}. Check the object of the lines in ivesk{_AGAIN[1]}",
    ),
    _phrase(
        r"\(vendor(?:ExternalId)?(?: is unknown:)? (?P<name>.+?)(?: is unknown)?\.?\)",
        f"Vic.ai neturi pardavėjo {{name}}. Patikrinkite pardavėjo kodą Įvesk{_AGAIN[0]}",
        f"Vic.ai has no vendor {{name}}. Check the seller's code in ivesk{_AGAIN[1]}",
    ),
    # The document's file.
    _phrase(
        r"^document is missing",
        f"Nėra sąskaitos failo (PDF), o be jo Vic.ai sąskaitos nepriima. Įkelkite failą į Įvesk{_AGAIN[0]}",
        f"The invoice's file (PDF) is missing, and Vic.ai takes no invoice without. Add it in ivesk{_AGAIN[1]}",
    ),
    _phrase(
        r"^The document .+ is empty\.$",
        f"Sąskaitos failas tuščias. Įkelkite jį į Įvesk{_AGAIN[0]}",
        f"The invoice's file is empty. Upload it to ivesk again{_AGAIN[1]}",
    ),
    _phrase(
        r"^The document .+ is larger than (?P<most>[\d.,]+ ?MB)",
        f"Sąskaitos failas didesnis nei {{most}}, tokio Vic.ai nepriima. Įkelkite mažesnį failą į Įvesk{_AGAIN[0]}",
        f"The invoice's file is larger than {{most}}, which Vic.ai does not take. Upload a smaller one{_AGAIN[1]}",
    ),
    _phrase(
        r"^The document .+ is not of a type that Vic\.ai processes"
        r"|^The document .+ is a file of type|^documentType is ",
        "Vic.ai nepriima tokio tipo sąskaitos failo. Tinka PDF, TIFF, JPEG, PNG, GIF, XML, Word ir Excel: įkelkite "
        f"tokį failą į Įvesk{_AGAIN[0]}",
        "Vic.ai does not take a file of this type. PDF, TIFF, JPEG, PNG, GIF, XML, Word and Excel will do: upload "
        f"such a file to ivesk{_AGAIN[1]}",
    ),
    _phrase(
        r"^The document .+ (?:is not there|does not exist|is a folder|is no(?:t a regular| ordinary) file)"
        r"|^The document .+ (?:may not be read|can't be read)"
        r"|^documentBase64 is not base64| changed while it was being sent\.$",
        "Nepavyko perskaityti sąskaitos failo. Eksportuokite dokumentą iš naujo; jei nepadės, kreipkitės į tą, kas "
        "prižiūri sąsają su Vic.ai.",
        "The invoice's file could not be read. Export the document again; if that does not help, tell whoever looks "
        "after the connection with Vic.ai.",
    ),
    # What cannot be told of one of ivesk's documents.
    _phrase(
        r"^It is not clear whose document this is, of company (?P<company>.+?) or of another: the buyer is "
        r"(?P<buyer>.+) and the seller is (?P<seller>.+); ",
        "Neaišku, ar dokumentas yra įmonės {company}: pirkėjas – {buyer}, pardavėjas – {seller}. Patikrinkite pirkėjo "
        f"įmonės kodą Įvesk{_AGAIN[0]}",
        "It is not clear whether this is a document of company {company}: the buyer is {buyer}, the seller {seller}. "
        f"Check the buyer's registration code in ivesk{_AGAIN[1]}",
    ),
    # Vic.ai's answers.
    _phrase(
        r"^.+? exists at Vic\.ai with (?P<field>[\w.\[\]]+) (?P<old>.+), and the record says (?P<new>.+?)\. Vic\.ai ",
        "Vic.ai jau turi šią sąskaitą kitokią: {field} Vic.ai – {old}, dokumente – {new}. Vic.ai sąskaitos pakeisti "
        "negalima: ištrinkite ją Vic.ai ir eksportuokite dokumentą iš naujo, arba palikite, kaip yra Vic.ai.",
        "Vic.ai has this invoice already, and it differs: {field} is {old} there, and {new} in the document. Vic.ai "
        "lets nobody change an invoice: delete it there and export the document again, or leave it as Vic.ai has it.",
    ),
    _phrase(
        r"this company has no right to it: status 403",
        "Vic.ai neleidžia šiai įmonei įkelti tokių duomenų. Dokumento taisyti nereikia: kreipkitės į tą, kas prižiūri "
        "sąsają su Vic.ai.",
        "Vic.ai does not let this company load such data. Nothing is wrong with the document: tell whoever looks after "
        "the connection with Vic.ai.",
    ),
    _phrase(
        r"(?:the service refuses the call|not found): status \d+ \((?P<said>.+?)\)\.?(?: |$)",
        f"Vic.ai atsisakė priimti ir nurodė: „{{said}}“. Patikrinkite tai Įvesk{_AGAIN[0]}",
        f'Vic.ai refused it, saying: "{{said}}". Check this in ivesk{_AGAIN[1]}',
    ),
)

CLAUSES: tuple[Phrase, ...] = (
    # What a field says, of Vic.ai's contract or of ivesk's document.
    _clause(
        _FIELD + r" is longer than (?P<most>\d+) characters \((?P<length>\d+)\)",
        "Per ilgas tekstas: {field} – {length} ženklų, o Vic.ai priima iki {most}",
        "A text is too long: {field} has {length} characters, and Vic.ai takes {most}",
    ),
    _clause(
        _FIELD + r" is not a date such as \d{4}-\d\d-\d\d: " + _VALUE,
        "Netinkama data: {field} – {value}",
        "Not a date: {field}, {value}",
    ),
    _clause(
        _FIELD + r" is not a (?:whole )?number: " + _VALUE + r"(?: \(write it .+?\))?",
        "Netinkamas skaičius: {field} – {value}",
        "Not a number: {field}, {value}",
    ),
    _clause(
        r"(?P<where>line \d+): " + _FIELD + r" is not a (?:whole )?number: " + _VALUE + r"(?: \(write it .+?\))?",
        "{where}: netinkamas skaičius, {field} – {value}",
        "{where}: not a number, {field}, {value}",
    ),
    _clause(
        r"(?P<fields>[A-Za-z][\w.\[\]]*(?:, [A-Za-z][\w.\[\]]*)*) (?:is missing|are missing|must not be null)",
        "Trūksta duomenų: {fields}",
        "Data is missing: {fields}",
    ),
    # What the mapper finds.
    _clause(
        r"(?P<where>The header|Line \d+) does not add up: subtotal (?P<subtotal>\S+) and vat (?P<vat>\S+) make "
        r"(?P<made>\S+), but total is (?P<total>\S+) \(difference (?P<difference>.+?)\)",
        "{where}: suma be PVM {subtotal} ir PVM {vat} kartu yra {made}, o suma su PVM – {total} (skirtumas "
        "{difference})",
        "{where}: subtotal {subtotal} and VAT {vat} make {made}, but the total is {total} (a difference of "
        "{difference})",
    ),
    _clause(
        r"Header and lines differ: (?P<field>\w+) is (?P<stated>\S+), and the lines together make (?P<together>\S+) "
        r"\(difference (?P<difference>.+?)\)",
        "Dokumento ir jo eilučių sumos nesutampa: {field} dokumente – {stated}, eilučių – {together} (skirtumas "
        "{difference})",
        "The document and its lines do not agree: {field} is {stated}, and {together} in the lines (a difference of "
        "{difference})",
    ),
    _clause(r"(?P<where>Line \d+) has no subtotal", "{where}: nėra sumos be PVM", "{where}: there is no subtotal"),
    _clause(
        r"No mapping for (?P<codes>.+?\((?:vat_classes|accounts|objects)\))",
        "Nenustatyta, kas Vic.ai atitinka: {codes} (jei kodas teisingas, jį į lentelę turi įtraukti tas, kas prižiūri "
        "sąsają su Vic.ai)",
        "Nobody has said what this is in Vic.ai: {codes} (if the code is right, whoever looks after the connection "
        "with Vic.ai has to add it to the table)",
    ),
    _clause(
        r"It has no lines(?: \(.+?\))?",
        "Dokumentas neturi eilučių",
        "The document has no lines",
    ),
    _clause(
        r"It is a (?P<doctype>.+?), but its total is (?P<total>\S+): a credit note's amounts are negative",
        "Dokumento rūšis – {doctype}, bet jo suma {total} nėra neigiama",
        "The document is a {doctype}, but its total {total} is not negative",
    ),
    _clause(
        r"The seller has neither a registration code nor a VAT number nor an id(?: \(.+?\))?",
        "Pardavėjas neturi nei įmonės kodo, nei PVM mokėtojo kodo",
        "The seller has neither a registration code nor a VAT number",
    ),
)
"""As `PHRASES`, for reasons of one or several parts, each of which fits a row; `ADVICE` follows the last one."""

ADVICE: Mapping[str, str] = {"lt": _CORRECT[0], "en": _CORRECT[1]}

REST = Phrase(
    re.compile(""),
    "Dokumentas nepateko į Vic.ai. Patikrinkite jo duomenis Įvesk arba kreipkitės į tą, kas prižiūri sąsają su Vic.ai. "
    "[{reason}]",
    "The document did not get into Vic.ai. Check its data in ivesk, or tell whoever looks after the connection with "
    "Vic.ai. [{reason}]",
)
"""For a reason that no row knows."""

OF_A_VENDOR: Mapping[str, str] = {
    "lt": "Vic.ai nepriėmė pardavėjo {name}, todėl ir jo sąskaitų. {sentence}",
    "en": "Vic.ai did not take the seller {name}, and so none of the seller's invoices. {sentence}",
}
"""Begins a sentence about a vendor, and about an invoice that waited for it."""
