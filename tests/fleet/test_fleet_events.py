"""A rule of `ap-webhooks` runs the fleet's pipeline of the companies that its events are about."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from tests.webhooks.serve_process import Webhooks

PIPELINE = "ivesk-to-warehouse"


@pytest.mark.long
def test_a_click_on_export_runs_that_company_alone(fleet: Fleet, tmp_path: Path) -> None:
    codes = {
        number: [one["code"] for one in fleet.of(number).control.ivesk(sums=False)["companies"]] for number in (1, 2)
    }
    fleet.write(
        *(
            {
                "id": f"c{number}",
                "pipelines": [PIPELINE],
                "settings": {"tap-ivesk": {"api_key": fleet.of(number).api_key, "company_codes": codes[number]}},
            }
            for number in (1, 2)
        )
    )
    run = [sys.executable, "-m", "ap_connectors.fleet", "run", "--companies", str(fleet.path), "--events"]
    rules = [{"on": "ivesk.on_exported", "run": run, "debounce": "200ms"}]
    sandbox = fleet.of(1)
    settings = {
        "vicai_token": None,
        "ivesk_test_hosts": [sandbox.url.removeprefix("http://")],
        "ivesk_api_key": sandbox.api_key,
        "ivesk_api_url": sandbox.ivesk_url,
    }
    with Webhooks(tmp_path, rules=rules, **settings).serve_public() as hooks:
        hooks.run("subscribe", "ivesk")
        sandbox.control.wait_until_confirmed()
        (exported,) = sandbox.control.add(1)
        sandbox.control.wait_for_webhooks()
        hooks.wait_for(lambda: hooks.statuses() == ["done"], 90)
    assert [one for (one,) in fleet.rows("SELECT DISTINCT company FROM ivesk.exported_documents")] == ["c1"]
    assert exported in {one for (one,) in fleet.rows("SELECT id FROM ivesk.exported_documents")}


def test_events_of_no_company_of_the_fleet(fleet: Fleet) -> None:
    fleet.write(
        {"id": "c1", "pipelines": [PIPELINE], "settings": {"tap-ivesk": {"api_key": "k", "company_codes": ["1"]}}}
    )
    said = fleet.ask("run", "--events", env={"AP_WEBHOOKS_COMPANIES": "2,3"})
    assert said == "No company of companies.yml has the code 2 or 3 (company_codes); nothing was run.\n"
