"""Accounts of the Norwegian standard chart (NS 4102), standard VAT codes (SAF-T Norway), dimensions: as data."""

from __future__ import annotations

# Number, name.
_ACCOUNTS = """
1000 Utvikling, ervervet
1020 Konsesjoner, ervervet
1030 Patenter, ervervet
1050 Varemerker, ervervet
1070 Utsatt skattefordel
1080 Goodwill
1100 Bygninger
1130 Anlegg under utførelse
1150 Tomter og andre grunnarealer
1200 Maskiner og anlegg
1230 Personbiler
1240 Varebiler og lastebiler
1250 Inventar
1260 Fast bygningsinventar
1270 Verktøy o.l.
1280 Kontormaskiner
1300 Investeringer i datterselskap
1320 Lån til foretak i samme konsern
1370 Fordringer på eiere
1390 Andre langsiktige fordringer
1400 Lager av råvarer
1420 Varer under tilvirkning
1440 Lager av ferdige egentilvirkede varer
1460 Lager av varer for videresalg
1480 Forskuddsbetaling til leverandører
1500 Kundefordringer
1530 Opptjente, ikke fakturerte inntekter
1570 Andre kortsiktige fordringer
1580 Avsetning tap på kundefordringer
1700 Forskuddsbetalt leiekostnad
1710 Forskuddsbetalt rentekostnad
1749 Andre forskuddsbetalte kostnader
1900 Kontanter
1920 Bankinnskudd
1940 Bankinnskudd, utenlandsk valuta
1950 Bankinnskudd for skattetrekk
2000 Aksjekapital
2020 Overkurs
2050 Annen egenkapital
2080 Udekket tap
2120 Utsatt skatt
2220 Gjeld til kredittinstitusjoner
2260 Gjeld til selskap i samme konsern
2380 Kassekreditt
2400 Leverandørgjeld
2405 Leverandørgjeld, utenlandsk valuta
2500 Betalbar skatt, ikke utlignet
2600 Forskuddstrekk
2700 Utgående merverdiavgift, høy sats
2701 Utgående merverdiavgift, middels sats
2702 Utgående merverdiavgift, lav sats
2710 Inngående merverdiavgift, høy sats
2711 Inngående merverdiavgift, middels sats
2714 Inngående merverdiavgift, lav sats
2740 Oppgjørskonto merverdiavgift
2770 Skyldig arbeidsgiveravgift
2800 Avsatt utbytte
2900 Forskudd fra kunder
2930 Skyldig lønn
2940 Skyldige feriepenger
2960 Påløpte kostnader
2990 Annen kortsiktig gjeld
3000 Salgsinntekt, avgiftspliktig, høy sats
3030 Salgsinntekt, avgiftspliktig, middels sats
3060 Uttak av varer
3100 Salgsinntekt, avgiftsfri
3200 Salgsinntekt utenfor avgiftsområdet
3600 Leieinntekt, fast eiendom
3900 Andre driftsrelaterte inntekter
4000 Innkjøp av råvarer og halvfabrikata
4060 Frakt, toll og spedisjon
4090 Beholdningsendring
4300 Innkjøp av varer for videresalg
4360 Frakt, toll og spedisjon, varer for videresalg
4500 Fremmedytelser og underentreprise
5000 Lønn til ansatte
5180 Feriepenger
5400 Arbeidsgiveravgift
5420 Innberetningspliktig pensjonskostnad
5800 Refusjon av sykepenger
5900 Gaver til ansatte
5910 Kantinekostnad
5990 Annen personalkostnad
6000 Avskrivning på bygninger
6010 Avskrivning på maskiner og inventar
6100 Frakt og transport ved salg
6200 Elektrisitet
6260 Vann
6300 Leie lokaler
6320 Renovasjon, vann, avløp o.l.
6340 Lys, varme
6360 Renhold
6400 Leie maskiner
6420 Leie datasystemer
6440 Leie transportmidler
6500 Motordrevet verktøy
6540 Inventar
6551 Datautstyr
6552 Programvare, årlig vedlikehold
6570 Arbeidsklær og verneutstyr
6600 Reparasjon og vedlikehold bygninger
6620 Reparasjon og vedlikehold utstyr
6700 Revisjonshonorar
6705 Regnskapshonorar
6720 Honorar for økonomisk og juridisk bistand
6790 Annen fremmed tjeneste
6800 Kontorrekvisita
6840 Aviser, tidsskrifter, bøker
6860 Møte, kurs, oppdatering
6900 Telefon
6907 Datakommunikasjon
6940 Porto
7000 Drivstoff
7020 Vedlikehold transportmidler
7040 Forsikring transportmidler
7140 Reisekostnad, ikke oppgavepliktig
7320 Reklamekostnad
7350 Representasjon, fradragsberettiget
7400 Kontingent, fradragsberettiget
7500 Forsikringspremie
7740 Øredifferanser
7770 Bank- og kortgebyrer
7798 Andre kostnader, fradragsberettiget
7830 Konstaterte tap på fordringer
8050 Annen renteinntekt
8060 Valutagevinst (agio)
8150 Annen rentekostnad
8160 Valutatap (disagio)
8300 Betalbar skatt
8800 Årsresultat
"""
ACCOUNTS = tuple((line[:4], line[5:]) for line in _ACCOUNTS.strip().splitlines())

# Code, hundredths of a percent, description, first day, last day.
VAT_CODES = (
    ("0", 0, "Ingen mva-behandling (anskaffelser)", "2005-01-01", None),
    ("1", 2500, "Inngående mva, alminnelig sats", "2005-01-01", None),
    ("3", 2500, "Utgående mva, alminnelig sats", "2005-01-01", None),
    ("5", 0, "Innenlandsk omsetning, fritatt (0-sats)", "2005-01-01", None),
    ("51", 0, "Innenlandsk omsetning med omvendt avgiftsplikt", "2011-01-01", None),
    ("52", 0, "Utførsel av varer og tjenester, 0-sats", "2005-01-01", None),
    ("6", 0, "Omsetning utenfor merverdiavgiftsloven", "2005-01-01", None),
    ("7", 0, "Ingen mva-behandling (inntekter)", "2005-01-01", None),
    ("11", 1500, "Inngående mva, middels sats", "2012-01-01", None),
    ("12", 1111, "Inngående mva, råfisk", "2005-01-01", None),
    ("13", 1200, "Inngående mva, lav sats", "2021-10-01", None),
    ("13-2020", 600, "Inngående mva, lav sats (midlertidig)", "2020-04-01", "2021-09-30"),
    ("14", 2500, "Fradrag for innførselsmva, alminnelig sats", "2017-01-01", None),
    ("15", 1500, "Fradrag for innførselsmva, middels sats", "2017-01-01", None),
    ("20", 0, "Grunnlag ved innførsel, 0-sats", "2017-01-01", None),
    ("21", 2500, "Grunnlag ved innførsel, alminnelig sats", "2017-01-01", None),
    ("22", 1500, "Grunnlag ved innførsel, middels sats", "2017-01-01", None),
    ("31", 1500, "Utgående mva, middels sats", "2012-01-01", None),
    ("32", 1111, "Utgående mva, råfisk", "2005-01-01", None),
    ("33", 1200, "Utgående mva, lav sats", "2021-10-01", None),
    ("81", 2500, "Innførsel av varer med fradrag, alminnelig sats", "2017-01-01", None),
    ("82", 2500, "Innførsel av varer uten fradrag, alminnelig sats", "2017-01-01", None),
    ("83", 1500, "Innførsel av varer med fradrag, middels sats", "2017-01-01", None),
    ("84", 1500, "Innførsel av varer uten fradrag, middels sats", "2017-01-01", None),
    ("85", 0, "Innførsel av varer, 0-sats", "2017-01-01", None),
    ("86", 2500, "Tjenester kjøpt fra utlandet med fradrag, alminnelig sats", "2005-01-01", None),
    ("87", 2500, "Tjenester kjøpt fra utlandet uten fradrag, alminnelig sats", "2005-01-01", None),
    ("88", 1200, "Tjenester kjøpt fra utlandet med fradrag, lav sats", "2021-10-01", None),
    ("89", 1200, "Tjenester kjøpt fra utlandet uten fradrag, lav sats", "2021-10-01", None),
    ("91", 2500, "Klimakvoter eller gull med fradrag", "2011-01-01", None),
    ("92", 2500, "Klimakvoter eller gull uten fradrag", "2011-01-01", None),
)
RATES = {code: rate for code, rate, *_ in VAT_CODES}

# Type, its name, its id in the ERP, then number and name of each.
DIMENSIONS = (
    (
        "DEPARTMENT",
        "Avdeling",
        "AVD",
        "10 Ledelse|20 Regnskap|21 Lønn|30 Salg|35 Kundeservice|40 Lager Bjørvika|45 Lager Tromsø|50 IT|60 Drift"
        "|65 Kjøkken og kantine|70 Marked|80 Vilniaus biuras – klientų aptarnavimas",
    ),
    (
        "PROJECT",
        "Prosjekt",
        "PRO",
        "1001 Nytt lønnssystem|1002 Ombygging Storgata 12|1003 Messe i Ålesund|1004 Jubileum 2026|1005 Skyflytting"
        "|1006 Sjømat på nett|1007 ISO-sertifisering|1008 Nordlys-kampanjen|1009 Båtplass|1010 Elbiler"
        "|1011 Žalioji energija|1012 Ųžupio dirbtuvės|1013 Vinterhage|1014 Fjordrydding|1015 Arkivet|1016 Ny logo",
    ),
    (
        "COST_CARRIER",
        "Kostnadsbærer",
        "BÆR",
        "A1 Årsoppgjør|A2 Løpende bokføring|A3 Rådgivning|B1 Kurs|B2 Foredrag|C1 Utleie|C2 Parkering|D1 Øvrig"
        "|D2 Internt|E1 Eksport|E2 Innførsel|F1 Fond og støtte",
    ),
)

# What is bought: description, unit, account, VAT code at home, unit price in øre from and to, whether it is stocked.
GOODS = (
    ("Kopipapir A4, 500 ark", "pk", "6800", "1", 4990, 8900, True),
    ("Diesel avgiftspliktig", "l", "7000", "1", 1799, 2390, True),
    ("Strøm, spotpris", "kWh", "6340", "1", 39, 189, False),
    ("Nettleie", "mnd", "6200", "1", 49000, 210000, False),
    ("Husleie Storgata 12", "mnd", "6300", "1", 1200000, 6900000, False),
    ("Renhold kontor", "time", "6360", "1", 38900, 52000, False),
    ("Regnskapsføring", "time", "6705", "1", 98000, 165000, False),
    ("Advokatbistand", "time", "6720", "1", 185000, 340000, False),
    ("Mobilabonnement", "stk", "6900", "1", 24900, 69900, False),
    ("Fiber 1000/1000", "mnd", "6907", "1", 79900, 249000, False),
    ("Programvarelisens", "bruker", "6552", "1", 9900, 189000, False),
    ("Skjerm 27″", "stk", "6551", "1", 219000, 649000, True),
    ("Kontorstol «Fjellbris»", "stk", "6540", "1", 189000, 799000, True),
    ("Vernesko", "par", "6570", "1", 89900, 219000, True),
    ("Kaffebønner, mørkbrent", "kg", "5910", "11", 15900, 28900, True),
    ("Brød og pålegg", "kg", "5910", "11", 4900, 21900, True),
    ("Skrei, sløyd", "kg", "4000", "12", 5900, 11900, True),
    ("Hotellovernatting", "natt", "7140", "13", 89000, 249000, False),
    ("Togreise Oslo–Bergen", "stk", "7140", "13", 29900, 129900, False),
    ("Kursavgift", "stk", "6860", "0", 150000, 1290000, False),
    ("Forsikringspremie", "år", "7500", "0", 320000, 4900000, False),
    ("Annonsering", "stk", "7320", "1", 150000, 2500000, False),
    ("Frakt og ekspedisjon", "kolli", "4360", "1", 9900, 89000, False),
    ("Skruer M8×40, rustfri", "100 stk", "4300", "1", 11900, 39900, True),
    ("Bærbar PC", "stk", "6551", "1", 899000, 2490000, True),
    ("Vedlikehold heis", "kvartal", "6600", "1", 290000, 890000, False),
    ("Tømrerarbeid", "time", "4500", "1", 59000, 89500, False),
    ("Bøker og tidsskrifter", "stk", "6840", "0", 14900, 59900, True),
    ("Porto", "stk", "6940", "1", 2300, 15900, False),
    ("Blomster", "bukett", "5990", "1", 29900, 89900, True),
)
