"""Records of a stream as they come, read in one pass into what their columns need; values stay the bytes that came."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.messages import too_deep
from ap_connectors.core.raw_json import Record
from target_warehouse import kinds
from target_warehouse.declared import Declared
from target_warehouse.kinds import Kind, Segment

_HOW: Mapping[str, str] = {"boolean": "bool", "integer": "int", "json": "raw", "huge": "raw"}
_TYPES: Mapping[str, Any] = {"text": str | None, "int": int | None, "bool": bool | None, "raw": msgspec.Raw}
_BEGINS: Mapping[str, bytes] = {"text": b'"n', "bool": b"tfn", "int": b"-0123456789n"}
_MOST_NEW = 500
"""Fields that the SCHEMA does not have and a stream may have all the same."""
_members = msgspec.json.Decoder(Record).decode


@dataclass
class Chunk:
    """Records that were read alike.

    Args:
        hows: how each field was read (`kinds.Segment`).
        rows: the values, one object a record.
        lines: number and bytes of each line.
        extracted: `time_extracted` of each record.
        versions: of the full load that each belongs to.
    """

    hows: dict[str, str]
    rows: list[Any] = field(default_factory=list)
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    extracted: list[str | None] = field(default_factory=list)
    versions: list[int | None] = field(default_factory=list)

    def segments(self) -> dict[str, Segment]:
        """Return the values of each field, in the records' order."""
        columns = zip(*map(msgspec.structs.astuple, self.rows), strict=True)
        return {name: (how, values) for (name, how), values in zip(self.hows.items(), columns, strict=False)}


class Incoming:
    """The records of one stream that are not in the warehouse yet.

    Args:
        declared: what its SCHEMA says. Fields that it does not have are added, with the kind of their first value.
        most: the decimals that the database has.
    """

    def __init__(self, declared: Declared, most: Kind) -> None:
        self._most = most
        self.name, self.declared = declared.stream, declared
        self.chunks: list[Chunk] = []
        self.refused: dict[int, Reject] = {}
        """Records, by their place, that the database does not take."""
        self.declare(declared)

    def __len__(self) -> int:
        return sum(len(chunk.rows) for chunk in self.chunks)

    def declare(self, declared: Declared) -> None:
        """Read records by another SCHEMA from now on; fields that only the former ones had keep their kinds."""
        known = self.declared.kinds if self.chunks else {}
        self.declared = declared
        self.declared.kinds = {**declared.kinds, **{n: k for n, k in known.items() if n not in declared.kinds}}
        self._new = 0
        self._hows = {name: _how(kind, name in declared.decimals_as_text) for name, kind in declared.kinds.items()}
        self._prepare()

    def _prepare(self) -> None:
        fields = {f"field_{number}": name for number, name in enumerate(self._hows)}
        members = [(field, _TYPES[self._hows[name]], None) for field, name in fields.items()]
        self._chunk: Chunk | None = None
        if any(_is_odd(name) for name in self._hows):
            # msgspec does not take such a name.
            self._hows = dict.fromkeys(self._hows, "raw")
            made = msgspec.defstruct("Row", [(field, Any, None) for field, *_ in members], gc=False)
            self._decode: Callable[[msgspec.Raw], Any] = functools.partial(_decoded, made, list(self._hows))
            return
        made = msgspec.defstruct("Row", members, rename=fields, forbid_unknown_fields=True, gc=False)
        self._decode = msgspec.json.Decoder(made).decode

    def add(
        self, record: msgspec.Raw, number: int, line: bytes, extracted: str | None = None, version: int | None = None
    ) -> None:
        """Add a record.

        Raises:
            Reject: it is not an object, has half a character, or is nested too deeply.
        """
        try:
            try:
                row = self._decode(record)
            except msgspec.MsgspecError:
                row = self._read_slowly(record)
        except RecursionError:
            raise too_deep() from None
        chunk = self._chunk
        if chunk is None:
            self._chunk = chunk = Chunk(dict(self._hows))
            self.chunks.append(chunk)
        chunk.rows.append(row)
        chunk.lines.append((number, line))
        chunk.extracted.append(extracted)
        chunk.versions.append(version)

    def taken(self) -> Incoming:
        """Return the records that came, to be written, and forget them here. What is learned of fields is shared."""
        taken = copy.copy(self)
        self.chunks, self._chunk, self.refused = [], None, {}
        return taken

    def _read_slowly(self, record: msgspec.Raw) -> Any:
        """Read a record that has other fields or types than the SCHEMA says; learn from it."""
        try:
            values = _members(record)
        except msgspec.ValidationError:
            raise Reject("the record is not a JSON object", "not_an_object", field="record", value="") from None
        except msgspec.DecodeError:
            raise Reject(
                "the record has half a character in it (a lone surrogate), which UTF-8 does not have",
                "half_a_character",
                field="record",
            ) from None
        for name, raw in values.items():
            if name not in self._hows:
                self._add_field(name)
            elif self._hows[name] != "raw" and not _is_read(self._hows[name], bytes(raw)):
                self._hows[name] = "raw"
        self._prepare()
        return self._decode(record)

    def _add_field(self, name: str) -> None:
        self._new += 1
        if self._new > _MOST_NEW:
            raise Reject(
                f"the stream has more than {_MOST_NEW} fields that its SCHEMA does not declare",
                "too_many_fields",
                most=_MOST_NEW,
            )
        self._hows[name] = "raw"

    def columns(self) -> dict[str, list[Segment]]:
        """Return the values of each field, in the records' order; of undeclared fields those that have a value."""
        found: dict[str, list[Segment]] = {name: [] for name in self.declared.kinds}
        done = 0
        for chunk in self.chunks:
            for name, segment in chunk.segments().items():
                if name not in found:
                    kind = _kind_of_first(segment, self._most)
                    if kind is None:
                        continue
                    self.declared.kinds[name] = kind
                    found[name] = [("text", [None] * done)]
                found[name].append(segment)
            done += len(chunk.rows)
            for name, segments in found.items():
                if name not in chunk.hows:
                    segments.append(("text", [None] * len(chunk.rows)))
        return found


def _kind_of_first(segment: Segment, most: Kind) -> Kind | None:
    """Return the kind of the first value that is not null."""
    first = next((bytes(raw)[:1] for raw in segment[1] if raw is not None and raw != kinds.NULL), b"")
    known = {b'"': kinds.TEXT, b"t": kinds.BOOLEAN, b"f": kinds.BOOLEAN, b"{": kinds.JSON, b"[": kinds.JSON}
    return known.get(first, most) if first else None


_is_odd = re.compile('["\\\\\x00-\x1f]').search


def _decoded(made: type, names: list[str], record: msgspec.Raw) -> Any:
    """Return a record whose fields have odd names as an object; raise ValidationError if it has others."""
    values = _members(record)
    if not values.keys() <= set(names):
        raise msgspec.ValidationError("unknown field")
    return made(*(values.get(name) for name in names))


def _how(kind: Kind, as_text: bool) -> str:
    if kind.name == "decimal":
        return "text" if as_text else "raw"
    return _HOW.get(kind.name, "text")


def _is_read(how: str, raw: bytes) -> bool:
    """Return whether a value can be read so."""
    return raw[0] in _BEGINS[how] and (how != "int" or raw == b"null" or not set(b".eE") & set(raw))
