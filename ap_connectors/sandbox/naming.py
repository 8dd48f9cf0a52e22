"""The companies of one sandbox, by number: their ids, credentials and names follow from it."""

import re

MOST = 999
UNKNOWN = "unknown"
"""Whose log has the calls with credentials of no company, where there are several."""
HEADER, PARAMETER = "X-Sandbox-Company", "company"
"""How a control call names the company that it means."""
_FIRST = (
    "Nordvik", "Havblikk", "Bjørkelund", "Solvang", "Granåsen", "Fossheim", "Elvebakken", "Skogly", "Vestfjord",
    "Ålgård", "Steinsvik", "Lindesnes", "Tømmerdal", "Myrvang", "Kråkøy", "Breidablikk", "Furuset",
    "Holmestrøm", "Rødberg", "Sandnes", "Øvrebø", "Dalsnuten", "Stormyra", "Klokkergården", "Heimdal",
    "Lysefjord", "Torsnes", "Vårsol", "Bekkestua", "Grønland", "Kvitsøy", "Nesodden", "Ravneberg", "Sjøhagen",
    "Tindeland", "Ulvøya", "Viken", "Åsgård", "Ørnes", "Polaris",
)  # fmt: skip
_SECOND = (
    "Regnskap", "Bygg", "Sjømat", "Transport", "Eiendom", "Elektro", "Rør og Varme", "Bakeri", "Renhold",
    "Trelast", "Maskin", "Møbler", "Reiser", "Bokhandel", "Helse", "Tannklinikk", "Bilverksted", "Hagesenter",
    "Konsult", "Media", "Energi", "Shipping", "Gartneri", "Catering", "Systemer",
)  # fmt: skip


def company_id(number: int) -> str:
    """Return the id of a company, counted from 1: `company-001`."""
    return f"company-{number:03d}"


def credential(given: str, number: int) -> str:
    """Return a company's client id, secret or key: what the command was given, from the second on with the number."""
    return given if number == 1 else f"{given}-{number:03d}"


def shown(secret: str, default: str) -> str:
    """Return a credential as people may see it: only one that the command was not given."""
    return secret if re.fullmatch(re.escape(default) + r"(-\d{3})?", secret) else "as given"


def company_name(given: str, number: int) -> str:
    """Return what Vic.ai calls a company: the first as the command was given, others by an invented name each."""
    if number == 1:
        return given
    turn, place = divmod(number, len(_FIRST))
    # One step further with each turn: no pair comes twice.
    return f"{_FIRST[place]} {_SECOND[(turn + number) % len(_SECOND)]} AS"
