"""Why a record was set aside, in Lithuanian and Norwegian, by the code of the reject; English is its own sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ap_connectors.tieout.result import Difference
from ap_connectors.tieout.sentence_words import sentence

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
