"""Put the reason of a reject into words for an accountant: always the same words for the same refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ap_connectors.core.redact import Redactor
from ap_connectors.singer.schema import canonical
from tap_rejects import old_reasons
from tap_rejects.phrases import (
    ADVICE,
    ANSWERS,
    CLAUSES,
    DIFFERENCE,
    OF_A_LINE,
    OF_A_VENDOR,
    REST,
    SAID,
    SENTENCES,
    Phrase,
)
from tap_rejects.terms import FIELDS, KINDS, LINE, NUMBERS, UNNAMED, WHERE

_MOST = 1000
"""Characters of a sentence or a parameter that are used; a longer one is cut."""

_LONGEST = 2000
"""Characters of several clauses together: a document may have a thousand lines that do not add up."""

# What differs each time, though the refusal is the same.
_REQUEST = re.compile(r"[;,]?\s*\b(?:request|trace|correlation)[ -]?id:? [^\s;,)]+", re.IGNORECASE)
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(?:Z\b|UTC\b|[+-]\d\d:?\d\d\b)")
_NOTHING = re.compile(r" ?\(\s*\)")

_LINE = re.compile(r"(lineItems|lines)\[(\d+)\](?:\.(.+))?", re.DOTALL)

_redact = Redactor()


class Reason(NamedTuple):
    """Why a record was refused: a code, its parameters, and the sentence for people."""

    code: str
    params: Mapping[str, Any]
    sentence: str

    @classmethod
    def of(cls, mark: Mapping[str, Any]) -> Reason:
        """Read the member `rejected` of a line of a reject file."""
        code, params, sentence = mark.get("code"), mark.get("params"), str(mark.get("reason") or "")
        if not isinstance(code, str):  # version 0.1
            return cls(*old_reasons.parse(steady(sentence)), sentence)
        return cls(code, _steadied(params) if isinstance(params, Mapping) else {}, sentence)


class Wording:
    """Say in one language what is wrong, for the records of one file: a vendor's refusal explains its invoices'.

    Args:
        language: "lt" or "en".
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._vendors: dict[str, str] = {}

    def message(self, stream: str, record: Mapping[str, Any], reason: Reason) -> str:
        """Return what to tell of a refused record.

        Args:
            stream: the record's.
            record: its fields, by their canonical names.
            reason: why it was refused.
        """
        if canonical(stream) != "vendors":
            return self._of_document(reason)
        code, name = (" ".join(str(record.get(field) or "").split()) for field in ("externalid", "name"))
        called = f"{name} ({code})" if name and code else name or code or "?"
        told = self._in(OF_A_VENDOR).format(name=called, sentence=self._told(reason))
        self._vendors[code] = told
        return told

    def _of_document(self, reason: Reason) -> str:
        """Say what is wrong; where the document waited for a vendor that was refused, what is wrong with that one."""
        given = reason.params.get("references")
        references = _pairs(given) if reason.code == "unknown_reference" and isinstance(given, list) else []
        refused = [self._vendors[key] for kind, key in references if kind == "vendor" and key in self._vendors]
        if not refused:
            return self._told(reason)
        others = [(kind, key) for kind, key in references if kind != "vendor" or key not in self._vendors]
        if others:
            refused.append(self._in(SENTENCES["unknown_reference"]).format(references=self._together(others)))
        return " ".join(refused)

    def _told(self, reason: Reason) -> str:
        """Say what is wrong and what to do; quote the sentence where the code has no phrase."""
        try:
            if reason.code in ANSWERS:
                return self._answer(reason)
            if reason.code in SENTENCES:
                return self._filled(SENTENCES[reason.code], reason.params)
            several = reason.params["reasons"] if reason.code == "several" else [reason._asdict()]
            clauses = ". ".join(self._clause(each["code"], each["params"]) for each in several)
            return f"{_cut(clauses, _LONGEST)}. {self._in(ADVICE)}"
        except (AttributeError, KeyError, TypeError):
            # A code of a later version, or other parameters than this one knows.
            return self._in(REST).format(reason=steady(reason.sentence)).removesuffix(" []")

    def _answer(self, reason: Reason) -> str:
        said = str(reason.params["said"])
        for pattern, phrase in SAID:
            if found := re.fullmatch(pattern, said, re.DOTALL):
                return self._in(phrase).format(said=said, **found.groupdict())
        raise KeyError("said")

    def _clause(self, code: str, params: Mapping[str, Any]) -> str:
        line = _LINE.fullmatch(str(params.get("field")))
        if code in OF_A_LINE and line and line[1] == "lines" and line[3]:
            return self._filled(OF_A_LINE[code], {**params, "where": params["field"], "field": line[3]})
        return self._filled(CLAUSES[code], params)

    # Words for parameters

    def _in(self, phrase: Phrase) -> str:
        text: str = getattr(phrase, self._language)
        return text

    def _filled(self, phrase: Phrase, params: Mapping[str, Any]) -> str:
        if "theirs" in params and phrase is not DIFFERENCE:
            params = {"differences": [params], **params}
        words = {name: self._words(name, value) for name, value in params.items()}
        return self._in(phrase).format_map({"field": self._field(""), **words})

    def _words(self, name: str, value: Any) -> str:
        if name == "fields":
            return ", ".join(self._field(str(field)) for field in value)
        if name in {"references", "codes"}:
            return self._together(_pairs(value))
        if name == "differences":
            return "; ".join(self._filled(DIFFERENCE, each) for each in value)
        if name in {"buyer", "seller"}:
            return self._party(value)
        if name == "vendors":
            return "; ".join(map(self._vendor, value))
        if isinstance(value, Mapping):
            return self._vendor(value)
        if name == "field":
            return self._field(str(value))
        return self._where(str(value)) if name == "where" else str(value)

    def _where(self, path: str) -> str:
        where = WHERE[self._language]
        line = _LINE.fullmatch(path)
        return where["line"].format(number=int(line[2]) + 1) if line else where["header"]

    def _field(self, path: str) -> str:
        fields = FIELDS[self._language]
        if line := _LINE.fullmatch(path):
            if line[0].startswith("lines") and not line[3]:
                return self._where(path).lower()
            field = fields.get(f"{line[1]}.{line[3]}") or self._field(line[3] or line[1])
            return LINE[self._language].format(number=int(line[2]) + 1, field=field)
        return fields.get(path) or fields.get(path.rpartition(".")[2] or path, path)

    def _party(self, party: Mapping[str, Any]) -> str:
        nameless, codeless = UNNAMED[self._language]
        return f"{party.get('name', nameless)} ({party.get('code', codeless)})"

    def _vendor(self, vendor: Mapping[str, Any]) -> str:
        named = [str(vendor[name]) for name in ("externalId", "name") if vendor.get(name)]
        words = NUMBERS[self._language]
        told = ", ".join(f"{word} {vendor[name]}".strip() for name, word in words.items() if vendor.get(name))
        return " ".join(named or [UNNAMED[self._language][0]]) + (f" ({told})" if told else "")

    def _together(self, pairs: Sequence[tuple[str, str]]) -> str:
        kinds = KINDS[self._language]
        return ", ".join(f"{kinds.get(kind, kind.replace('_', ' '))} {key}".strip() for kind, key in pairs)


def steady(text: str) -> str:
    """Return a text on one line, without what differs from one refusal to the next, and without signatures."""
    text = _MOMENT.sub("…", _REQUEST.sub("", text))
    return _redact(_NOTHING.sub("", text), limit=_MOST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _steadied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _steadied(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_steadied(element) for element in value]
    return steady(value) if isinstance(value, str) else value


def _pairs(value: Any) -> list[tuple[str, str]]:
    """Return the kinds and the keys of references, or of codes."""
    pairs = [(each.get("kind"), each.get("key", each.get("code"))) for each in value if isinstance(each, Mapping)]
    return [(str(kind or ""), str(key or "")) for kind, key in pairs]
