"""OpenLineage events: what was run, what it read and wrote. Sent to an address, if one is set; a failure only warns.

Sources: OpenLineage 2.0.2, RunEvent; `OPENLINEAGE_URL` and `OPENLINEAGE_API_KEY` as its clients read them.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.pipelines import Pipeline
from ap_connectors.fleet.results import Result
from ap_connectors.http.session import describe

_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
_PRODUCER = "https://pypi.org/project/ap-connectors"
_PATH = "/api/v1/lineage"
_SECONDS = 5
_log = logging.getLogger(__name__)


def began(fleet: Fleet, run_id: str, company: str, pipeline: Pipeline) -> None:
    """Tell that a run has begun."""
    if _address(fleet):
        _send(fleet, _event("START", run_id, company, pipeline))


def ended(fleet: Fleet, result: Result, pipeline: Pipeline) -> None:
    """Tell how a run has ended, and how many records of each stream were written."""
    if not _address(fleet):
        return
    kind = "COMPLETE" if result.is_done else "ABORT" if result.status == "ended" else "FAIL"
    event = _event(kind, result.run_id, result.company, pipeline)
    if result.error:
        event["run"]["facets"] = {
            "errorMessage": _facet("ErrorMessageRunFacet", message=result.error, programmingLanguage="Python")
        }
    event["outputs"] = [
        {
            "namespace": f"ap-fleet/{pipeline.target}",
            "name": f"{pipeline.schema or pipeline.target}.{stream}",
            "outputFacets": {"outputStatistics": _facet("OutputStatisticsOutputDatasetFacet", rowCount=rows)},
        }
        for stream, rows in _rows(result).items()
    ]
    _send(fleet, event)


def _event(kind: str, run_id: str, company: str, pipeline: Pipeline) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "producer": _PRODUCER,
        "schemaURL": f"{_SCHEMA}#/$defs/RunEvent",
        "run": {"runId": run_id},
        "job": {"namespace": "ap-fleet", "name": f"{company}.{pipeline.name}"},
        "inputs": [{"namespace": f"ap-fleet/{pipeline.tap}", "name": company}],
        "outputs": [],
    }


def _facet(name: str, **members: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"https://openlineage.io/spec/facets/1-0-0/{name}.json", **members}


def _rows(result: Result) -> dict[str, int]:
    try:
        streams = json.loads(Path(result.report or "").read_bytes())["streams"]
    except (OSError, ValueError, KeyError):
        return {}
    return {name: one["created"] + one["updated"] for name, one in streams.items()}


def _address(fleet: Fleet) -> str:
    return fleet.lineage or os.environ.get("OPENLINEAGE_URL", "").strip()


def _send(fleet: Fleet, event: dict[str, Any]) -> None:
    address = _address(fleet)
    if urlsplit(address).path in {"", "/"}:
        address = address.rstrip("/") + _PATH
    key = os.environ.get("OPENLINEAGE_API_KEY", "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        response = requests.post(address, json=event, headers=headers, timeout=_SECONDS, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        _log.warning("OpenLineage: the event could not be sent: %s.", describe(error, address))
        return
    if not response.ok:
        host = urlsplit(address).netloc.rpartition("@")[2]
        _log.warning("OpenLineage: the event was not taken: %s answered with status %d.", host, response.status_code)
