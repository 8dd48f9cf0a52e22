"""The jobs of meltano.yml that carry things across, run as users run them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from demo.meltano import Meltano, install
from demo.project import ROOT
from tests.target_vicai.store import Store

pytestmark = pytest.mark.e2e

SAMPLE = ROOT.parent / "shared" / "samples" / "saf-t"
OURS = ROOT / "demo" / "saft"
EXTERNAL_IDS = {
    "accounts": ("Account", "AccountID"),
    "vendors": ("Supplier", "SupplierID"),
    "vatCodes": ("TaxTableEntry", "TaxCodeDetails/{*}TaxCode"),
    "dimensions": ("AnalysisTypeTableEntry", "AnalysisID"),
}


@pytest.fixture
def saft_to_vic(meltano: Callable[..., Meltano], sandbox: SandboxProcess, tmp_path: Path) -> Callable[..., Meltano]:
    install("tap-saft", "target-vicai")
    sandbox.control.reset(documents=0, vicai={"rate_requests": 0})

    def make(path: Path) -> Meltano:
        return meltano(
            TAP_SAFT_PATH=str(path),
            TARGET_VICAI_API_URL=sandbox.vicai_url,
            TARGET_VICAI_CLIENT_ID=sandbox.client_id,
            TARGET_VICAI_CLIENT_SECRET=sandbox.client_secret,
            TARGET_VICAI_REJECTS_PATH=str(tmp_path / "rejects.jsonl"),
            TARGET_VICAI_LEDGER_PATH=str(tmp_path / "ledger.jsonl"),
            TARGET_VICAI_MAX_REJECTS="4",
        )

    return make


def in_file(path: Path) -> dict[str, set[str]]:
    """The ids in the master files, counted by another reader of XML."""
    root = ET.parse(path).getroot()
    found: dict[str, set[str]] = {}
    for kind, (element, name) in EXTERNAL_IDS.items():
        ids = set()
        for one in root.iterfind(f".//{{*}}MasterFiles//{{*}}{element}"):
            type_ = one.findtext("{*}TaxType") or one.findtext("{*}AnalysisType")
            ids |= {f"{type_}:{id_.text}" if type_ else id_.text or "" for id_ in one.iterfind(f"{{*}}{name}")}
        found[kind] = ids
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    ("folder", "wrong_accounts"),
    [
        (OURS, 0),
        # Its account numbers are made up.
        pytest.param(SAMPLE, 4, marks=pytest.mark.skipif(not SAMPLE.exists(), reason="the sample is not there")),
    ],
    ids=["ours", "the tax administration's"],
)
def test_a_saft_file_is_at_vic_and_a_second_run_writes_nothing(
    saft_to_vic: Callable[[Path], Meltano], sandbox: SandboxProcess, folder: Path, wrong_accounts: int, tmp_path: Path
) -> None:
    (path,) = folder.glob("*.xml")
    store, project = Store(sandbox), saft_to_vic(path)
    project.run("erp-to-vic")
    expected = in_file(path)
    assert all(expected.values())
    change = store.change()
    for kind, ids in expected.items():
        assert {one["externalId"] for one in change.added(kind)} == ids, kind
    rejects = tmp_path / "rejects.jsonl"
    codes = re.findall(r'"code": ?"(\w+)"', rejects.read_text()) if rejects.exists() else []
    assert codes == ["bank_account"] * wrong_accounts
    store.look()
    sandbox.control.clear_calls()
    project.run("--full-refresh", "erp-to-vic")
    store.untouched()
    calls = [call for call in sandbox.control.calls() if "/token" not in call["path"]]
    assert calls
    assert {call["method"] for call in calls} == {"GET"}
