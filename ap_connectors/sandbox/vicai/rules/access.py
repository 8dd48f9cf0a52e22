"""Authentication and status."""

from __future__ import annotations

from starlette.responses import Response

from ap_connectors.sandbox.vicai.answers import Refusal, value_answer
from ap_connectors.sandbox.vicai.asked import Asked, Handler


def obtain_token(asked: Asked) -> Response:
    """Grant an access token for the right credentials."""
    if not asked.tokens.knows(asked.body["client_id"], asked.body["client_secret"]):
        raise Refusal(401, "The client id or the client secret is wrong.")
    seconds = asked.store.options.token_seconds
    token = asked.tokens.grant(seconds)
    return value_answer({"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)})


def health(asked: Asked) -> Response:
    """Say that all is well, and whose data this is."""
    return value_answer({"status": "PASS", "version": "0.20.0", "company": asked.store.options.company})


HANDLERS: dict[str, Handler] = {"obtainToken": obtain_token, "healthCheck": health}
