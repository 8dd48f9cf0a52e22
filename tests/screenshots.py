"""`python -m tests.screenshots`: takes the pictures of pages that the documentation shows, of the sandbox's data.

With a folder it takes each page there, whole, wide and narrow, light and dark, and prints it on A4: to look at.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ap_connectors.sandbox.process import SandboxProcess
from tests.browser import Tab, launched
from tests.conftest import DOCUMENTS, renewed
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import command, fresh, lines, load
from tests.target_vicai.scene import AT, LONG
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_plan import planned
from tests.tieout.conftest import Tables, load_ivesk, run_tieout
from tests.webhooks.serve_process import Webhooks, rule

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parent.parent / "docs" / "images"
WIDTH, HEIGHT = 960, 760
A4 = 688
"""Pixels between the margins of a page of paper."""


Take = Callable[[str, "Path | str"], None]


def main() -> None:
    with tempfile.TemporaryDirectory() as name, launched(Path(name)) as browser:
        if len(sys.argv) > 1:
            to_look_at(browser, Path(name), Path(sys.argv[1]))
        else:
            FOLDER.mkdir(exist_ok=True)
            pages(Path(name), lambda picture, where: for_the_documentation(browser, picture, where))


def pages(folder: Path, take: Take, *languages: str) -> None:
    """Make each page, and take it; certificates also in further languages."""
    with SandboxProcess(documents=0, big_amounts=False) as sandbox:
        made = certificates(sandbox, folder, "en", *languages) | of_loads(sandbox, folder)
    for picture, path in made.items():
        take(picture, path)
    with SandboxProcess(documents=120, invoices=90, companies=3, big_amounts=False) as sandbox:
        take("sandbox", sandbox.ivesk_url.removesuffix("/ivesk/api"))
    with receiver(folder) as hooks:
        take("receiver", hooks.page)


def for_the_documentation(browser: Browser, picture: str, where: Path | str) -> None:
    with Tab(browser, width=WIDTH, height=HEIGHT, online=isinstance(where, str)) as tab:
        page = tab.open(where)
        page.wait_for_selector("h2")
        page.screenshot(path=FOLDER / f"{picture}.png", animations="disabled")


def to_look_at(browser: Browser, folder: Path, into: Path) -> None:
    into.mkdir(exist_ok=True)

    def take(picture: str, where: Path | str) -> None:
        for width in (1280, 400):
            for scheme in ("light", "dark"):
                with Tab(browser, width=width, height=900, scheme=scheme, online=isinstance(where, str)) as tab:
                    page = tab.open(where)
                    page.wait_for_selector("h2")
                    page.screenshot(path=into / f"{picture}-{width}-{scheme}.png", full_page=True)
        with Tab(browser, width=A4, height=1000, online=isinstance(where, str)) as tab:
            page = tab.open(where)
            page.wait_for_selector("h2")
            (into / f"{picture}.pdf").write_bytes(tab.pdf())
            page.emulate_media(media="print")
            page.screenshot(path=into / f"{picture}-a4.png", full_page=True)

    pages(folder, take, "lt", "no")


def certificates(sandbox: SandboxProcess, folder: Path, *languages: str) -> dict[str, Path]:
    """A certificate that does not tie, in each language."""
    renewed(sandbox, documents=DOCUMENTS)
    tables = Tables(folder / "warehouse.duckdb", "ivesk")
    load_ivesk(sandbox, tables)
    ids = [row[0] for row in tables.sql("select id from exported_documents order by id limit 3")]
    tables.sql(
        f"delete from exported_documents where id = '{ids[0]}'",
        f"update exported_documents set total = '1250.00' where id = '{ids[1]}'",
        f"delete from document_files where document_id = '{ids[2]}'",
    )
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    made = {}
    for language in languages:
        name = "certificate" if language == "en" else f"certificate-{language}"
        made[name] = folder / f"{name}.html"
        arguments = ("--warehouse", str(tables.path), "--report", str(made[name]), "--language", language)
        run_tieout(folder, settings, "ivesk-warehouse", *arguments)
    return made


def of_loads(sandbox: SandboxProcess, folder: Path) -> dict[str, Path]:
    """A plan, and what was set aside."""
    fresh(sandbox)
    wrong = [
        *load("vendors", *({"externalId": f"V-{n}", "externalUpdatedAt": AT, "name": LONG} for n in range(3))),
        *load(
            "purchase_orders",
            {
                **{"externalId": "PO-1", "poNumber": "007", "issuedOn": "2026-03-01", "vendorExternalId": "V-9"},
                **{"amount": "10.00", "lineItems": [order_line(1, "2", "5.00", "10.00")]},
            },
        ),
    ]
    plan, rejects = folder / "plan.html", folder / "rejects.html"
    for name, messages, changed in (
        ("plan", planned(Store(sandbox)), {"dry_run": True, "deletes": "records", "plan_path": str(plan)}),
        ("load", wrong, {"report_path": str(rejects)}),
    ):
        (folder / name).mkdir()
        given = lines(messages).replace(LONG.encode(), ("Lagerhyller og reoler, " * 12).encode())
        run = command(sandbox, folder / name, changed | {"rejects_path": "rejects.jsonl"})
        subprocess.run(run, input=given, capture_output=True, cwd=folder / name)
    return {"plan": plan, "rejects": rejects}


def receiver(folder: Path) -> Webhooks:
    """A receiver of which one run has failed, and one rule has no program."""
    shutil.rmtree(folder / "hooks", ignore_errors=True)
    (folder / "hooks").mkdir()
    fails = "echo 'ERROR target-vicai: Vic.ai cannot be reached'; exit 1"
    rules = [
        rule(fails, name="erp-to-vic", on=["vicai.payment_batch_processed"], retries=0),
        rule("", name="vic-to-warehouse", on=["vicai.invoice_post"], run=["true"]),
        rule("", name="sync", on=["vicai.syncRequest"], run=["meltanoo", "run", "sync"]),
    ]
    hooks = Webhooks(folder / "hooks", rules=rules, page_port=0).serve()
    hooks.batch(1)
    hooks.post("events", {"event": "invoice_post", "data": {"id": "i-1", "companyId": "7"}})
    hooks.wait_for(lambda: sorted(hooks.statuses()) == ["done", "failed"])
    return hooks


if __name__ == "__main__":
    main()
