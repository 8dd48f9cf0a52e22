"""Text that commands are given: settings, states, tables, lines of messages. Whatever saved it, it is read alike.

UTF-8 is read with or without a byte order mark, and UTF-16 and UTF-32 where the first bytes leave no doubt: Windows
tools write these. Anything else is refused by name and line, for a guess would change letters.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ap_connectors.core.errors import Stop

_UTF8 = ("utf-8", "utf-8-sig")


def read(path: str | Path, where: str | None = None, *, hint: str = "Save it as UTF-8.") -> str:
    """Return the text of a file.

    Args:
        path: of the file.
        where: what messages call it; its path unless given.
        hint: how to save it better.

    Raises:
        Stop: it cannot be read, or is not text.
    """
    where = where or str(path)
    try:
        content = Path(path).expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise Stop(f"{where}: {getattr(error, 'strerror', None) or 'it cannot be read'}.") from None
    return decode(content, where, hint=hint)


def decode(content: bytes, where: str, *, hint: str = "Save it as UTF-8.") -> str:
    """Return the text that bytes hold, without a byte order mark.

    Raises:
        Stop: they are not text, or damaged; the message says which line.
    """
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding in _UTF8 else encoding.upper()
        raise Stop(f"{where}, line {line}: is not {name} text. {hint}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Stop(f"{where}, line {line}: has a NUL character, which no text has: the file is damaged. Restore it.")
    return text.removeprefix("\ufeff")


def utf8_lines(lines: Iterable[bytes], source: str) -> Iterator[bytes]:
    """Yield lines in UTF-8, each with its end.

    What is UTF-8 passes as it is, a byte order mark included, and so does what is not text. Lines may also end in CR.

    Raises:
        Stop: they begin as UTF-16 or UTF-32, but do not go on so; it calls them `source`.
    """
    lines = iter(lines)
    first = next(lines, b"")
    encoding = _encoding(first)
    if encoding not in _UTF8:
        lines = _recoded(first, lines, encoding, source)
        first = next(lines, b"")
    if b"\r" in first.strip():
        # A file without any LF is one line so far. Inside the text of a message, a CR is written as \\r.
        for line in (first, *lines):
            yield from line.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines(keepends=True)
    elif first:
        yield first
        yield from lines


def _encoding(content: bytes) -> str:
    found = json.detect_encoding(content[:4])
    # Without a mark, four bytes that begin with NULs are rather a damaged file.
    return "utf-8" if found.startswith("utf-32-") else found


def _recoded(first: bytes, rest: Iterator[bytes], encoding: str, source: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    begun = ""
    try:
        for piece in (first, *rest):
            *whole, begun = (begun + decoder.decode(piece)).split("\n")
            for line in whole:
                yield line.encode() + b"\n"
        begun += decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Stop(f"{source} begins as {encoding.upper()} text, but does not go on so. Save it as UTF-8.") from None
    if begun:
        yield begun.encode()
