"""The webhooks' part of the control API, under `/_control/webhooks`: what was sent, and who gets it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ap_connectors.sandbox.webhooks import sender

if TYPE_CHECKING:
    from ap_connectors.sandbox.app import Sandbox

Handler = Callable[[Request], Awaitable[Response]]
MOST_SECONDS = 60.0


class WebhookCalls:
    """The handlers of the control calls; `handlers` has them by path and verb."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.handlers: Mapping[str, Mapping[str, Handler]] = {
            "/webhooks": {"GET": self.attempts},
            "/webhooks/subscriptions": {"GET": self.subscriptions},
        }

    async def attempts(self, request: Request) -> Response:
        """Tell the latest attempts and how many deliveries wait; with `wait`, seconds, first wait until none does."""
        courier = self._sandbox.courier
        try:
            seconds = min(MOST_SECONDS, float(request.query_params.get("wait", "0")))
        except ValueError:
            raise HTTPException(400, "wait must be a number of seconds.") from None
        if seconds > 0:
            await courier.idle(seconds)
        return _answer({"waiting": courier.waiting, "attempts": [asdict(one) for one in courier.latest]})

    async def subscriptions(self, _: Request) -> Response:
        """Tell who is subscribed to Įvesk's events: pending, confirmed or ended."""
        found = [
            {
                "event": one.event,
                "name": one.name,
                "target": sender.shown(one.target),
                "arn": one.arn,
                "state": one.state,
            }
            for one in self._sandbox.topics.subscriptions
        ]
        return _answer(found)


def _answer(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
