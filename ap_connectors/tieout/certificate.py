"""A result as a page to sign: what was compared, sums of both sides, every difference, a fingerprint of the data."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from ap_connectors.core import pages
from ap_connectors.core.exact import EXACT
from ap_connectors.core.manners import MANNERS
from ap_connectors.tieout.booking import balance
from ap_connectors.tieout.certificate_words import KINDS, STREAMS, WORDS, source_of
from ap_connectors.tieout.result import Comparison, Difference, Result, Row, Sums
from ap_connectors.tieout.sentence_words import sentence
from ap_connectors.tieout.sentence_words import told as differs

LANGUAGES = tuple(WORDS)
_AMOUNTS = ("subtotal", "vat", "total")
_AGES = (30, 60, 90, 180, 365)
"""Days up to which differences are put together."""


def page(result: Result, data: bytes, language: str = "en") -> str:
    """Return a certificate as HTML.

    Args:
        result: of the comparison.
        data: the result as JSON, as it is kept beside the page; the page holds it, and its fingerprint.
        language: one of `LANGUAGES`.

    Raises:
        Stop: jinja2 is not installed.
    """
    told, place = WORDS[language], LANGUAGES.index(language)
    companies = sorted({row.group[0] for one in result.comparisons for row in one.rows if row.group[0]})
    ages = _ages(result)
    return pages.render(
        Path(__file__).parent,
        "certificate",
        language=language,
        words={**told, **{f"kind_{kind}": words[place] for kind, words in KINDS.items()}},
        result=replace(result, source=source_of(result, language)),
        made_by=f"ap-tieout {result.name}, ap-connectors {metadata.version('ap-connectors')}",
        companies=[result.company] if result.company else companies,
        records=sum(one.whole.destination.documents for one in result.comparisons),
        failing=sum(found.count for one in result.comparisons for found in one.failing.values()),
        explained=sum(one.count("explained") for one in result.comparisons),
        ages=ages,
        columns=_columns(result),
        most_of_an_age=max((count for _, count in ages), default=1),
        sums=[sums for one in result.comparisons if (sums := _sums(one))],
        owed=list(balance(one.booking for one in result.comparisons).items()),
        codes=[(one, sorted(one.booking.vat.items())) for one in result.comparisons if _has_codes(one)],
        title_of=lambda stream: STREAMS[stream][place] if stream in STREAMS else stream.replace("_", " ").capitalize(),
        tell=partial(sentence, language),
        differs=partial(differs, language),
        gap=MANNERS[language].gap,
        link=_link,
        bar=_bar,
        fingerprint=hashlib.sha256(data).hexdigest(),
        data=base64.b64encode(data).decode(),
        data_name=f"{result.name}-{result.made_at[:10]}.json",
    )


def _columns(result: Result) -> frozenset[str]:
    """Return which columns of the differences hold something: "date", "file", and "id", where the name is another."""
    named = [
        one for comparison in result.comparisons for found in comparison.differences.values() for one in found.named
    ]
    told = {"date": any(one.date for one in named), "file": any(one.file for one in named)}
    told["id"] = any(one.label and one.label != one.key for one in named)
    return frozenset(name for name, is_there in told.items() if is_there)


def _has_codes(comparison: Comparison) -> bool:
    return any(code for _, code in comparison.booking.vat)


def _ages(result: Result) -> list[tuple[str, int]]:
    """Return how many differences that count are how old, by days ("0–30"); the last are over a year, or undated.

    Without a single date, as in master data, there is nothing to tell.
    """
    today, found = date.fromisoformat(result.made_at[:10]), Counter[str]()
    for one in result.comparisons:
        for differences in one.failing.values():
            for day, count in differences.days.items():
                found[_age(day, today)] += count
    if not {*found} - {""}:
        return []
    order = [f"{low}–{high}" for low, high in _spans()]
    return [(name, found[name]) for name in (*order, ">", "") if found[name] or (found and name in order)]


def _spans() -> Iterator[tuple[int, int]]:
    return zip((0, *(days + 1 for days in _AGES)), _AGES, strict=False)


def _age(day: str, today: date) -> str:
    try:
        days = max((today - date.fromisoformat(day[:10])).days, 0)
    except ValueError:
        return ""
    return next((f"{low}–{high}" for low, high in _spans() if days <= high), ">")


@dataclass(frozen=True)
class CurrencySums:
    """Counts and sums of one currency, by month and in all.

    Args:
        currency: ISO 4217, or "".
        months: a row for each, over all companies; more than one of them is a picture.
        whole: all months together.
        largest: the largest total of a month, whatever its sign: the whole length of a bar.
    """

    currency: str
    months: Sequence[Row]
    whole: Row
    largest: Decimal


@dataclass(frozen=True)
class StreamSums:
    """Counts and sums of a stream.

    Args:
        comparison: of the stream.
        names: which counts and amounts its documents state.
        currencies: by currency.
        companies: a row for each, where there are several.
    """

    comparison: Comparison
    names: Sequence[str]
    currencies: Sequence[CurrencySums]
    companies: Sequence[Row]

    def heads(self, say: Mapping[str, str]) -> list[str]:
        """Return the heads of its columns, those of numbers."""
        return [f"#{say[name]}" for name in self.names]


def _sums(comparison: Comparison) -> StreamSums | None:
    """Return the sums of a stream; None where its documents state no amounts."""
    names = [name for name in ("documents", "lines", *_AMOUNTS) if any(_states(row, name) for row in comparison.rows)]
    if not set(names) & set(_AMOUNTS):
        return None
    currencies = []
    for whole in comparison.currencies():
        currency = whole.group[2]
        months = _together((row for row in comparison.rows if row.group[2] == currency), 1)
        totals = [abs(total) for row in months for total in (_total(row.source), _total(row.destination))]
        currencies.append(CurrencySums(currency, months, whole, max(totals)))
    companies = _together(comparison.rows, 0)
    return StreamSums(comparison, names, currencies, companies if len(companies) > 1 else ())


def _states(row: Row, name: str) -> bool:
    return getattr(row.source, name) is not None or getattr(row.destination, name) is not None


def _together(rows: Iterable[Row], part: int) -> list[Row]:
    """Return rows put together by one part of their group."""
    found: dict[str, Row] = {}
    for one in rows:
        name = one.group[part]
        row = found.setdefault(name, Row(one.group))
        row.source, row.destination = row.source.plus(one.source), row.destination.plus(one.destination)
    return [found[name] for name in sorted(found)]


def _total(sums: Sums) -> Decimal:
    return sums.total or sums.subtotal or Decimal(0)


def _bar(sums: Sums, largest: Decimal) -> str:
    """Return how long the bar of a total is, in percent; a picture only, the amount stands beside it."""
    if not largest:
        return "0"
    return f"{EXACT.divide(EXACT.multiply(abs(_total(sums)), Decimal(100)), largest):.2f}"


def _link(one: Difference) -> str:
    """Return an address to open a document's file by; "" where a browser would not."""
    address = urlsplit(one.file)
    if address.scheme in {"http", "https", "file"}:
        return one.file
    path = Path(one.file)
    return path.as_uri() if one.file and not address.scheme and path.is_absolute() else ""
