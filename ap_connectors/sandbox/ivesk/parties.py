"""Who buys and sells: a fixed set of companies and people, all invented."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ap_connectors.sandbox.fake_data import SeededRandom, iban, lithuanian_check_digit, uuid_like, without_diacritics

# Names, not codes: everything with digits is derived, with correct check digits.
_COMPANIES = """
UAB „Žaliasis kiemas“|Kaunas|Savanorių pr. 192
UAB „Šiaurės ąžuolas“|Šiauliai|Vilniaus g. 41-3
MB „Pėsčiųjų takai“|Vilnius|Žvėryno g. 8
UAB „Ūkininko krautuvė“|Panevėžys|Respublikos g. 17
AB „Baltijos čiurlys“|Klaipėda|Taikos pr. 101A
IĮ „Kęstučio dirbtuvės“|Alytus|Pulko g. 6
UAB „Vėjo jėgainių priežiūra“|Telšiai|Žemaitės g. 22
MB „Skaitmeniniai įrankiai“|Vilnius|Gedimino pr. 50
UAB „Gėlių salonas Aušra“|Marijampolė|Kauno g. 3
VšĮ „Mažųjų žingsnių akademija“|Kaunas|Laisvės al. 77
UAB „Trys šaltiniai“|Utena|Aušros g. 12
UAB „Jūros krantas ir Ko“|Palanga|J. Basanavičiaus g. 30
"""
_PARTNERS = """
LT|UAB „Raštinės prekių sandėlis“|Vilnius|Ukmergės g. 280
LT|UAB „Degalų tinklas“|Vilnius|Ozo g. 25
LT|AB „Šviesos skirstymas“|Vilnius|Aguonų g. 24
LT|UAB „Vandenų ratas“|Kaunas|Aukštaičių g. 43
LT|UAB „Ryšių banga“|Vilnius|Saltoniškių g. 7
LT|MB „Švaros fėja“|Kaunas|Partizanų g. 61
LT|UAB „Statybų mūras“|Klaipėda|Minijos g. 90
LT|UAB „Pakuočių pasaulis“|Kėdainiai|Pramonės g. 2
LT|UAB „Kelių valdovai LT“|Šiauliai|Tilžės g. 170
LT|IĮ „Jonaičio transportas“|Jonava|Fabriko g. 5
LT|UAB „Buhalterės skrynia“|Vilnius|A. Goštauto g. 40
LT|UAB „Ąžuolo medis“|Rokiškis|Nepriklausomybės a. 9
LT|UAB „Čekių juostos“|Kaunas|Draugystės g. 19
LT|MB „Ėriuko kepykla“|Anykščiai|Šaltupio g. 4
LT|UAB „Įrangos nuoma 24“|Vilnius|Kirtimų g. 47
LT|UAB „Ženklai ir spauda“|Panevėžys|Beržų g. 33
LT|UAB „Ūkio technika“|Biržai|Rotušės g. 18
LT|AB „Pienių slėnis“|Vilkaviškis|Gamyklos g. 1
LT|UAB „Debesų serveriai“|Vilnius|Žirmūnų g. 139
LT|MB „Kavos pupelė“|Klaipėda|Turgaus g. 11
LT|UAB „Saugos žvilgsnis“|Vilnius|Kalvarijų g. 125
LT|UAB „Teisės kelias“|Kaunas|Maironio g. 14
LT|UAB „Autoservisas pas Stasį“|Mažeikiai|Laisvės g. 216
LT|VĮ „Paštininko kelias“|Vilnius|J. Jasinskio g. 16
LT|UAB „Vaistinėlė“|Tauragė|Dariaus ir Girėno g. 20
LT|UAB „Lietuviškos uogos“|Varėna|Vytauto g. 38
LT|UAB „Draudimo skėtis“|Vilnius|Lvovo g. 89
LT|UAB „Sniego valymas“|Molėtai|Inturkės g. 4
LT|MB „Gražūs baldai“|Kretinga|Žemaičių pl. 7
LT|UAB „Knygų rūmai“|Vilnius|Pilies g. 5
LT|UAB „Mėsos karalius“|Plungė|Birutės g. 50
LT|UAB „Aukso žuvelė“|Neringa|Pamario g. 23
LT|IĮ „Siuvėjų ratas“|Ukmergė|Kauno g. 71
LT|UAB „Metalo laužas“|Visaginas|Parko g. 2
LT|UAB „Šilumos ūkis“|Elektrėnai|Elektrinės g. 8
LT|UAB „Dviračių žinios“|Druskininkai|Vilniaus al. 13
LT|UAB „Elektros ruporas“|Kaunas|Raudondvario pl. 150
LT|MB „Mokymų erdvė“|Vilnius|Konstitucijos pr. 21
LT|UAB „Prekyba ir Ko“|Gargždai|Klaipėdos g. 3
LT|UAB „Nuotekų valymas“|Trakai|Karaimų g. 55
LT!|Rūta Žemaitytė|Vilnius|Antakalnio g. 66-12
LT!|Jonas Ąžuolaitis|Kaunas|Taikos pr. 30-5
DE|Grünwald Bürobedarf GmbH|10115 Berlin|Invalidenstraße 117
DE|Müller & Söhne Maschinenbau GmbH|20095 Hamburg|Spitalerstraße 9
DE|Rhein-Logistik SE|50667 Köln|Hohe Straße 68
LV|SIA „Rīgas ķieģelis“|Rīga LV-1010|Brīvības iela 76
LV|SIA „Ziemeļu vējš“|Jelgava LV-3001|Lielā iela 12
LV|AS „Daugavas ļaudis“|Daugavpils LV-5401|Saules iela 5
PL|Hurtownia Śnieżka Sp. z o.o.|00-001 Warszawa|ul. Świętokrzyska 14
PL|Żółw Transport S.A.|16-400 Suwałki|ul. Kościuszki 62
NO|Fjellvær Sjømat AS|5003 Bergen|Strandgaten 18
NO|Ålesund Båtbyggeri AS|6002 Ålesund|Kongens gate 4
EE|Põhja Puit OÜ|10111 Tallinn|Narva mnt 5
SE|Åkersberga Verktyg AB|184 30 Åkersberga|Stationsvägen 3
NL|Van den Berg Bloemen B.V.|1431 Aalsmeer|Legmeerdijk 313
IE|Cloudberry Ireland Ltd|Dublin 2|10 Harcourt Street
GB|Thistle & Thread Ltd|Edinburgh EH1 1BB|21 Cockburn Street
US|Prairie Software Inc.|Austin, TX 78701|500 Congress Ave
ID|PT Sinar Kopi Nusantara|Jakarta 10110|Jl. Medan Merdeka 8
VN|Công ty Hải Đăng|Hà Nội|12 Tràng Tiền
"""
# Letters and digits after the check digits: the bank's part of an IBAN, by country ("a" a letter, "n" a digit).
_BANK_ACCOUNTS = {
    "LT": "n" * 16,
    "DE": "n" * 18,
    "LV": "a" * 4 + "n" * 13,
    "PL": "n" * 24,
    "NO": "n" * 11,
    "EE": "n" * 16,
    "SE": "n" * 20,
    "NL": "a" * 4 + "n" * 10,
    "IE": "a" * 4 + "n" * 14,
    "GB": "a" * 4 + "n" * 14,
}
MOST_KEPT = 1_000
_EU = {"LT", "DE", "LV", "PL", "EE", "SE", "NL", "IE"}


@dataclass(frozen=True)
class Party:
    """A buyer or a seller; `code` is a registration code, `vat` a VAT number, both absent for people."""

    id: str
    name: str
    ascii: str
    address: str
    country: str
    code: str | None
    vat: str | None
    iban: str | None
    person: bool
    favorite: bool

    @property
    def in_eu(self) -> bool:
        """Whether the party's country belongs to the European Union."""
        return self.country in _EU


def _party(seed: int, place: str, line: str, favorite: bool, code: str | None = None) -> Party:
    mark, name, city, street = line.split("|")
    country, person = mark[:2], mark.endswith("!")
    rng = SeededRandom(seed, "party", place)
    # Registration codes that start with 38 and 39 have not been given out: the companies are not real ones.
    drawn, vat = (f"39{rng.below(10**6):06d}", f"{rng.between(1, 9)}{rng.below(10**6):06d}1")
    code = code or drawn
    if country == "LT":
        code, vat = f"{code}{lithuanian_check_digit(code)}", f"LT{vat}{lithuanian_check_digit(vat)}"
    else:
        code, vat = f"{code}{rng.below(100):02d}", f"{country}{vat}{rng.below(10)}"
    shape = _BANK_ACCOUNTS.get(country)
    account = "".join("ABCDEFGHIJ"[rng.below(10)] if kind == "a" else str(rng.below(10)) for kind in shape or "")
    if country == "LT":
        account = rng.pick(("73000", "70440", "40100", "71800")) + account[5:]
    address = f"{street}, {city}" if country != "LT" else f"{street}, LT-{rng.between(1000, 9999):05d} {city}"
    return Party(
        id=uuid_like(seed, "party", place),
        name=name,
        ascii=without_diacritics(name),
        address=address,
        country=country,
        code=None if person else code,
        vat=None if person or not (country in _EU or country in {"NO", "GB"}) else vat,
        iban=iban(country, account) if shape else None,
        person=person,
        favorite=favorite,
    )


@dataclass(frozen=True)
class Parties:
    """All parties of a seed: the accountant's companies (favorites), and those they trade with."""

    companies: tuple[Party, ...]
    partners: tuple[Party, ...]

    @classmethod
    @functools.lru_cache(maxsize=MOST_KEPT)
    def of(cls, seed: int, customer: int = 1) -> Parties:
        """Return the parties of a seed: always the same names, with codes of its own.

        Args:
            seed: Which data.
            customer: Which of Įvesk's customers, counted from 1; no two have a company with the same code.
        """
        partners = _PARTNERS.strip().splitlines()
        return cls(
            companies_of(seed, customer),
            tuple(_party(seed, f"partner {place}", line, False) for place, line in enumerate(partners)),
        )


@functools.lru_cache(maxsize=MOST_KEPT)
def companies_of(seed: int, customer: int = 1) -> tuple[Party, ...]:
    """Return the accountant's companies, as in `Parties.of`."""
    return tuple(
        _party(seed, f"company {place}", f"LT|{line}", True, None if customer == 1 else f"38{customer:03d}{place:03d}")
        for place, line in enumerate(_COMPANIES.strip().splitlines())
    )
