"""What a run's command is told, in its environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ap_http import checks
from ap_http.errors import Stop
from ap_webhooks.rules import Rule
from ap_webhooks.run_tables import Run, Told
from ap_webhooks.settings import PREFIX

_LOG = logging.getLogger("ap_webhooks.runner")
_LONGEST = 100_000
"""Characters that fit into a variable."""


def environment(rule: Rule, run: Run, events: Sequence[Told]) -> dict[str, str]:
    """What a command is given: our own environment without the receiver's secrets, and what the run is about."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    found.pop("TARGET_VICAI_REQUEST_ID", None)
    # A service has no PATH of an activated environment, and `meltano` is beside us.
    found["PATH"] = os.pathsep.join(part for part in (found.get("PATH"), str(Path(sys.executable).parent)) if part)
    ids = ",".join(str(event.id) for event in events)
    about: Mapping[str, str] = {
        "RUN_ID": str(run.id),
        "ATTEMPT": str(run.attempts),
        "EVENT_IDS": ids if len(ids) <= _LONGEST else "",
        "EVENT_COUNT": str(len(events)),
        "KINDS": ",".join(sorted({f"{event.service}.{event.kind}" for event in events}))[:_LONGEST],
        "COMPANIES": ",".join(sorted({event.company for event in events if event.company}))[:_LONGEST],
        "REQUEST_ID": run.request_id or "",
    }
    found |= {PREFIX + name: value.replace("\0", "") for name, value in about.items()} | dict(rule.env)
    if run.request_id:
        try:
            found["TARGET_VICAI_REQUEST_ID"] = checks.uuid("requestId", run.request_id)
        except Stop:
            _LOG.warning("Run %d: its request id is no UUID, so target-vicai cannot send it: left out.", run.id)
    return found
