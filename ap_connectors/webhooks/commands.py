"""Whether the commands of rules can be run at all; said at the start, and not by the first run that fails."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ap_connectors.webhooks.rules import Rule


def search_path(own: str | None) -> str:
    """Return where programs are looked for: a service has no environment activated, but `meltano` is beside us."""
    return os.pathsep.join(part for part in (own, str(Path(sys.executable).parent)) if part)


def problem_of(rule: Rule) -> str:
    """Return why a rule's command cannot be run; "" if nothing speaks against it."""
    program = rule.command[0]
    if not rule.cwd.is_dir():
        return f"its folder {rule.cwd} does not exist: create it, or correct `cwd`."
    # A relative path starts in the rule's folder.
    place = str(rule.cwd / program) if os.sep in program else program
    if shutil.which(place, path=rule.variables.get("PATH") or search_path(os.environ.get("PATH"))) is None:
        return f"its program {program} is not found: install it for the receiver, or write its whole path."
    return ""


def problems(rules: Sequence[Rule]) -> Iterator[str]:
    """Say of each rule whose command cannot be run why that is."""
    for rule in rules:
        if problem := problem_of(rule):
            yield f"rules: {rule.shown}: {problem} Until then its runs fail, and are retried."
