"""The pipelines' part of the story: what an ERP exported, what an accountant checked, and what failed where."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import Control, SandboxProcess
from demo.acts import Places, Say
from demo.meltano import Meltano
from demo.pipes import across, ties
from demo.pipes.across import Record
from demo.pipes.ties import Tie

COMPANY = "391016469"
"""The company whose purchases go to Vic.ai; `meltano.yml` has it, too."""

_SELLER = "UAB „" + "Labai ilgas pavadinimas " * 12 + "“"
"""No name of a vendor at Vic.ai is as long."""


@dataclass(frozen=True)
class Act:
    """One run: what it did, and what it should have done."""

    name: str
    facts: Mapping[str, Any]
    expected: Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What the runs did, what both sides hold, what was set aside and why, what the accountants read, what ties."""

    acts: tuple[Act, ...]
    purchases: Mapping[str, Record]
    trained: Counter[str]
    reasons: Mapping[str, str]
    told: Mapping[str, str]
    ties: tuple[Tie, ...]


def compare(places: Places, sandbox: SandboxProcess) -> tuple[Tie, ...]:
    """Compares both services with the warehouse."""
    folder = places.pipes
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = ["--warehouse", str(places.warehouse)]
    ivesk = {"TAP_IVESK_API_URL": sandbox.ivesk_url, "TAP_IVESK_API_KEY": sandbox.api_key}
    return (
        ties.compare(folder, "ivesk-warehouse", warehouse, ivesk),
        ties.compare(folder, "vic-warehouse", warehouse, _vic("TAP_VICAI", sandbox)),
    )


def play(places: Places, sandbox: SandboxProcess, say: Say, compared: tuple[Tie, ...]) -> Evidence:
    """SAF-T into Vic.ai, purchases across, errors back; and the last of the comparisons."""
    folder, control, acts = places.pipes, sandbox.control, []
    meltano = Meltano(places.pipes_system, places.log, _settings(places, sandbox))
    saft = {"created": 29, "updated": 0, "unchanged": 0, "rejected": 0}
    for name, expected in (("SAF-T", saft), ("Again", dict.fromkeys(saft, 0) | {"unchanged": 29})):
        say(name, "")
        # All of it once more, so that it is target-vicai that finds nothing to do, not the tap's bookmark.
        meltano.run(*(["--full-refresh"] if name == "Again" else []), "erp-to-vic")
        loaded = _report(folder / "load.json")
        say("", _counted(loaded["streams"]) or f"nothing to do, {loaded['total']['unchanged']} records unchanged")
        acts.append(Act(f"erp-to-vic, {name}", {effect: loaded["total"][effect] for effect in saft}, expected))

    refused = {**_purchase(control), "sellername": _SELLER, "sellercode": "399999993"}
    control.add(1, overrides=refused, line_overrides={"vatclass": "PVM1"})
    purchases = across.purchases(control, COMPANY)
    say("Purchases", "")
    before = across.trained(control)
    meltano.run("ivesk-to-vic")
    mapped, loaded = _report(folder / "map.json"), _report(folder / "load.json")
    streams = loaded["streams"]
    aside = f"{mapped['documents']['set_aside']} + {loaded['total']['rejected']} set aside"
    reasons = _reasons(folder)
    why = [f"  ! {count} × {reason[:74]}" for reason, count in Counter(reasons.values()).most_common()]
    say("", "\n".join([f"{_counted(streams)}; {aside}", *why]))

    say("Errors", "")
    reported = []
    for again in ([], ["--full-refresh"]):
        meltano.run(*again, "errors-to-ivesk")
        reported.append(len(control.sync_errors()))
    told = {error["documentid"]: error["message"] for error in control.sync_errors()}
    say("", f"{reported[0]} documents explained to their accountants; again: {reported[1] - reported[0]} more")
    acts.append(
        Act(
            "errors-to-ivesk",
            {"first": reported[0], "again": reported[1]},
            dict.fromkeys(("first", "again"), len(reasons)),
        )
    )

    say("Tie-out", "")
    erp = [str(places.erp / name) for name in ("master-data.jsonl", "master-data-changed.jsonl")]
    rejects = ["--rejects", str(places.erp / "rejects.jsonl")]
    last = ties.compare(folder, "input-vic", [*erp, *rejects], _vic("TARGET_VICAI", sandbox))
    compared = (*compared, last)
    say("", "; ".join(f"{one.name} {'ties' if one.ties else 'DOES NOT TIE'}" for one in compared))
    return Evidence(tuple(acts), purchases, across.trained(control) - before, reasons, told, compared)


def _purchase(control: Control) -> Record:
    """The parties of a purchase of the company's."""
    one = next(iter(across.purchases(control, COMPANY).values()))
    return {name: value for name, value in one.items() if name.startswith(("seller", "buyer"))}


def _vic(prefix: str, sandbox: SandboxProcess) -> dict[str, str]:
    return {
        f"{prefix}_API_URL": sandbox.vicai_url,
        f"{prefix}_CLIENT_ID": sandbox.client_id,
        f"{prefix}_CLIENT_SECRET": sandbox.client_secret,
    }


def _settings(places: Places, sandbox: SandboxProcess) -> dict[str, str]:
    folder = places.pipes
    allowed = {f"{name}_MAX_REJECTS": "1000" for name in ("TARGET_VICAI", "MAPPER_IVESK_VICAI", "TARGET_IVESK")}
    return {
        **_vic("TARGET_VICAI", sandbox),
        **allowed,
        "TAP_IVESK_FOR_VIC_API_URL": sandbox.ivesk_url,
        "TAP_IVESK_FOR_VIC_API_KEY": sandbox.api_key,
        "TAP_IVESK_FOR_VIC_DOCUMENTS_DIR": str(folder / "documents"),
        "MAPPER_IVESK_VICAI_REJECTS_PATH": str(folder / "rejects-mapper.jsonl"),
        "MAPPER_IVESK_VICAI_REPORT_PATH": str(folder / "map.json"),
        "TARGET_VICAI_REJECTS_PATH": str(folder / "rejects-vicai.jsonl"),
        "TARGET_VICAI_REPORT_PATH": str(folder / "load.json"),
        "TARGET_VICAI_LEDGER_PATH": str(folder / "ledger-vicai.jsonl"),
        "TAP_REJECTS_PATH": str(folder / "rejects-*.jsonl"),
        "TAP_REJECTS_LANGUAGE": "en",
        "TARGET_IVESK_API_URL": sandbox.ivesk_url,
        "TARGET_IVESK_API_KEY": sandbox.api_key,
        "TARGET_IVESK_REJECTS_PATH": str(folder / "ivesk-rejects.jsonl"),
        "TARGET_IVESK_LEDGER_PATH": str(folder / "ledger-ivesk.jsonl"),
    }


def _report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_bytes())
    return report


def _counted(streams: Mapping[str, Mapping[str, int]]) -> str:
    """What was written, by stream."""
    written = {name: counts["created"] + counts["updated"] for name, counts in streams.items()}
    return ", ".join(f"{count} {name}" for name, count in written.items() if count)


def _reasons(folder: Path) -> dict[str, str]:
    """Why documents were set aside, by id; of an invoice that waited for a vendor, the vendor's reason."""
    reasons: dict[str, str] = {}
    for name in ("rejects-mapper.jsonl", "rejects-vicai.jsonl"):
        path = folder / name
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                key = record.get("ivesk_document_id") or record["id"]
                reasons.setdefault(key, re.sub(r"\s+", " ", message["rejected"]["reason"]))
    return reasons
