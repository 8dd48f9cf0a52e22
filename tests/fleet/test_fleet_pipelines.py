"""Every pipeline of `meltano.yml`, through the fleet: what it moves, what it sets aside, what goes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.fleet import pipelines
from tests.fleet.conftest import VIC, Fleet

DEMO = Path(__file__).parent.parent.parent / "demo"


def test_all_pipelines_of_a_company(fleet: Fleet) -> None:
    """From the ERP and Įvesk into Vic.ai, what was refused back to the accountants, and both into the warehouse."""
    company = fleet.of(1)
    code = company.control.ivesk(sums=False)["companies"][0]["code"]
    tables = {name: str(DEMO / "tables" / f"{name}.csv") for name in ("accounts", "objects")}
    settings: dict[str, dict[str, Any]] = {
        "tap-saft": {"path": str(DEMO / "saft")},
        "tap-ivesk": {"api_key": company.api_key},
        "tap-ivesk-for-vic": {"company_codes": [code]},
        "mapper-ivesk-vicai": {
            "company_code": code,
            "vat_classes": str(DEMO / "tables" / "vat.csv"),
            "vendor_table": str(DEMO / "tables" / "vendors.csv"),
            "max_rejects": 1000,
            **tables,
        },
        "tap-vicai": fleet.credentials(1),
        "target-vicai": {**fleet.credentials(1), "max_rejects": 1000},
        "target-ivesk": {"api_key": company.api_key},
    }
    company.control.reset(documents=60, invoices=10)
    names = ["erp-to-vic", "ivesk-to-vic", "errors-to-ivesk", "ivesk-to-warehouse", VIC]
    assert set(names) == set(pipelines.BY_NAME)
    fleet.write({"id": "c1", "pipelines": names, "settings": settings})
    found = fleet.run()
    assert [one["pipeline"] for one in found.values()] == names
    to_vic = found["c1 ivesk-to-vic"]
    trained = company.control.vicai.records("trainingInvoices")
    assert to_vic["read"] > 0
    assert to_vic["written"] > 0
    assert trained
    assert to_vic["set_aside"] == found["c1 errors-to-ivesk"]["read"] == len(company.control.sync_errors())
    assert found["c1 erp-to-vic"]["written"] > 0
    assert fleet.rows("SELECT count(*) FROM ivesk.exported_documents")[0][0] > 0
    assert not fleet.differences(1)
    again = fleet.run()
    assert {name: one["written"] for name, one in again.items()} == dict.fromkeys(found, 0)
    # What the first run set aside is told as long as its files are there, by runs that set nothing aside, too.
    aside = sum(one["set_aside"] or 0 for one in found.values())
    assert aside > 0
    told = f"c1: {aside} set aside, in files of "
    assert told in fleet.ask("status")
    # Read anew they are set aside anew, and counted once; the files, the reasons and the way on are named.
    for plugin in ("mapper-ivesk-vicai", "target-vicai"):
        settings[plugin]["max_rejects"] = 0
    fleet.write({"id": "c1", "pipelines": names, "settings": settings})
    one = ["--pipeline=ivesk-to-vic", "--from=2000-01-01", "--stream=exported_documents"]
    error = fleet.run(*one, expect=1)["c1"]["error"]
    number = to_vic["set_aside"]
    files = [name for name in fleet.folder.rglob("rejects/c1/ivesk-to-vic-*.jsonl") if name.name in error]
    assert files
    assert error.startswith(f"{number} set aside in {fleet.folder}/output/rejects/c1/ivesk-to-vic-")
    assert " --only c1 --pipeline ivesk-to-vic --from DATE --stream STREAM), and move the files away." in error
    reasons = re.findall(r"\b(\d+): [^;]{10}", error.partition(" (")[2])
    assert reasons
    assert sum(map(int, reasons)) <= number
    assert told in fleet.ask("status", expect=1)


@pytest.mark.long
def test_processes_of_one_client_share_its_rate_limit(fleet: Fleet) -> None:
    """Four companies by one client id, side by side: the service never has to say 429."""
    company = fleet.of(1)
    fleet.write(
        *({"id": f"c{number}", "settings": {"tap-vicai": fleet.credentials(1)}} for number in range(1, 5)),
        warehouse="{company}.duckdb",
        defaults={
            "pipelines": [VIC],
            "settings": {
                "tap-vicai": {"api_url": company.vicai_url, "rate_limit": {"requests": 40, "seconds": 3}},
            },
        },
    )
    company.control.vicai.options(rate_requests=40, rate_seconds=3)
    company.control.clear_calls()
    found = fleet.run("--jobs=4")
    assert {one["status"] for one in found.values()} == {"done"}
    assert len(company.control.calls()) > 80
    assert company.control.vicai.overview(sums=False)["throttled"] == 0
