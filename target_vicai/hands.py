"""Hands that write nothing: for a plan they answer what Vic would have answered, had all gone well."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ap_connectors.vicai.client import Part
from target_vicai.copy import Plain


class IdleHands:
    """Stands in for the client where nothing may be written. Its answers are the bodies, with ids that are made up."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def send(
        self,
        operation: str,  # noqa: ARG002
        body: Any = None,
        *,
        find_done: Callable[[], Plain | None] | None = None,  # noqa: ARG002
        **arguments: str,  # noqa: ARG002
    ) -> Plain:
        """Answer the body, with an id."""
        return self._answer(body)

    def upload(
        self,
        operation: str,  # noqa: ARG002
        parts: Callable[[], Sequence[Part]],  # noqa: ARG002
        *,
        find_done: Callable[[], Plain | None] | None = None,  # noqa: ARG002
        **arguments: str,  # noqa: ARG002
    ) -> Plain:
        """Answer with an id; no file is opened."""
        return self._answer({})

    def _answer(self, body: Any) -> Plain:
        id_ = f"planned-{next(self._numbers)}"
        return {"id": id_, "internalId": id_, **(body if isinstance(body, dict) else {})}
