"""Puts the reason of a reject into words for an accountant: always the same words for the same refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ap_connectors.core.redact import Redactor
from ap_connectors.singer.schema import canonical
from tap_rejects.phrases import ADVICE, CLAUSES, OF_A_VENDOR, PHRASES, REST, Phrase
from tap_rejects.terms import FIELDS, KINDS, LINE, UNNAMED, WHERE

_MOST = 1000
"""Characters of a reason that are looked at; nobody reads more of it."""

# What is another one each time, though the refusal is the same.
_REQUEST = re.compile(r"[;,]?\s*\b(?:request|trace|correlation)[ -]?id:? [^\s;,)]+", re.IGNORECASE)
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(?:Z\b|UTC\b|[+-]\d\d:?\d\d\b)")
_NOTHING = re.compile(r" ?\(\s*\)")

_PARENT = re.compile(rf"(?:^|, )({'|'.join(map(re.escape, KINDS['lt']))}) ")
_SETTING = re.compile(r" \((?:vat_classes|accounts|objects)\)(?=, |$)")
_LINE = re.compile(r"lineItems\[(\d+)\](?:\.(.+))?")

_redact = Redactor()


class Speaker:
    """Says in one language what is wrong, for the records of one file: a vendor's refusal explains its invoices'.

    Args:
        language: "lt" or "en".
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._vendors: dict[str, str] = {}

    def message(self, stream: str, record: Mapping[str, Any], reason: str) -> str:
        """Return what to tell of a refused record.

        Args:
            stream: the record's.
            record: its fields, by their canonical names.
            reason: why it was refused.
        """
        reason = steady(reason)
        if canonical(stream) != "vendors":
            return self._of_document(reason)
        code, name = (" ".join(str(record.get(field) or "").split()) for field in ("externalid", "name"))
        told = f"{name} ({code})" if name and code else name or code or "?"
        said = OF_A_VENDOR[self._language].format(name=told, sentence=self._sentence(reason))
        self._vendors[code] = said
        return said

    def _of_document(self, reason: str) -> str:
        """Say what is wrong; where the document waited for a vendor that was refused, what is wrong with that one."""
        found = PHRASES[0].pattern.search(reason)
        parents = _parents(found["parents"]) if found else []
        refused = [self._vendors[key] for kind, key in parents if kind == "vendor" and key in self._vendors]
        if not refused:
            return self._sentence(reason)
        others = [(kind, key) for kind, key in parents if kind != "vendor" or key not in self._vendors]
        return " ".join((*refused, *([self._unknown(others)] if others else [])))

    def _sentence(self, reason: str) -> str:
        said = self._clauses(reason)
        if said is not None:
            return said
        for phrase in PHRASES:
            if found := phrase.pattern.search(reason):
                return self._say(phrase, found)
        rest: str = getattr(REST, self._language)
        return rest.format(reason=reason).removesuffix(" []")

    def _clauses(self, reason: str) -> str | None:
        """Put a reason into words part by part; None if one of its parts is unknown."""
        said, place = [], 0
        while rest := reason[place:].strip(" ;."):
            place = reason.index(rest, place)
            match = next(((one, found) for one in CLAUSES if (found := one.pattern.match(reason, place))), None)
            if match is None:
                return None
            said.append(self._say(*match))
            place = match[1].end()
        return ". ".join((*said, ADVICE[self._language])) if said else None

    def _say(self, phrase: Phrase, found: re.Match[str]) -> str:
        named = {name: self._named(name, value or "") for name, value in found.groupdict().items()}
        text: str = getattr(phrase, self._language)
        return text.format_map(named)

    def _named(self, name: str, value: str) -> str:
        """Put what a pattern has found into words of the language, as far as the group's name says what it is."""
        if name == "field":
            return self._field(value)
        if name == "where":
            number = value.lower().removeprefix("line ")
            where = WHERE[self._language]
            return where["line"].format(number=number) if number.isdigit() else where["header"]
        if name == "fields":
            return ", ".join(map(self._field, value.split(", ")))
        if name in {"buyer", "seller"}:
            return self._party(value)
        if name == "codes":
            value = _SETTING.sub("", value)
        return self._together(_parents(value)) if name in {"parents", "codes"} else value

    def _party(self, value: str) -> str:
        """Put "without a name (no registration code)" into words; a name or a code stays."""
        party, _, code = value.removesuffix(")").rpartition(" (")
        (no_name, no_code), (nameless, codeless) = UNNAMED["en"], UNNAMED[self._language]
        return f"{nameless if party == no_name else party} ({codeless if code == no_code else code})"

    def _field(self, path: str) -> str:
        if line := _LINE.fullmatch(path):
            field = self._field(line[2] or "lineItems")
            return LINE[self._language].format(number=int(line[1]) + 1, field=field)
        return FIELDS[self._language].get(path.rpartition(".")[2], path)

    def _unknown(self, parents: list[tuple[str, str]]) -> str:
        text: str = getattr(PHRASES[0], self._language)
        return text.format(parents=self._together(parents))

    def _together(self, parents: list[tuple[str, str]]) -> str:
        kinds = KINDS[self._language]
        return ", ".join(f"{kinds.get(kind, kind)} {key}".strip() for kind, key in parents)


def steady(reason: str) -> str:
    """Return a reason on one line, without what differs from one refusal to the next, and without signatures."""
    reason = _MOMENT.sub("…", _REQUEST.sub("", reason))
    return _redact(_NOTHING.sub("", reason), limit=_MOST)


def _parents(names: str) -> list[tuple[str, str]]:
    """Return the kinds and keys of "vendor V-1, account 6001"."""
    first, *rest = _PARENT.split(names)
    found = list(zip(rest[::2], rest[1::2], strict=True))
    return [("", first), *found] if first else found
