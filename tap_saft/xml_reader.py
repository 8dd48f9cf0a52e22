"""Parses a file's XML piece by piece: little is in memory, and attacks that XML allows do no harm.

A document type is rejected, and with it every entity; so are endless elements, comments and texts.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from ap_connectors.core.errors import Stop
from ap_connectors.core.progress import Progress
from ap_connectors.core.redact import printable
from tap_saft.sources import Bytes, Source
from tap_saft.values import InvalidElement, local
from tap_saft.walk import Container, Walk

PIECE = 512 * 1024
_LARGEST = 16 * 1024 * 1024
"""Bytes that one record, comment or text may have."""

_CUT_OFF = {expat.errors.codes[text] for text in ("no element found", "unclosed token", "unclosed CDATA section")}
_CUT_OFF.add(expat.errors.codes["partial character"])
_INVALID = expat.errors.codes["not well-formed (invalid token)"]
_ENCODINGS = {
    expat.errors.codes[text] for text in ("unknown encoding", "encoding specified in XML declaration is incorrect")
}


# What a file begins with that has two or four bytes to a character.
_WIDE = (
    *((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32")),
    *((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")),
    *((b"<\0", "UTF-16LE"), (b"\0<", "UTF-16BE")),
)
_DECLARED = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']""")
_SPELLINGS = (
    (re.compile(r"(?:windows|win|cp|ms)[-_ ]?(\d+)", re.IGNORECASE), "cp"),
    (re.compile(r"iso[-_ ]?8859[-_ ]?(\d+)", re.IGNORECASE), "iso8859-"),
    (re.compile(r"latin[-_ ]?(\d+)", re.IGNORECASE), "latin"),
    (re.compile(r"utf[-_ ]?(8|16)(?:[-_ ]?(?:bom|sig|le|be))?", re.IGNORECASE), "utf-"),
)


@dataclass(frozen=True)
class Root:
    """The root element: its name, and its namespace (empty if it has none)."""

    name: str
    namespace: str


class _Prolog:
    """Reads up to the root element, and rejects a document type. Nothing beyond can declare an entity."""

    def __init__(self, shown: str, encoding: str) -> None:
        self._shown = shown
        self.root: Root | None = None
        self._parser = expat.ParserCreate(encoding, namespace_separator="}")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._started

    def feed(self, piece: bytes) -> None:
        if self.root is None:
            self._parser.Parse(piece, False)

    def _doctype(self, *_: Any) -> None:
        raise Stop(
            f"{self._shown}, line {self._parser.CurrentLineNumber}: a DOCTYPE, which can do harm and is not part of "
            "SAF-T. The file is refused; export it again, or take that line out if you trust it."
        )

    def _started(self, name: str, _attributes: dict[str, str]) -> None:
        if self.root is not None:
            return
        namespace, _, tag = name.rpartition("}")
        self.root = Root(tag, namespace)
        if tag != "AuditFile":
            raise Stop(
                f"{self._shown}, line {self._parser.CurrentLineNumber}: not a SAF-T Financial file: its root element "
                f"is <{tag[:60]}>, not <AuditFile>. Take it out of the path, or give another path."
            )


class XmlReader:
    """Reads a file once, from its beginning.

    Args:
        source: the file.
        record: called with each record's section, element and container. Raises InvalidElement.
        closed: called with each journal, transaction and so on when it is complete. Raises InvalidElement.
    """

    def __init__(
        self, source: Source, record: Callable[[str, Element, Container], None], closed: Callable[[Container], None]
    ) -> None:
        self.source = source
        self._builder = TreeBuilder()
        top: Element = self._builder.start("top", {})
        self._walk = Walk(top, record, closed)
        self._encoding = ""
        """What the file calls its encoding."""
        self._parser: XMLParser
        self._prolog: _Prolog | None = None
        self._bytes = self._unmoved = 0

    @property
    def root(self) -> Root | None:
        """The root element, once it was read."""
        return self._prolog.root if self._prolog else None

    def feed(self, piece: bytes) -> None:
        """Read the next piece.

        Raises:
            Stop: it is not XML, not SAF-T, or invalid; the message names the line.
        """
        prolog = self._prolog or self._begin(piece)
        self._bytes += len(piece)
        self._guarded(lambda: prolog.feed(piece), piece)
        self._guarded(lambda: self._parser.feed(piece), piece)
        self._unmoved = 0 if self._stepped() else self._unmoved + len(piece)
        if self._unmoved > _LARGEST:
            raise Stop(
                f"{self.source.shown}: after byte {self._bytes - self._unmoved}, more than {_LARGEST} bytes belong to "
                "a single element or comment. Records of SAF-T are not that large; the file is refused."
            )

    def finish(self) -> None:
        """Process what is left at the end of the file. Raises Stop."""
        if not self._prolog:
            raise Stop(f"{self.source.shown} is empty: 0 bytes. Export or fetch it again.")
        self._guarded(self._parser.close, b"")
        self._located(self._walk.finish)

    def _begin(self, piece: bytes) -> _Prolog:
        if piece.startswith(b"\x1f\x8b"):
            raise Stop(f"{self.source.shown} is packed with gzip. Unpack it, or make it a ZIP.")
        try:
            encoding, self._encoding = encoding_of(piece)
        except LookupError as error:
            raise Stop(
                f"{self.source.shown}, line 1: it says that its encoding is {printable(str(error))[:40]}, which cannot "
                "be read. Have it exported as UTF-8."
            ) from None
        self._parser = XMLParser(target=self._builder, encoding=encoding)  # noqa: S314 - guarded by `_Prolog`
        self._prolog = prolog = _Prolog(self.source.shown, encoding)
        return prolog

    def _stepped(self) -> bool:
        moved = False

        def step() -> None:
            nonlocal moved
            moved = self._walk.step()

        self._located(step)
        return moved

    def _located(self, do: Callable[[], Any]) -> None:
        try:
            do()
        except InvalidElement as error:
            line = line_of(self.source, *(error.at or self._walk.at), error.field)
            raise Stop(
                f"{self.source.shown}, line {line}: {error.words}. Nothing of the file is loaded; have it exported "
                "again, or correct it."
            ) from None

    def _guarded(self, do: Callable[[], Any], piece: bytes) -> None:
        try:
            do()
        except expat.ExpatError as error:
            raise Stop(f"{self.source.shown}, {self._why(error.code, error.lineno, error.offset, piece)}") from None
        except ParseError as error:
            raise Stop(f"{self.source.shown}, {self._why(error.code, *error.position, piece)}") from None
        except (LookupError, ValueError) as error:
            raise Stop(
                f"{self.source.shown}, line 1: it says that its encoding is {self._encoding}, which cannot be read "
                f"({error}). Have it exported as UTF-8."
            ) from None

    def _why(self, code: int, line: int, column: int, piece: bytes) -> str:
        where = f"line {line}, column {column + 1}"
        if code in _CUT_OFF:
            if self.root is None:
                return f"{where}: it ends before any element. It is not XML, or was cut off; export or fetch it again."
            return (
                f"line {line}: it breaks off there, after {self._bytes} bytes, in the middle of the file. Nothing of "
                "it is loaded; export or fetch it again."
            )
        if self.root is None and code not in _ENCODINGS:
            return f"{where}: it is not XML ({expat.ErrorString(code)}). Take it out of the path, or export it again."
        if code in _ENCODINGS or (code == _INVALID and not _is_text(piece, self._encoding)):
            return (
                f"{where}: the bytes there are not {self._encoding}, which the file says it is. Have it exported "
                "again; or name its true encoding in its first line, for example ISO-8859-1."
            )
        return (
            f"{where}: it is not well-formed XML ({expat.ErrorString(code)}). Nothing of it is loaded; export it again."
        )


def encoding_of(start: bytes) -> tuple[str, str]:
    """Return the encoding of a file, of which `start` is the first piece: the parser's name for it, and the file's.

    Its first bytes count, then the name that it gives, in any usual spelling; without one it is UTF-8.

    Raises:
        LookupError: there is no such encoding; the name is its message.
    """
    if wide := next((name for mark, name in _WIDE if start.startswith(mark)), None):
        return wide, wide
    declared = _DECLARED.match(start)
    if start.startswith(codecs.BOM_UTF8) or not declared:
        return "UTF-8", "UTF-8"
    name = declared[1].decode("ascii", "replace").strip()
    spellings = [name, *(f"{to}{usual[1]}" for pattern, to in _SPELLINGS if (usual := pattern.fullmatch(name)))]
    for spelling in spellings:
        try:
            found = codecs.lookup(spelling).name
        except (LookupError, ValueError):
            continue
        # Also names of UTF-16 over bytes that are not: a program wrote its text as UTF-8 in the end.
        utf8 = found == "ascii" or found.startswith(("utf-8", "utf-16"))
        return ("UTF-8", "UTF-8") if utf8 else ("ISO-8859-1" if found == "iso8859-1" else found, name[:40])
    raise LookupError(name)


def _is_text(piece: bytes, encoding: str) -> bool:
    if encoding != "UTF-8":
        return True
    # The first and the last character of a piece may be cut through.
    start = 0
    while start < 3 and start < len(piece) and piece[start] & 0xC0 == 0x80:
        start += 1
    try:
        codecs.getincrementaldecoder("utf-8")().decode(piece[start:])
    except UnicodeDecodeError:
        return False
    return True


def pieces(file: Bytes, work: str = "", size: int = 0) -> Iterator[bytes]:
    """Yield a file's bytes, in pieces of the same size each time.

    Args:
        file: an open file.
        work: what is done with it, to show how far that is; nothing is shown without.
        size: its bytes.
    """
    if not work:
        yield from iter(lambda: _full(file), b"")
        return
    with Progress(work, size, "B") as progress:
        while piece := _full(file):
            yield piece
            progress.advance(len(piece))


def _full(file: Bytes) -> bytes:
    """Return the next `PIECE` bytes, fewer only at the end; a single read of a remote file may return less."""
    got = file.read(PIECE)
    while got and len(got) < PIECE:
        more = file.read(PIECE - len(got))
        if not more:
            break
        got += more
    return got


def line_of(source: Source, path: str, count: int, field: str | None) -> int:
    """Return the line of an element, found by reading the file once more: trees do not know their lines.

    Args:
        source: the file.
        path: names down to the element, joined by ``/`` and beginning with one.
        count: its number among those of that path, from 1.
        field: an element in it whose line is wanted, if it has such.
    """
    parser: Any = None
    names: list[str] = []
    wanted = path.split("/")[1:]
    found = [0, 0, 0]  # how many so far, line of the element, line of the field

    def start(tag: str, _: dict[str, str]) -> None:
        names.append(local(tag))
        if found[1]:
            if names[-1] == field:
                found[2] = parser.CurrentLineNumber
                raise _Found
        elif names == wanted:
            found[0] += 1
            if found[0] == count:
                found[1] = parser.CurrentLineNumber

    def end(_: str) -> None:
        if found[1] and names == wanted:
            raise _Found
        names.pop()

    try:
        with source.opened() as file:
            for piece in pieces(file):
                if parser is None:
                    parser = expat.ParserCreate(encoding_of(piece)[0], namespace_separator="}")
                    parser.StartElementHandler, parser.EndElementHandler = start, end
                parser.Parse(piece, False)
    except (_Found, expat.ExpatError):
        pass
    return found[2] or found[1] or 1


class _Found(Exception):
    """The line has been found."""
