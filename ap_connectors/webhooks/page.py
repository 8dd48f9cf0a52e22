"""The receiver's page at `/`, with `page_token` only: runs with their last error line, events by state, gaps, `retry`.

The receiver's address is the services' as well, and a proxy in front of it comes from this machine. So the page needs
its token wherever a request comes from.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ap_connectors.core import pages
from ap_connectors.core.errors import ApError
from ap_connectors.core.redact import Redactor
from ap_connectors.webhooks import status
from ap_connectors.webhooks.commands import problem_of
from ap_connectors.webhooks.gaps import last_report
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, WAITING, opened
from ap_connectors.webhooks.settings import Settings

_LOG = logging.getLogger("ap_connectors.webhooks.page")
_COOKIE = "ap_webhooks_page"
_MOST_BODY = 4096
_RUNS, _EVENTS, _DAYS = 50, 100, 7.0
_TAIL = 8192
"""Bytes at the end of a log in which its last error is looked for."""


class Page:
    """The routes of the page.

    Args:
        settings: all of them; `page_token` among them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = _digest("page", settings.page_token)
        self._form = _digest("form", settings.page_token)
        self._redact = Redactor(settings.secrets)
        self.routes = [
            Route("/", self._show, methods=["GET"]),
            Route("/page/open", self._open, methods=["POST"]),
            Route("/page/retry", self._retry, methods=["POST"]),
        ]

    def _knows(self, request: Request) -> bool:
        return secrets.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._key.encode())

    async def _show(self, request: Request) -> Response:
        if not self._knows(request):
            return _html(pages.render(Path(__file__).parent, "locked", server=True, wrong=False), 401)
        said = request.query_params.get("said", "")
        content = await asyncio.to_thread(self._render, said if said in _SAID else "")
        return _html(content)

    async def _open(self, request: Request) -> Response:
        given = (await _form(request)).get("token", "")
        if not secrets.compare_digest(_digest("page", given).encode(), self._key.encode()):
            _LOG.warning("page: a wrong token was given")
            return _html(pages.render(Path(__file__).parent, "locked", server=True, wrong=True), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(_COOKIE, self._key, httponly=True, samesite="strict", path="/")
        return answer

    async def _retry(self, request: Request) -> Response:
        given = await _form(request)
        # The cookie is not sent from elsewhere; a page of another origin cannot know this either.
        if not self._knows(request) or not secrets.compare_digest(given.get("form", "").encode(), self._form.encode()):
            raise HTTPException(403)
        run, event = _number(given.get("run")), _number(given.get("event"))
        try:
            lines = await asyncio.to_thread(
                status.retry,
                self._settings,
                run_ids=[run] if run else [],
                event_ids=[event] if event else [],
                failed=given.get("failed") == "yes",
            )
        except ApError as error:
            _LOG.warning("page: %s", error)
            return RedirectResponse("/?said=refused", 303)
        for line in lines:
            _LOG.info("page: %s", line)
        return RedirectResponse("/?said=retried", 303)

    def _render(self, said: str) -> str:
        settings = self._settings
        runs = status.runs(settings, _RUNS)[0]["runs"]
        events = status.events(settings, everything=True, days=_DAYS)[0]["events"]
        with opened(settings.inbox) as (inbox, all_runs):
            gaps = last_report(inbox)
            unplanned = all_runs.unplanned()
        for run in runs:
            run["error"] = "" if run["status"] not in {FAILED, WAITING} else self._last_error(run)
        states = Counter((event["event"], event["status"]) for event in events)
        names = list(dict.fromkeys(name for name, _ in states))
        kinds = [one for one in _STATES if any(state == one for _, state in states)]
        open_ = [event for event in events if event["status"] not in {DONE, status.NO_RULE}]
        return pages.render(
            Path(__file__).parent,
            "receiver",
            server=True,
            said=_SAID.get(said, ""),
            runs=runs,
            failed=sum(run["status"] == FAILED for run in runs),
            can_retry={FAILED, WAITING},
            kind_of=_KINDS,
            days=int(_DAYS),
            states=states,
            names=names,
            kinds=kinds,
            open=open_[-_EVENTS:],
            left_out=max(len(open_) - _EVENTS, 0),
            unplanned=unplanned,
            gaps=gaps,
            rules=[(rule, problem_of(rule)) for rule in settings.rules],
            form=self._form,
        )

    def _last_error(self, run: dict[str, Any]) -> str:
        """Return the last line of a run's output that speaks of an error, or else the last line."""
        try:
            with Path(run["log_path"] or "").open("rb") as file:
                file.seek(max(file.seek(0, 2) - _TAIL, 0))
                lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return ""
        errors = [line for line in lines if "error" in line.lower() or "not found" in line.lower()]
        return self._redact((errors or lines or [""])[-1])


_STATES = (FAILED, status.UNPLANNED, WAITING, RUNNING, DONE, status.NO_RULE)
_KINDS = {FAILED: "bad", DONE: "good"}
_SAID = {"retried": "It is due now.", "refused": "It cannot be retried: see its status."}


def _digest(what: str, token: str) -> str:
    return hashlib.sha256(f"{what}:{token}".encode()).hexdigest()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def _html(content: str, code: int = 200) -> Response:
    return HTMLResponse(content, code, headers=pages.HEADERS)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; what is larger than ours is none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BODY:
            raise HTTPException(413)
    return {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
