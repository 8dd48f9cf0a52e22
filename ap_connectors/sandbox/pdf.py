"""Small real PDFs of documents: one page, a base-14 font, text that can be extracted letter by letter."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Mapping
from typing import Any

import pydyf

_WIDTH, _HEIGHT, _MARGIN, _LEADING = 595, 842, 48, 11
_ACCENTS = {
    "CEDILLA": "cedilla", "OGONEK": "ogonek", "CARON": "caron", "DOT ABOVE": "dotaccent", "MACRON": "macron",
    "ACUTE": "acute", "GRAVE": "grave", "CIRCUMFLEX": "circumflex", "TILDE": "tilde", "DIAERESIS": "dieresis",
    "RING ABOVE": "ring", "STROKE": "slash", "COMMA BELOW": "commaaccent",
}  # fmt: skip
_GLYPHS = {
    "„": "quotedblbase", "“": "quotedblleft", "”": "quotedblright", "‚": "quotesinglbase", "‘": "quoteleft",
    "’": "quoteright", "–": "endash", "—": "emdash", "€": "Euro", "£": "sterling", "§": "section", "°": "degree",
    "×": "multiply", "«": "guillemotleft", "»": "guillemotright", "ß": "germandbls", "æ": "ae", "Æ": "AE",
    "đ": "dcroat", "Đ": "Dcroat", "ø": "oslash", "Ø": "Oslash", "ł": "lslash", "Ł": "Lslash", "²": "twosuperior",
}  # fmt: skip
# Latvian letters whose Unicode name says cedilla; type designers name them after what is drawn.
_COMMA_LETTERS = frozenset("ģķļņŗĢĶĻŅŖ")


def render(document: Mapping[str, Any]) -> bytes:
    """Draw number, parties, lines and total of a document; the same document gives the same bytes."""
    rows = [(x, y, "".join(map(_drawable, text))) for x, y, text in _rows(document)]
    codes = _codes("".join(text for _, _, text in rows))
    page = pydyf.Stream()
    page.begin_text()
    for x, y, text in rows:
        size = 15 if y == _HEIGHT - _MARGIN else 8
        page.set_font_size("F1", size)
        page.set_text_matrix(1, 0, 0, 1, x, y)
        # Hexadecimal strings need no escapes, whatever the text holds.
        page.stream.append(_shown(text, codes))
    page.end_text()

    pdf = pydyf.PDF()
    font = pydyf.Dictionary({"Type": "/Font", "Subtype": "/Type1", "BaseFont": "/Helvetica"})
    if extra := [f"{code} /{_glyph(letter)}" for letter, code in codes.items() if code > 126]:
        encoding = {"Type": "/Encoding", "BaseEncoding": "/WinAnsiEncoding", "Differences": f"[{' '.join(extra)}]"}
        font["Encoding"] = pydyf.Dictionary(encoding)
    else:
        font["Encoding"] = "/WinAnsiEncoding"
    pdf.add_object(font)
    pdf.add_object(page)
    pdf.add_page(
        pydyf.Dictionary(
            {
                "Type": "/Page",
                "Parent": pdf.pages.reference,
                "Contents": page.reference,
                "MediaBox": pydyf.Array([0, 0, _WIDTH, _HEIGHT]),
                "Resources": pydyf.Dictionary({"Font": pydyf.Dictionary({"F1": font.reference})}),
            }
        )
    )
    buffer = io.BytesIO()
    pdf.write(buffer)
    return buffer.getvalue()


def _rows(document: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """Return (x, y, text) of everything on the page, in points from the lower left corner."""

    def shown(name: str, source: Mapping[str, Any] = document) -> str:
        value = source.get(name)
        return "" if value is None else " ".join(str(value).split())

    y = _HEIGHT - _MARGIN
    rows = [(_MARGIN, y, f"{shown('doctype')} {shown('docnum')}".strip()), (430, y - 18, shown("date"))]
    for x, side, title in ((_MARGIN, "seller", "Pardavėjas"), (310, "buyer", "Pirkėjas")):
        fields = [shown(side + part) for part in ("name", "code", "vat", "address", "iban")]
        rows += [(x, y - 40 - _LEADING * place, text) for place, text in enumerate([title, *filter(None, fields)])]
    y -= 120
    columns = ((_MARGIN, "name"), (220, "quantity"), (270, "unit"), (315, "price"), (415, "total"), (520, "vatclass"))
    lines = document.get("lines")
    for line in lines if isinstance(lines, list) else []:
        rows += [(x, y, shown(name, line)) for x, name in columns if isinstance(line, Mapping)]
        y -= _LEADING if y > 120 else 0
    currency = shown("currency")
    for name, title in (("subtotal", "Suma be PVM"), ("vat", "PVM"), ("total", "Iš viso")):
        y -= _LEADING + 2
        rows.append((290, y, f"{title}: {shown(name)} {currency}"))
    return [row for row in rows if row[2]]


def _codes(text: str) -> dict[str, int]:
    """Return a one-byte code for each letter: ASCII as it is, up to 128 others from 128 on; the rest shows as `?`."""
    letters = sorted({letter for letter in text if ord(letter) > 126 and _glyph(letter)})
    return {chr(code): code for code in range(32, 127)} | {
        letter: 128 + place for place, letter in enumerate(letters[:127])
    }


def _drawable(letter: str) -> str:
    """Return the letter, or its plain base letter if the font has no such letter."""
    if ord(letter) < 127 or _glyph(letter):
        return letter
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()[:1] or "?"


def _shown(text: str, codes: dict[str, int]) -> bytes:
    return b"<" + bytes(codes.get(letter, ord("?")) for letter in text).hex().encode() + b"> Tj"


def _glyph(letter: str) -> str:
    """Return the glyph's name in the Adobe glyph list, such as `aogonek`; empty if the font has no such letter."""
    if letter in _GLYPHS:
        return _GLYPHS[letter]
    words = unicodedata.name(letter, "").split(" WITH ")
    if len(words) != 2 or words[1] not in _ACCENTS or not words[0].startswith("LATIN "):
        return ""
    base = words[0].rsplit(" ", 1)[1]
    if len(base) != 1:
        return ""
    accent = "commaaccent" if letter in _COMMA_LETTERS else _ACCENTS[words[1]]
    return (base if letter.isupper() else base.lower()) + accent
