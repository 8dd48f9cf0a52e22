"""Whether the commands of rules can be run at all; said at the start, and not by the first run that fails."""

from __future__ import annotations

import os
import shutil

from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.runner import search_path


def problem_of(rule: Rule) -> str:
    """Return why a rule's command cannot be run; "" if nothing speaks against it."""
    program = rule.command[0]
    if not rule.cwd.is_dir():
        return f"its folder {rule.cwd} does not exist"
    path = rule.variables.get("PATH") or search_path()
    # A relative path starts in the rule's folder.
    place = str(rule.cwd / program) if os.sep in program else program
    if shutil.which(place, path=path) is None:
        return f"{program} is not found: install it for the receiver, or write its whole path into the rule"
    return ""
