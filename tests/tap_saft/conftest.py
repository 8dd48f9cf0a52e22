"""The real `tap-saft`, run on files of a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeCatalog, RunTap, catalogs, runner

HERE = Path(__file__).parent
NORWAY_110, NORWAY_130, ELSEWHERE, BOOKKEEPING = (
    HERE / f"{name}.xml" for name in ("norway_110", "norway_130", "elsewhere", "bookkeeping")
)

Write = Callable[..., Path]


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """An empty folder for files."""
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


@pytest.fixture
def write(exports: Path) -> Write:
    """Write a file: `write("a.xml", source, ("old", "new"), ...)` is a copy of another with words replaced."""

    def copy(name: str, source: Path | str = NORWAY_110, *changes: tuple[str, str]) -> Path:
        text = source if isinstance(source, str) else source.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = exports / name
        path.write_text(text, encoding="utf-8")
        return path

    return copy


@pytest.fixture
def tap(tmp_path: Path, exports: Path) -> RunTap:
    """Run the real `tap-saft` as a process; it reads the folder `exports` unless told otherwise."""
    return runner("tap_saft", tmp_path, {"path": str(exports)})


@pytest.fixture
def catalog() -> MakeCatalog:
    """Make catalogs of `tap-saft`."""
    return catalogs("tap_saft")


EVERYTHING = (
    *("header", "accounts", "suppliers", "customers", "tax_codes", "dimensions", "journal_lines"),
    *("account_balances", "party_balances", "vendors", "vat_codes"),
)
TO_VIC = ("accounts", "dimensions", "vendors", "vat_codes")
