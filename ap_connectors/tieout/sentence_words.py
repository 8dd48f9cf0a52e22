"""The sentences of comparisons, which are made in English, and reasons of rejects, in Lithuanian and Norwegian."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ap_connectors.core.manners import MANNERS, Manner
from ap_connectors.tieout.result import Difference

_COUNTED = r"(\d+) (?:record|row|line)s?"
_AMOUNT = r"[+-]?[\d,]+\.\d\d+"
# Of whole sentences: the English pattern, the Lithuanian and the Norwegian words.
_SENTENCES = (
    (
        r"Files are not in the warehouse \(documents_dir is not set\): they are not compared\.",
        "Failų saugykloje nėra (documents_dir nenustatytas): jie nelyginami.",
        "Filer er ikke i datavarehuset (documents_dir er ikke satt): de er ikke sammenlignet.",
    ),
    (
        r"Files are looked for in the warehouse only: what is in them is not compared without --files\.",
        "Failų ieškoma tik saugykloje: jų turinys be --files nelyginamas.",
        "Det er bare lett etter filer i datavarehuset: innholdet sammenlignes ikke uten --files.",
    ),
    (
        r"Only keys, times of change, dates, currencies and amounts are compared \(--no-fields\)\.",
        "Lyginti tik raktai, pakeitimo laikai, datos, valiutos ir sumos (--no-fields).",
        "Bare nøkler, endringstider, datoer, valutaer og beløp er sammenlignet (--no-fields).",
    ),
    (r"Tables that are not compared: (.+)\.", "Nelygintos lentelės: {0}.", "Tabeller som ikke er sammenlignet: {0}."),
    (
        r"(\S+) has no column (\S+), so VAT by code and what is owed are not told\.",
        "Lentelėje {0} nėra stulpelio {1}, todėl PVM pagal kodą ir skola nerodomi.",
        "{0} har ingen kolonne {1}, så mva. per kode og leverandørgjeld vises ikke.",
    ),
    (
        r"Lines of the input have no VAT code, and Vic\.ai has one for them: VAT by code is not compared\.",
        "Įkeliamų duomenų eilutės neturi PVM kodo, o „Vic.ai“ jį turi: PVM pagal kodą nelygintas.",
        "Linjer i inndata har ingen mva-kode, og Vic.ai har en for dem: mva. per kode er ikke sammenlignet.",
    ),
    (
        r"(\S+) has no column for (.+): not compared\.",
        "Lentelėje {0} nėra stulpelių: {1}; jie nelyginti.",
        "{0} har ingen kolonne for {1}: ikke sammenlignet.",
    ),
    (r"(\S+) is not compared \((.+)\)\.", "{0} nelyginta ({1}).", "{0} er ikke sammenlignet ({1})."),
    (rf"(\S+) is not compared: {_COUNTED}\.", "{0} nelyginta (įrašų: {1}).", "{0} er ikke sammenlignet ({1} poster)."),
    (
        r"(\S+) is not compared: links are made anew for every answer\.",
        "{0} nelyginta: nuorodos kaskart sukuriamos iš naujo.",
        "{0} er ikke sammenlignet: lenkene lages på nytt i hvert svar.",
    ),
    (
        r"(\S+) is not compared: it is kept as JSON, whose numbers the loader rounds\.",
        "{0} nelyginta: laikoma JSON formatu, kurio skaičius įkeliant suapvalinta.",
        "{0} er ikke sammenlignet: feltet er lagret som JSON, der tall ble avrundet ved lasting.",
    ),
    (
        r"(\S+) is kept as JSON, whose numbers the loader rounds: lines are not compared\. Load anew with "
        r"target-warehouse, which keeps them \(docs/upgrade\.md\)\.",
        "{0} laikoma JSON formatu, kurio skaičius įkeliant suapvalinta: eilutės nelyginamos. Įkelkite iš naujo su "
        "target-warehouse, kuris juos išsaugo (docs/upgrade.md).",
        "{0} er lagret som JSON, der tall ble avrundet ved lasting: linjene er ikke sammenlignet. Last på nytt med "
        "target-warehouse, som beholder dem (docs/upgrade.md).",
    ),
    (
        r"(\S+) is not compared: the loader put it aside when the field's type changed\.",
        "{0} nelyginta: pasikeitus lauko tipui, įkėlimo programa stulpelį atidėjo.",
        "{0} er ikke sammenlignet: kolonnen ble lagt til side da feltets type endret seg.",
    ),
    (
        r"(\S+) is not in the warehouse: lines are not compared\.",
        "Lentelės {0} saugykloje nėra: eilutės nelyginamos.",
        "{0} er ikke i datavarehuset: linjene er ikke sammenlignet.",
    ),
    (
        rf"{_COUNTED} of (\S+) of columns that the settings do not name: not compared\.",
        "Lentelės {1} eilutės stulpelių, kurių nustatymai nenurodo: {0}; nelyginta.",
        "{0} rader i {1} fra kolonner som innstillingene ikke nevner: ikke sammenlignet.",
    ),
    (
        r"The input has no records of streams that can be compared\.",
        "Įvestyje nėra įrašų, kuriuos galima palyginti.",
        "Inndataene har ingen poster som kan sammenlignes.",
    ),
    (
        r"(.+) So each record was asked for by itself\.",
        "Sąrašo gauti nepavyko, todėl kiekvieno įrašo klausta atskirai. Tarnybos atsakymas: {0}",
        "Listen var ikke tilgjengelig, så det ble spurt etter hver post for seg. Tjenestens svar: {0}",
    ),
    (
        r"vendors: (\d+) vendors? of documents: only whether Vic\.ai has them was compared\.",
        "Dokumentuose nurodyti tiekėjai ({0}): tikrinta tik tai, ar jie yra Vic.ai.",
        "{0} leverandører fra bilag: det er bare sjekket om Vic.ai har dem.",
    ),
    (
        r"the input says that it is deleted, and Vic\.ai still has it",
        "įvestyje pažymėta kaip ištrinta, o Vic.ai dar yra",
        "slettet i inndataene, men finnes fortsatt hos Vic.ai",
    ),
    (
        r"the input says that it is not to be booked here, and Vic\.ai still has it",
        "pagal įvestį čia neregistruotina, o Vic.ai dar yra",
        "skal etter inndataene ikke bokføres her, men finnes fortsatt hos Vic.ai",
    ),
    (r"(.+) cannot be read: (\S+)", "{0} nepavyko perskaityti: {1}", "{0} kan ikke leses: {1}"),
    (
        r"Of the table company only the name is compared\.",
        "Iš lentelės company lygintas tik pavadinimas.",
        "Av tabellen company er bare navnet sammenlignet.",
    ),
    (
        r"Payments are not in the warehouse: the AP balance knows only what the ERP says is paid\.",
        "Mokėjimų saugykloje nėra: į skolą įskaityta tik tai, ką apmokėta nurodo ERP.",
        "Betalinger er ikke i datavarehuset: gjelden tar bare hensyn til det ERP oppgir som betalt.",
    ),
    (
        r"Lines of (\S+) are not in the warehouse: they are not compared\.",
        "Lentelės {0} eilučių saugykloje nėra: jos nelyginamos.",
        "Linjene til {0} er ikke i datavarehuset: de er ikke sammenlignet.",
    ),
    (
        rf"{_COUNTED} of (\S+) came with an earlier state of their document, or with one that is not compared: not "
        r"compared\.",
        "Lentelės {1} eilutės su ankstesne arba nelyginama dokumento būkle: {0}; nelyginta.",
        "{0} rader i {1} kom med en tidligere tilstand av bilaget, eller en som ikke sammenlignes: ikke sammenlignet.",
    ),
    (
        rf"{_COUNTED} in (\S+) of documents that are not compared\.",
        "Lentelės {1} eilutės, kurių dokumentai nelyginami: {0}.",
        "{0} linjer i {1} hører til bilag som ikke er sammenlignet.",
    ),
    (
        rf"{_COUNTED} of older exports left over in (\S+)\.",
        "Lentelėje {1} likusios senesnių eksportų eilutės: {0}.",
        "{0} linjer fra eldre eksporter ligger igjen i {1}.",
    ),
    (
        rf"{_COUNTED} of older exports in (\S+); the newest counts\.",
        "Lentelės {1} senesnių eksportų eilutės: {0}; skaičiuojama naujausia.",
        "{0} rader fra eldre eksporter i {1}; den nyeste teller.",
    ),
    (
        rf"{_COUNTED} of (\S+) of companies or types that the settings do not name: not compared\.",
        "Lentelės {1} eilutės tų įmonių ar rūšių, kurių nustatymai nenurodo: {0}; nelyginta.",
        "{0} rader i {1} fra selskaper eller av typer som innstillingene ikke nevner: ikke sammenlignet.",
    ),
    (
        rf"Vic\.ai holds {_COUNTED} that the input does not name; that does not matter here\.",
        "Vic.ai yra ir kitų įrašų, kurių šaltinyje nėra: {0}; čia tai nesvarbu.",
        "Vic.ai har {0} poster som ikke er i kilden; det betyr ikke noe her.",
    ),
    (
        r"Columns of the list that Vic\.ai does not have: (.+) \(misspelt\?\): not loaded and not compared\.",
        "Sąrašo stulpeliai, kurių Vic.ai neturi: {0} (gal rašybos klaida?); neįkelta ir nelyginta.",
        "Kolonner i listen som Vic.ai ikke har: {0} (skrivefeil?): ikke lastet og ikke sammenlignet.",
    ),
    (
        r"Fields of the input that Vic\.ai does not have: (.+) \(misspelt\?\): not loaded and not compared\.",
        "Laukai, kurių Vic.ai neturi: {0} (gal rašybos klaida?); neįkelta ir nelyginta.",
        "Felter som Vic.ai ikke har: {0} (skrivefeil?): ikke lastet og ikke sammenlignet.",
    ),
    (
        r"Vic\.ai does not show (.+): not compared\.",
        "Vic.ai nerodo: {0}; nelyginta.",
        "Vic.ai viser ikke {0}: ikke sammenlignet.",
    ),
    (
        rf"(\S+): {_COUNTED} that cannot be compared\.",
        "{0}: įrašai, kurių palyginti negalima: {1}.",
        "{0}: {1} poster som ikke kan sammenlignes.",
    ),
    (
        rf"{_COUNTED} rejected(?:, ({_AMOUNT}) (\S*))?: left out of the sums of both sides\.",
        "Atmesti įrašai: {0} ({1} {2}); į abiejų pusių sumas neįtraukta.",
        "{0} poster avvist ({1} {2}): utelatt fra summene på begge sider.",
    ),
    (r"the record has no natural key", "įrašas neturi natūralaus rakto", "posten har ingen naturlig nøkkel"),
    (r"no row in (\S+)", "lentelėje {0} nėra eilutės", "ingen rad i {0}"),
    (r"it has no path", "nenurodytas kelias iki failo", "filen har ingen sti"),
    (r"(.+) does not exist", "{0} neegzistuoja", "{0} finnes ikke"),
    (
        r"the SHA-256 of (.+) is not the one in the warehouse",
        "{0} SHA-256 ne toks kaip saugykloje",
        "SHA-256 for {0} er en annen enn i datavarehuset",
    ),
    (r"(\d+) times", "kartų: {0}", "{0} ganger"),
)
# Of parts of a sentence, which commas join.
_PARTS = (
    (
        r"its lines differ, though they add up to the same",
        "eilutės skiriasi, nors suma ta pati",
        "linjene er ulike, men summen er den samme",
    ),
    (
        rf"(subtotal|vat|total) ({_AMOUNT}), its lines add up to ({_AMOUNT}) \(({_AMOUNT})\)",
        "{0} {1}, eilučių suma {2} ({3})",
        "{0} {1}, linjenes sum er {2} ({3})",
    ),
    (
        rf"its lines' (subtotal|vat|total) ({_AMOUNT}|nothing) became ({_AMOUNT}|nothing)",
        "eilučių {0} {1} → {2}",
        "linjenes {0} {1} → {2}",
    ),
    (rf"(subtotal|vat|total) ({_AMOUNT}|nothing) became ({_AMOUNT}|nothing)", "{0} {1} → {2}", "{0} {1} → {2}"),
    (
        r"its state of (\S+) is there as of (\S+)",
        "čia {0} būklė, ten – {1}",
        "tilstanden fra {0} er der slik den var {1}",
    ),
    (
        r"its state of (\S+) is there without a time",
        "čia {0} būklė, ten – be laiko",
        "tilstanden fra {0} er der uten tid",
    ),
    (
        r"(\d+) lines? became something that is not a list of lines",
        "eilučių čia {0}, o ten ne eilučių sąrašas",
        "{0} linjer her, og der noe som ikke er en liste av linjer",
    ),
    (r"it is not at Vic\.ai", "Vic.ai jo nėra", "finnes ikke hos Vic.ai"),
    (r"(\S+) (.+?) is not at Vic\.ai", "{0} {1}: Vic.ai to nėra", "{0} {1}: finnes ikke hos Vic.ai"),
    (r"rejected: (.+)", "atmesta: {0}", "avvist: {0}"),
    (r"the destination's line has: (\S+) is ('.*?')", "ten eilutės {0} yra {1}", "der er linjens {0} {1}"),
    (r"the destination's (\S+) is ('.*?')", "ten {0} yra {1}", "der er {0} {1}"),
    (r"a line's (\S+) is ('.*?')", "eilutės {0} yra {1}", "linjens {0} er {1}"),
    (r"(\S+) is ('.*?')", "{0} yra {1}", "{0} er {1}"),
    (r"(\d+) lines? became (\d+)", "eilučių {0} → {1}", "linjer {0} → {1}"),
    (r"(company|date|currency) (.+?) became (.+?)", "{0} {1} → {2}", "{0} {1} → {2}"),
    (r"(\S+) (.+?) became (.+?)", "{0} {1} → {2}", "{0} {1} → {2}"),
)
_NAMES = {
    "subtotal": ("suma be PVM", "sum uten mva."),
    "vat": ("PVM", "mva."),
    "total": ("bendra suma", "totalsum"),
    "company": ("įmonė", "selskap"),
    "date": ("data", "dato"),
    "currency": ("valiuta", "valuta"),
    "nothing": ("nieko", "ingenting"),
}
_REASONS: Mapping[str, tuple[str, str]] = {
    "bank_account": (
        "banko sąskaita {value} negali būti teisinga (ilgis arba kontroliniai skaitmenys)",
        "kontonummeret {value} kan ikke være riktig (lengde eller kontrollsifre)",
    ),
    "bank_change": (
        "banko rekvizitai Vic.ai kitokie; pakeitimas laukia patvirtinimo",
        "bankopplysningene er andre hos Vic.ai; endringen venter på godkjenning",
    ),
    "missing_field": ("trūksta: {fields}", "mangler: {fields}"),
    "missing_key": ("trūksta rakto: {fields}", "nøkkelen mangler: {fields}"),
    "null_not_allowed": ("trūksta: {field}", "mangler: {field}"),
    "not_a_date": ("{field}: netinkama data {value}", "{field}: ikke en dato: {value}"),
    "not_a_time": ("{field}: netinkamas laikas {value}", "{field}: ikke et tidspunkt: {value}"),
    "not_a_number": ("{field}: netinkamas skaičius {value}", "{field}: ikke et tall: {value}"),
    "not_a_whole_number": ("{field}: ne sveikasis skaičius {value}", "{field}: ikke et heltall: {value}"),
    "not_true_or_false": (
        "{field}: turi būti true arba false, o yra {value}",
        "{field}: ikke true eller false: {value}",
    ),
    "too_long": (
        "{field}: per ilgas tekstas, ženklų {length}, Vic.ai priima {most}",
        "{field}: teksten er for lang, {length} tegn, Vic.ai tar {most}",
    ),
    "too_small": ("{field}: per mažas skaičius {value}", "{field}: tallet er for lite: {value}"),
    "too_large": ("{field}: per didelis skaičius {value}", "{field}: tallet er for stort: {value}"),
    "unknown_reference": ("Vic.ai neturi: {references}", "Vic.ai har ikke: {references}"),
    "service_refused": ("Vic.ai nepriėmė: {said}", "Vic.ai tok den ikke imot: {said}"),
    "no_right": ("Vic.ai neleidžia įkelti tokių duomenų", "Vic.ai tillater ikke slike data"),
}
_PLACES = {"lt": 0, "no": 1}
_REJECTED = ("atmesta", "avvist")


def sentence(language: str, text: str) -> str:
    """Return a sentence of a comparison in a language; what is not known stays English."""
    if language == "en":
        return text
    place, manner = ("lt", "no").index(language), MANNERS[language]
    for pattern, *words in _SENTENCES:
        if found := re.fullmatch(pattern, text):
            return (
                words[place].format(*(_value(manner, place, one or "") for one in found.groups())).replace(" ( )", "")
            )
    for pattern, *words in _PARTS:
        text = re.sub(rf"(?:(?<=^)|(?<=, )|(?<=; )){pattern}(?=$|, |; )", _part(manner, place, words[place]), text)
    # A document that is on one side only: its date, total and currency.
    if found := re.fullmatch(rf"(\d{{4}}-\d\d-\d\d)?( ?)({_AMOUNT})?(.*)", text):
        day, blank, amount, rest = found.groups()
        text = f"{manner.date(day) if day else ''}{blank}{_value(manner, place, amount or '')}{rest}"
    return text


def _part(manner: Manner, place: int, words: str) -> Callable[[re.Match[str]], str]:
    return lambda found: words.format(*(_value(manner, place, one) for one in found.groups()))


def _value(manner: Manner, place: int, value: str) -> str:
    if re.fullmatch(_AMOUNT, value):
        return value[: value[0] == "+"] + manner.number(value.replace(",", ""))
    return _NAMES[value][place] if value in _NAMES else manner.date(value)


def told(language: str, one: Difference) -> str:
    """Return what a difference says in a language; a reason whose code is not known here stays English."""
    place, rejected = _PLACES.get(language), one.rejected
    if place is None or rejected is None or rejected.code not in _REASONS:
        return sentence(language, one.words)
    try:
        reason = _REASONS[rejected.code][place].format_map(
            {name: _text(value) for name, value in rejected.params.items()}
        )
    except KeyError:
        # A later version may say it with other parameters.
        return sentence(language, one.words)
    words = one.words.removesuffix(f"; rejected: {rejected.reason}")
    return f"{sentence(language, words)}; {_REJECTED[place]}: {reason}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    # A reference: what it names.
    return str(value.get("key") or value) if isinstance(value, dict) else str(value)
