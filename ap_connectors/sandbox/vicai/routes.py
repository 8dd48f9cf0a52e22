"""Which operation a call means: compiled from the contract's path templates."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from ap_connectors.sandbox.vicai.answers import Refusal
from ap_connectors.vicai.contract import Operation, operations


@dataclass(frozen=True)
class Template:
    """A path template: its segments (None where a parameter stands), and its operations by verb."""

    segments: tuple[str | None, ...]
    names: tuple[str, ...]
    by_verb: Mapping[str, Operation]

    def ids(self, segments: list[str]) -> dict[str, str] | None:
        """Return the parameters if the path fits, decoded; they may hold slashes that were percent-encoded."""
        if len(segments) != len(self.segments):
            return None
        pairs = list(zip(self.segments, segments, strict=True))
        if any(fixed is not None and fixed != given for fixed, given in pairs):
            return None
        values = [unquote(given) for fixed, given in pairs if fixed is None]
        return dict(zip(self.names, values, strict=True)) if all(values) else None


@functools.cache
def templates() -> tuple[Template, ...]:
    """Compile all paths of the contract."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations().values():
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return tuple(_compiled(path, by_verb) for path, by_verb in by_path.items())


def find(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """Find the operation of a call, and its path parameters; `path` is percent-encoded and below the service's root.

    Raises:
        Refusal: 404, the service has no such path; 405, not with this verb.
    """
    segments = path.removeprefix("/").split("/")
    for template in templates():
        if (ids := template.ids(segments)) is None:
            continue
        if (operation := template.by_verb.get(method)) is None:
            allowed = ", ".join(template.by_verb)
            raise Refusal(405, f"{method} is not allowed here; {allowed} is.", {"Allow": allowed})
        return operation, ids
    raise Refusal(404, f"There is no {path[:200]}.")


def _compiled(path: str, by_verb: Mapping[str, Operation]) -> Template:
    parts = path.strip("/").split("/")
    return Template(
        tuple(None if part.startswith("{") else part for part in parts),
        tuple(part.strip("{}") for part in parts if part.startswith("{")),
        by_verb,
    )
