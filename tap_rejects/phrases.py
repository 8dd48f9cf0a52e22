"""What accountants are told, by the code of a reject, as data: what is wrong, and what to do.

`{name}` stands for a parameter of the reject, put into words where `tap_rejects.terms` knows it. Change a text only if
you must: together with the document it is a key at ivesk, so the same refusal in other words is told once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Phrase(NamedTuple):
    """A text in each language."""

    lt: str
    en: str


_AGAIN = Phrase(" ir eksportuokite dokumentą iš naujo.", ", then export the document again.")
ADVICE = Phrase("Pataisykite Įvesk" + _AGAIN.lt, "Correct it in ivesk" + _AGAIN.en)
"""Follows the last clause."""

_NOT_A_NUMBER = Phrase("Netinkamas skaičius: {field} – {value}", "Not a number: {field}, {value}")
_MISSING = Phrase("Trūksta duomenų: {fields}", "Data is missing: {fields}")
_UNFIT = Phrase("Netinkami duomenys: {field}", "Unexpected data: {field}")

CLAUSES: Mapping[str, Phrase] = {
    # What a field holds, of Vic.ai's contract or of ivesk's document.
    "too_long": Phrase(
        "Per ilgas tekstas: {field} – {length} ženklų, o Vic.ai priima iki {most}",
        "A text is too long: {field} has {length} characters, and Vic.ai takes {most}",
    ),
    "not_a_date": Phrase("Netinkama data: {field} – {value}", "Not a date: {field}, {value}"),
    "not_a_time": Phrase("Netinkamas laikas: {field} – {value}", "Not a time: {field}, {value}"),
    "not_a_number": _NOT_A_NUMBER,
    "not_a_whole_number": _NOT_A_NUMBER,
    "too_small": Phrase(
        "Per mažas skaičius: {field}, o Vic.ai priima nuo {least}",
        "A number is too small: {field}, and Vic.ai takes {least} or more",
    ),
    "not_a_fraction": Phrase(
        "Mokesčio tarifas nurodytas procentais: {field} – {value} (25 % rašoma 0,25)",
        "A tax rate is in per cent: {field}, {value} (25 % is written 0.25)",
    ),
    "too_large": Phrase(
        "Per didelis skaičius: {field}, o Vic.ai priima iki {most}",
        "A number is too large: {field}, and Vic.ai takes {most} or less",
    ),
    "too_many_digits": Phrase("Per ilgas skaičius: {field}", "A number is too long: {field}"),
    "not_text": Phrase("Netinkamas tekstas: {field}", "Not a text: {field}"),
    "nested_too_deeply": Phrase("Dokumento duomenų nepavyko perskaityti", "The document's data cannot be read"),
    "half_a_character": Phrase(
        "Yra ženklas, kurio negalima perduoti: {field}", "There is a character that cannot be sent: {field}"
    ),
    "not_a_list": _UNFIT,
    "not_a_uuid": _UNFIT,
    "not_an_object": _UNFIT,
    "not_true_or_false": _UNFIT,
    "no_form_fits": _UNFIT,
    "key_not_addressable": _UNFIT,
    "missing_field": _MISSING,
    "missing_key": _MISSING,
    "null_not_allowed": Phrase("Trūksta duomenų: {field}", "Data is missing: {field}"),
    # What the mapper finds.
    "does_not_add_up": Phrase(
        "{where}: suma be PVM {subtotal} ir PVM {vat} kartu yra {made}, o suma su PVM – {total} (skirtumas "
        "{difference} {currency})",
        "{where}: subtotal {subtotal} and VAT {vat} make {made}, but the total is {total} (a difference of "
        "{difference} {currency})",
    ),
    "header_and_lines_differ": Phrase(
        "Dokumento ir jo eilučių sumos nesutampa: {field} dokumente – {stated}, eilučių – {together} (skirtumas "
        "{difference} {currency})",
        "The document and its lines do not agree: {field} is {stated}, and {together} in the lines (a difference of "
        "{difference} {currency})",
    ),
    "no_subtotal": Phrase("{where}: nėra sumos be PVM", "{where}: there is no subtotal"),
    "no_mapping": Phrase(
        "Nenustatyta, kas Vic.ai atitinka: {codes} (jei kodas teisingas, jį į lentelę turi įtraukti tas, kas prižiūri "
        "sąsają su Vic.ai)",
        "Nobody has said what this is in Vic.ai: {codes} (if the code is right, whoever looks after the connection "
        "with Vic.ai has to add it to the table)",
    ),
    "no_lines": Phrase("Dokumentas neturi eilučių", "The document has no lines"),
    "due_before_date": Phrase(
        "Apmokėjimo terminas {due} ankstesnis už dokumento datą {date}",
        "The document is due on {due}, before its own date {date}",
    ),
    "seller_is_buyer": Phrase(
        "Pardavėjas ir pirkėjas yra ta pati įmonė: {company}", "Seller and buyer are the same company: {company}"
    ),
    "sign_of_credit_note": Phrase(
        "Dokumento rūšis – {doctype}, bet jo suma {total} nėra neigiama",
        "The document is a {doctype}, but its total {total} is not negative",
    ),
    "seller_without_id": Phrase(
        "Pardavėjas neturi nei įmonės kodo, nei PVM mokėtojo kodo",
        "The seller has neither a registration code nor a VAT number",
    ),
}
"""For reasons of which a document may have several; `ADVICE` follows the last one."""

OF_A_LINE: Mapping[str, Phrase] = {
    "not_a_number": Phrase(
        "{where}: netinkamas skaičius, {field} – {value}", "{where}: not a number, {field}, {value}"
    ),
}
"""As `CLAUSES`, where the field is one of a line of ivesk's document."""

_NO_SUCH_TYPE = Phrase(
    "Vic.ai nepriima tokio tipo sąskaitos failo. Tinka PDF, TIFF, JPEG, PNG, GIF, XML, Word ir Excel: įkelkite "
    "tokį failą į Įvesk" + _AGAIN.lt,
    "Vic.ai does not take a file of this type. PDF, TIFF, JPEG, PNG, GIF, XML, Word and Excel will do: upload "
    "such a file to ivesk" + _AGAIN.en,
)
_UNREADABLE = Phrase(
    "Nepavyko perskaityti sąskaitos failo. Eksportuokite dokumentą iš naujo; jei nepadės, kreipkitės į tą, kas "
    "prižiūri sąsają su Vic.ai.",
    "The invoice's file could not be read. Export the document again; if that does not help, tell whoever looks "
    "after the connection with Vic.ai.",
)

SENTENCES: Mapping[str, Phrase] = {
    "unknown_reference": Phrase(
        "Vic.ai neturi to, ką nurodo dokumentas: {references}. Patikrinkite kodą Įvesk, arba tegul jį sukuria Vic.ai; "
        "tada eksportuokite dokumentą iš naujo.",
        "Vic.ai does not have what the document refers to: {references}. Check the code in ivesk, or have it created "
        "in Vic.ai; then export the document again.",
    ),
    # The document itself.
    "kind_unknown": Phrase(
        "Nenustatyta, ar tokios rūšies dokumentai keliami į Vic.ai: {doctype}. Jei rūšis neteisinga, pataisykite ją "
        "Įvesk ir eksportuokite dokumentą iš naujo; jei teisinga, kreipkitės į tą, kas prižiūri sąsają su Vic.ai.",
        "It is not settled whether such documents go to Vic.ai: {doctype}. If the kind is wrong, correct it in ivesk "
        "and export the document again; if it is right, tell whoever looks after the connection with Vic.ai.",
    ),
    "kind_set_aside": Phrase(
        "Tokios rūšies dokumentai į Vic.ai keliami tik juos peržiūrėjus: {doctype}. Jei rūšis neteisinga, pataisykite "
        "ją Įvesk" + _AGAIN.lt,
        "Documents of this kind go to Vic.ai only after a look at them: {doctype}. If the kind is wrong, correct it in "
        "ivesk" + _AGAIN.en,
    ),
    "duplicate": Phrase(
        "Toks dokumentas jau yra: to paties pardavėjo, Nr. {docnum}, {date}, {total} {currency} (kitas dokumentas – "
        "{other}). Jei tai tas pats dokumentas, vieną iš jų ištrinkite; jei ne, pataisykite numerį arba datą "
        "Įvesk" + _AGAIN.lt,
        "There is such a document already: of the same seller, no. {docnum}, {date}, {total} {currency} (the other one "
        "is {other}). If they are one and the same, delete one of them; if not, correct number or date in "
        "ivesk" + _AGAIN.en,
    ),
    # The document's file.
    "document_missing": Phrase(
        "Nėra sąskaitos failo (PDF), o be jo Vic.ai sąskaitos nepriima. Įkelkite failą į Įvesk" + _AGAIN.lt,
        "The invoice's file (PDF) is missing, and Vic.ai takes no invoice without. Add it in ivesk" + _AGAIN.en,
    ),
    "document_empty": Phrase(
        "Sąskaitos failas tuščias. Įkelkite jį į Įvesk" + _AGAIN.lt,
        "The invoice's file is empty. Upload it to ivesk again" + _AGAIN.en,
    ),
    "document_too_large": Phrase(
        "Sąskaitos failas didesnis nei {most}, tokio Vic.ai nepriima. Įkelkite mažesnį failą į Įvesk" + _AGAIN.lt,
        "The invoice's file is larger than {most}, which Vic.ai does not take. Upload a smaller one" + _AGAIN.en,
    ),
    "document_type": _NO_SUCH_TYPE,
    "document_type_differs": _NO_SUCH_TYPE,
    "document_type_unclear": _NO_SUCH_TYPE,
    "document_not_allowed": _UNREADABLE,
    "document_not_found": _UNREADABLE,
    "document_unreadable": _UNREADABLE,
    "document_not_base64": _UNREADABLE,
    "document_changed": _UNREADABLE,
    # Whose document it is.
    "whose_document": Phrase(
        "Neaišku, ar dokumentas yra įmonės {company}: pirkėjas – {buyer}, pardavėjas – {seller}. Patikrinkite pirkėjo "
        "įmonės kodą Įvesk" + _AGAIN.lt,
        "It is not clear whether this is a document of company {company}: the buyer is {buyer}, the seller {seller}. "
        "Check the buyer's registration code in ivesk" + _AGAIN.en,
    ),
    # Whose invoice it is, and where to pay.
    "ambiguous_vendor": Phrase(
        "Neaišku, kuris Vic.ai pardavėjas išrašė dokumentą: dokumente – {document}, o Vic.ai – {vendors}. "
        "Patikrinkite pardavėjo kodus Įvesk; jei jie teisingi, kreipkitės į tą, kas prižiūri sąsają su Vic.ai.",
        "It is not clear which vendor of Vic.ai issued the document: it has {document}, and Vic.ai {vendors}. Check "
        "the seller's codes in ivesk; if they are right, tell whoever looks after the connection with Vic.ai.",
    ),
    "vendor_differs": Phrase(
        "Dokumento pardavėjas nesutampa su Vic.ai pardavėju: dokumente – {document}, o Vic.ai – {vendors}. "
        "Patikrinkite pardavėjo šalį ir kodus Įvesk; jei jie teisingi, kreipkitės į tą, kas prižiūri sąsają su Vic.ai.",
        "The document's seller is not as Vic.ai has it: the document has {document}, and Vic.ai {vendors}. Check the "
        "seller's country and codes in ivesk; if they are right, tell whoever looks after the connection with Vic.ai.",
    ),
    "vendor_without_external_id": Phrase(
        "Pardavėjas {vendor} Vic.ai dar nepatvirtintas. Dokumento taisyti nereikia: tegul pardavėją patvirtina tas, "
        "kas prižiūri sąsają su Vic.ai.",
        "The vendor {vendor} is not confirmed at Vic.ai yet. Nothing is wrong with the document: whoever looks after "
        "the connection with Vic.ai has to confirm the vendor.",
    ),
    "bank_account": Phrase(
        "Pardavėjo banko sąskaita {value} negali būti teisinga: netinka jos ilgis arba kontroliniai skaitmenys. "
        "Visa kita įkelta be jos. Pataisykite Įvesk" + _AGAIN.lt,
        "The seller's bank account {value} cannot be right: its length or its check digits are wrong. All else was "
        "loaded without it. Correct it in ivesk" + _AGAIN.en,
    ),
    "kid": Phrase(
        "Mokėjimo nuoroda (KID) {value} negali būti teisinga: netinka kontrolinis skaitmuo. Visa kita įkelta be jos. "
        "Pataisykite Įvesk" + _AGAIN.lt,
        "The payment reference (KID) {value} cannot be right: its control digit is wrong. All else was loaded without "
        "it. Correct it in ivesk" + _AGAIN.en,
    ),
    # Vic.ai's answers.
    "differs_at_vicai": Phrase(
        "Vic.ai jau turi šią sąskaitą kitokią: {differences}. Vic.ai sąskaitos "
        "pakeisti negalima: ištrinkite ją Vic.ai ir eksportuokite dokumentą iš naujo, arba palikite, kaip yra Vic.ai.",
        "Vic.ai has this invoice already, and it differs: {differences}. "
        "Vic.ai lets nobody change an invoice: delete it there and export the document again, or leave it as Vic.ai "
        "has it.",
    ),
    "corrected_after_posting": Phrase(
        "Sąskaita jau užregistruota apskaitoje, o dokumentas pakeistas vėliau, todėl pakeitimas ten nepateko: "
        "{differences}. Jei dokumentas teisingas, skirtumą reikia užregistruoti apskaitos programoje.",
        "The invoice is booked already, and the document was changed after that, so the change did not get there: "
        "{differences}. If the document is right, the difference has to be booked in "
        "the accounting system.",
    ),
    "moved_to_another_company": Phrase(
        "Dokumentas dabar yra įmonės {company}, bet anksčiau buvo įkeltas į kitos įmonės Vic.ai ir ten liko. "
        "Patikrinkite pirkėją Įvesk; jei jis teisingas, sąskaitą reikia ištrinti toje Vic.ai.",
        "The document belongs to company {company} now, but was loaded into the Vic.ai of another company before, and "
        "is still there. Check the buyer in ivesk; if it is right, the invoice has to be deleted in that Vic.ai.",
    ),
    "older_export": Phrase(
        "Šis įrašas pasenęs: vėliau eksportuotas dokumentas šiai įmonei nebeapskaitomas. Jei jį vis dėlto reikia "
        "apskaityti, eksportuokite dokumentą iš naujo.",
        "This record is out of date: a later export of the document says that it is not booked in this company. If it "
        "is to be booked after all, export the document again.",
    ),
    "no_longer_booked": Phrase(
        "Dokumentas dabar nelaikomas pirkimu (pardavimas arba neapskaitoma rūšis: {doctype}), bet anksčiau buvo "
        "įkeltas į Vic.ai ir ten liko. Patikrinkite jo rūšį, pirkėją ir pardavėją Įvesk; jei jie teisingi, sąskaitą "
        "reikia ištrinti Vic.ai.",
        "The document is not a purchase to book now (a sale, or a kind that is left out: {doctype}), but was loaded "
        "into Vic.ai before, and is still there. Check its kind, buyer and seller in ivesk; if they are right, the "
        "invoice has to be deleted at Vic.ai.",
    ),
    "no_right": Phrase(
        "Vic.ai neleidžia šiai įmonei įkelti tokių duomenų. Dokumento taisyti nereikia: kreipkitės į tą, kas prižiūri "
        "sąsają su Vic.ai.",
        "Vic.ai does not let this company load such data. Nothing is wrong with the document: tell whoever looks after "
        "the connection with Vic.ai.",
    ),
}
"""For reasons that stand alone."""

DIFFERENCE = Phrase(
    "{field} Vic.ai – {theirs}, dokumente – {ours}", "{field} is {theirs} there, and {ours} in the document"
)
"""One of `{differences}`."""

ANSWERS = frozenset({"service_refused", "not_found"})
"""Answers of Vic.ai, which says why in its own words: the parameter `said`."""

SAID: tuple[tuple[str, Phrase], ...] = (
    (
        r"costAccount is unknown: (?P<name>.+?)",
        Phrase(
            "Vic.ai neturi sąskaitos {name}. Patikrinkite eilučių sąskaitos kodą Įvesk" + _AGAIN.lt,
            "Vic.ai has no account {name}. Check the account code of the lines in ivesk" + _AGAIN.en,
        ),
    ),
    (
        r"dimension is unknown: (?P<name>.+?)",
        Phrase(
            "Vic.ai neturi objekto {name}. Patikrinkite eilučių objektą Įvesk" + _AGAIN.lt,
            "Vic.ai has no dimension {name}. Check the object of the lines in ivesk" + _AGAIN.en,
        ),
    ),
    (
        r"vendor(?:ExternalId)?(?: is unknown:)? (?P<name>.+?)(?: is unknown)?",
        Phrase(
            "Vic.ai neturi pardavėjo {name}. Patikrinkite pardavėjo kodą Įvesk" + _AGAIN.lt,
            "Vic.ai has no vendor {name}. Check the seller's code in ivesk" + _AGAIN.en,
        ),
    ),
    (
        r".+",
        Phrase(
            "Vic.ai atsisakė priimti ir nurodė: „{said}“. Patikrinkite tai Įvesk" + _AGAIN.lt,
            'Vic.ai refused it, saying: "{said}". Check this in ivesk' + _AGAIN.en,
        ),
    ),
)
"""What Vic.ai's words mean: the first pattern that they fit counts."""

REST = Phrase(
    "Dokumentas nepateko į Vic.ai. Patikrinkite jo duomenis Įvesk arba kreipkitės į tą, kas prižiūri sąsają su Vic.ai. "
    "[{reason}]",
    "The document did not get into Vic.ai. Check its data in ivesk, or tell whoever looks after the connection with "
    "Vic.ai. [{reason}]",
)
"""For every other code: it quotes the sentence of the reject."""

OF_A_VENDOR = Phrase(
    "Vic.ai nepriėmė pardavėjo {name}, todėl ir jo sąskaitų. {sentence}",
    "Vic.ai did not take the seller {name}, and so none of the seller's invoices. {sentence}",
)
"""Begins a sentence about a vendor, and about an invoice that waited for it."""
