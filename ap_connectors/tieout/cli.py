"""`ap-tieout`: compares what came in with what is there; status 0: ties, 1: does not, 2: cannot be compared."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ap_connectors.core import cli, pages
from ap_connectors.core.errors import Stop
from ap_connectors.core.files import place, replace
from ap_connectors.http import shutdown
from ap_connectors.ivesk.client import DEFAULT_URL as IVESK_URL
from ap_connectors.ivesk.settings import client as ivesk_client
from ap_connectors.tieout import certificate, input_vic, ivesk_warehouse, render, settings, vic_warehouse
from ap_connectors.tieout.compare import NAMED_BY_DEFAULT, Options
from ap_connectors.tieout.result import DIFFERENCE_TYPES, Result
from ap_connectors.tieout.warehouse import Warehouse
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.settings import REQUIRED
from ap_connectors.vicai.settings import address as vicai_address
from ap_connectors.vicai.settings import client as vicai_client

TIES, DIFFERS, FAILED = 0, 1, 2

_AGENT = "ap-connectors ap-tieout"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in a process of its own; return its exit status."""
    try:
        return run(arguments)
    finally:
        shutdown.request()


def run(arguments: Sequence[str] | None = None) -> int:
    """Compare and print the result; return the exit status."""
    return cli.main(_parser(), arguments)


def _compare(given: argparse.Namespace, compare: Callable[[argparse.Namespace], Result]) -> int:
    """Compare, write what is asked for, and print the result."""
    for path in (path for path in given.report if _is_page(path)):
        pages.require(f"--report {path}")
    if given.format == "html":
        pages.require("--format html")
    result = compare(given)
    data = json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n"
    # Whoever has misspelt a folder looks for the page in another one.
    written = [(path, not Path(place(path)).parent.exists()) for path in given.report]
    for path in given.report:
        _write(path, certificate.page(result, data.encode(), given.language) if _is_page(path) else data)
    if given.format == "html":
        shown = certificate.page(result, data.encode(), given.language)
    else:
        shown = (
            data
            if given.format == "json"
            else "\n".join([*render.lines(result, brief=given.brief, language=given.language, written=written), ""])
        )
    print(shown, end="")  # noqa: T201
    return TIES if result.ties else DIFFERS


def _is_page(path: str) -> bool:
    return Path(path).suffix.lower() in {".html", ".htm"}


def _ivesk(given: argparse.Namespace) -> Result:
    chosen = settings.read(given.config, "tap-ivesk", ["api_key"])
    client = ivesk_client(
        chosen, timeout=chosen.get("request_timeout", 60), user_agent=chosen.get("user_agent", _AGENT)
    )
    with Warehouse(given.warehouse, given.schema, given.company) as warehouse:
        result = ivesk_warehouse.compare(
            client,
            warehouse,
            _options(given, chosen),
            doctype=chosen.get("doctype"),
            company_codes=chosen.get("company_codes", ()),
            columns=chosen.get("columns", ()),
        )
    result.source_address = _shown(chosen.get("api_url") or IVESK_URL)
    return result


def _vic(given: argparse.Namespace) -> Result:
    chosen = settings.read(given.config, "tap-vicai", REQUIRED)
    with Warehouse(given.warehouse, given.schema, given.company) as warehouse:
        states = chosen.get("invoice_states", ["POSTED"])
        result = vic_warehouse.compare(_client(chosen), warehouse, _options(given, chosen), invoice_states=states)
    result.source_address = _shown(vicai_address(chosen))
    return result


def _input(given: argparse.Namespace) -> Result:
    chosen = settings.read(given.config, "target-vicai", REQUIRED)
    inputs = input_vic.read(given.files, deletes=chosen.get("deletes") in {"records", "mirror"})
    rejects = input_vic.read(given.rejects)
    options = Options(
        named=given.named, allowed=frozenset(given.allow), fields=given.fields, line_items=given.line_items
    )
    result = input_vic.compare(_client(chosen), inputs, options, rejects=rejects, complete=given.complete)
    result.destination_address = _shown(vicai_address(chosen))
    return result


def _shown(address: str) -> str:
    """Return the address of a service without what may be a secret."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _client(chosen: dict[str, Any]) -> VicaiClient:
    agent = chosen.get("user_agent", _AGENT)
    return vicai_client(chosen, timeout=chosen.get("request_timeout", 60), user_agent=agent)


def _options(given: argparse.Namespace, chosen: dict[str, Any]) -> Options:
    since = given.since or chosen.get("start_date")
    allowed = frozenset(given.allow)
    return Options(
        since,
        given.until,
        given.named,
        allowed,
        fields=given.fields,
        line_items=getattr(given, "line_items", True),
        files=given.files,
        downloaded=bool(chosen.get("documents_dir")),
    )


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "ap-tieout",
        "Compare what came in with what is there: counts and exact sums by company, month and currency.",
        epilog="Exit status: 0 it ties, 1 it does not, 2 it cannot be compared (settings, outage).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMPARISON")
    for name, run, schema, words in (
        ("ivesk-warehouse", _ivesk, "ivesk", "Įvesk's exported queue against the warehouse"),
        ("vic-warehouse", _vic, "vicai", "Vic.ai against the warehouse"),
    ):
        command = commands.add_parser(name, help=words, description=f"Compare {words}.")
        command.add_argument(
            "--warehouse", required=True, metavar="FILE", help="DuckDB file, or a database URL (postgresql://...)"
        )
        command.add_argument("--schema", default=schema, help="schema of the tables (default: %(default)s)")
        command.add_argument(
            "--company", metavar="NAME", help="whose rows are meant, where one schema holds those of many companies"
        )
        command.add_argument("--since", metavar="INSTANT", help="leave out what is older (default: start_date)")
        command.add_argument(
            "--until",
            metavar="INSTANT",
            help="leave out what is newer (default: newer than anything in the warehouse; now: nothing)",
        )
        _fields(command, line_items=schema == "vicai")
        command.add_argument(
            "--files", action="store_true", help="read every file that the warehouse knows, and compare its SHA-256"
        )
        _common(command, run)
    command = commands.add_parser(
        "input-vic",
        help="Singer input, as given to target-vicai, against Vic.ai",
        description="Compare Singer input, as it was given to target-vicai, with what Vic.ai holds now.",
    )
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="files of Singer messages, lists, corrected rejects (.xlsx, .csv); the last of a key counts; - is stdin",
    )
    command.add_argument(
        "--rejects",
        action="append",
        default=[],
        metavar="FILE",
        help="reject file of the load; may be given several times",
    )
    command.add_argument(
        "--complete", action="store_true", help="the input is all that Vic.ai is to hold: what else there is counts"
    )
    _fields(command, line_items=True)
    _common(command, _input)
    return parser


def _fields(command: argparse.ArgumentParser, *, line_items: bool) -> None:
    command.add_argument(
        "--fields",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare every field, digit for digit; without: amounts, dates, currencies and times of change",
    )
    if line_items:
        command.add_argument(
            "--line-items",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="ask Vic.ai for the lines of each invoice as they were sent, a request each, and compare them",
        )


def _common(command: argparse.ArgumentParser, compare: Callable[[argparse.Namespace], Result]) -> None:
    command.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="the plugin's settings as JSON, or ENV for its environment variables (default); several may be given",
    )
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=[kind for kind in DIFFERENCE_TYPES if kind != "explained"],
        help="a type of difference that is shown and does not count; may be given several times",
    )
    command.add_argument(
        "--named", type=_count, default=NAMED_BY_DEFAULT, metavar="N", help="name at most N differences of a type"
    )
    command.add_argument(
        "--format", choices=["table", "json", "html"], default="table", help="html: a page to print and sign"
    )
    command.add_argument(
        "--language",
        choices=certificate.LANGUAGES,
        default="en",
        help="of pages and of the table (default: %(default)s)",
    )
    command.add_argument(
        "--report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the result as JSON, too, or, where the name ends in .html, as a page; may be given several times",
    )
    command.add_argument("--brief", action="store_true", help="sums by currency, and only those months that differ")
    cli.runs(command, lambda given: _compare(given, compare), failed=FAILED, interrupted=FAILED)


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError
    return number


def _write(path: str, content: str) -> None:
    try:
        replace(Path(path), content.encode())
    except OSError as error:
        raise Stop(f"--report: {path} cannot be written: {error.strerror or type(error).__name__}.") from None
