"""Text that commands are given: read alike whatever saved it, or refused by name and line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from ap_connectors.core import text_files
from ap_connectors.core.errors import Stop

TEXT = 'code;account\r\n"Ąžuolas €";"5410"\n"𝄞";""'

ENCODERS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first, without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "UTF-32, big end first": lambda text: codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
}
every_encoding = pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)


@every_encoding
def test_a_text_in_any_encoding_that_leaves_no_doubt(encode: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(encode(TEXT))
    assert text_files.read(path) == text_files.decode(encode(TEXT), "it") == TEXT


@every_encoding
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_its_lines(encode: Callable[[str], bytes], end: str) -> None:
    lines = list(text_files.utf8_lines(io.BytesIO(encode(TEXT + end)), "the input"))
    assert b"".join(lines).decode("utf-8-sig") == TEXT + end
    assert len(lines) == (TEXT + end).count("\n") + (not end)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_lines_that_end_in_cr_alone(mark: bytes) -> None:
    lines = text_files.utf8_lines(io.BytesIO(mark + b"{}\r{}\r\r\n[]\r"), "the input")
    assert list(lines) == [mark + b"{}\n", b"{}\n", b"\n", b"[]\n"]


def test_an_empty_file_and_a_mark_alone() -> None:
    assert list(text_files.utf8_lines([], "the input")) == []
    assert [text_files.decode(encode(""), "it") for encode in ENCODERS.values()] == [""] * len(ENCODERS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ok\nĄ".encode("cp1257"), "it, line 2: is not UTF-8 text. Save it as UTF-8."),
        (codecs.BOM_UTF8 + b"a\xff", "it, line 1: is not UTF-8 text."),
        (codecs.BOM_UTF16_LE + b"a", "it, line 1: is not UTF-16 text."),
        (codecs.BOM_UTF16_LE + b"a\0\0\xd8", "is not UTF-16 text."),
        (b"ok\n" + bytes(9), "it, line 2: has a NUL character"),
        (bytes(9), "it, line 1: has a NUL character"),
    ],
)
def test_what_is_not_text(content: bytes, words: str) -> None:
    with pytest.raises(Stop) as caught:
        text_files.decode(content, "it")
    assert words in str(caught.value)


def test_lines_that_do_not_go_on_as_they_began() -> None:
    with pytest.raises(Stop, match=r"^the input begins as UTF-16 text, but does not go on so"):
        list(text_files.utf8_lines([codecs.BOM_UTF16_LE + "ok\n".encode("utf-16-le"), b"{\0\0"], "the input"))
    # A file that only begins with NULs is damaged; whoever reads its lines says so.
    assert list(text_files.utf8_lines([bytes(8), b"{}\n"], "the input")) == [bytes(8), b"{}\n"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / "a\0b", tmp_path / ("x" * 5000)):
        with pytest.raises(Stop) as caught:
            text_files.read(path, "accounts")
        assert str(caught.value).startswith("accounts: ")
