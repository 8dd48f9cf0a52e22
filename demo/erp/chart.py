"""What the ERP of the demo knows by heart: its chart of accounts, and the words that its records are made of."""

ACCOUNTS = """
1000 Forskning og utvikling
1070 Utsatt skattefordel
1100 Forretningsbygg
1150 Tomter
1200 Maskiner og anlegg
1230 Varebiler
1250 Inventar
1280 Kontormaskiner
1320 Lån til foretak i samme konsern
1350 Aksjer i Žemaitijos Ąžuolas UAB
1400 Råvarer
1460 Innkjøpte varer for videresalg
1500 Kundefordringer
1530 Opptjent, ikke fakturert
1580 Avsetning for tap på krav
1700 Forskuddsbetalt leie
1740 Andre forskudd
1900 Kontanter
1920 Bankinnskudd
1950 Skattetrekk, egen konto
2000 Aksjekapital
2050 Annen egenkapital
2080 Udekket tap
2220 Gjeld til kredittinstitusjoner
2380 Kassekreditt
2400 Leverandørgjeld
2500 Betalbar skatt
2600 Forskuddstrekk
2700 Utgående merverdiavgift
2710 Inngående merverdiavgift
2740 Oppgjørskonto merverdiavgift
2770 Skyldig arbeidsgiveravgift
2900 Forskudd fra kunder
2940 Skyldige feriepenger
3000 Salg, avgiftspliktig
3100 Salg, avgiftsfritt
3900 Andre driftsinntekter
4000 Innkjøp av råvarer
4300 Innkjøp for videresalg
4360 Frakt, toll og spedisjon
4500 Underentreprise – Šiaurės statyba
5000 Lønn til ansatte
5180 Feriepenger
5400 Arbeidsgiveravgift
5900 Gaver til ansatte
6000 Avskrivning på bygg
6100 Frakt ved salg
6300 Leie av lokaler
6340 Lys og varme
6400 Leie av maskiner
6540 Inventar under 15 000
6700 Revisjon og regnskap
6800 Kontorrekvisita
6900 Telefon
7000 Drivstoff
7140 Reise, ikke oppgavepliktig
7320 Reklame
7500 Forsikring
7770 Bank- og kortgebyrer
8150 Annen rentekostnad
"""
DEPARTMENTS = ("Ledelse", "Innkjøp", "Lager Østfold", "Verksted", "Salg", "Vilniaus skyrius")
PROJECTS = ("Brygga Ålesund", "Skøyteløp på Hamar", "Tunnel Røros", "Kaunas – Žaliakalnis", "Låven", "Neris, 2. etapp")

VAT_CODES = """
1 Inngående avgift, høy sats|25.00
11 Inngående avgift, middels sats|15.00
13 Inngående avgift, lav sats|12.00
81 Innførsel av varer, høy sats|25.00
86 Tjenester kjøpt fra utlandet|25.00
PVM1 Pirkimo PVM, standartinis tarifas|21.0000000000000001
"""
GROUPS = ("Byggevarer", "Kommune og stat", "Žemaitijos tiekėjai")
TAGS = ("Rammeavtale", "Vikarbyrå", "Kvartalsvis", "Muitinė – sjekk toll", "Šviežia sutartis")

PLACES = (
    "Ålesund", "Bodø", "Drøbak", "Førde", "Gjøvik", "Kirkenes", "Molde", "Røst", "Tromsø", "Vardø", "Steinkjer", "Ski",
)  # fmt: skip
TRADES = ("Rør", "Elektro", "Tømrerservice", "Skilt & Trykk", "Kantine", "Blikk", "Maskinutleie")
TOWNS = ("Kaunas", "Šiauliai", "Telšiai", "Panevėžys", "Ukmergė")
FIRMS = ("Ąžuolinės durys", "Čiobrelis", "Gėlių šlaitas", "Žuvėdra", "Įrankių ūkis")
GOODS = (("Gipsplate «Fjell»", "stk"), ("Betong B30", "m3"), ("Ąžuolo lenta", "m"), ("Skruer, syrefaste", "kg"))
