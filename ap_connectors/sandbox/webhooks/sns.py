"""As much of Amazon SNS as Įvesk's webhooks need, under `/sns/`: topics, subscriptions to confirm, signed messages."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox.options import Options
from ap_connectors.sandbox.webhooks import sender, signer
from ap_connectors.sandbox.webhooks.dispatcher import Delivery, Dispatcher, RetryPolicy
from ap_connectors.sandbox.webhooks.sender import OutgoingRequest, WithheldError
from ap_connectors.sandbox.webhooks.signer import Message, Signer

if TYPE_CHECKING:
    from ap_connectors.sandbox.ivesk.service import Ivesk

PREFIX = "/sns/"
# As the service does: "up to 10 times with exponential backoff from 20 sec to 10 min", SNS itself waits 15 s.
RETRIES, LONGEST_OF_FIRST, SECONDS = 10, 30, 15.0
_ACCOUNT = "arn:aws:sns:eu-west-1:000000000000"
TOPICS = {"on_exported": f"{_ACCOUNT}:DPWebHook_onexport", "on_digitized": f"{_ACCOUNT}:DPWebHook_ondigitize"}
_XML = "http://sns.amazonaws.com/doc/2010-03-31/"


@dataclass
class Subscription:
    """A receiver of a topic; `base` is the address by which it reached this SNS."""

    event: str
    name: str
    target: str
    base: str
    topic: str
    arn: str
    token: str = field(default_factory=lambda: secrets.token_hex(64))
    state: str = "pending"


class Topics:
    """The topics of one account.

    Args:
        dispatcher: delivers the messages.
        signer: signs them.
        account: the MessageAttribute by which the service tells its customers apart.
        options: how the service behaves now.
    """

    def __init__(self, dispatcher: Dispatcher, signer: Signer, account: str, options: Callable[[], Options]) -> None:
        self.subscriptions: list[Subscription] = []
        self._dispatcher, self._signer, self._account, self._options = dispatcher, signer, account, options

    def subscribe(self, event: str, name: str, target: str, base: str) -> None:
        """Subscribe a receiver, and ask it to confirm; a target that is confirmed already stays as it is.

        Raises:
            HTTPException: 501, nothing can be signed here.
        """
        if sender.local(target) and not signer.available():
            raise HTTPException(501, signer.MISSING)
        found = next((one for one in self._of(event) if one.target == target), None)
        if found is None:
            topic = TOPICS[event]
            found = Subscription(event, name, target, base, topic, f"{topic}:{uuid.uuid4()}")
            self.subscriptions.append(found)
        if found.state == "pending":
            self._ask(found, signer.CONFIRM, "You asked to subscribe to a topic; visit SubscribeURL to confirm it.")

    def wanted(self, event: str) -> list[Subscription]:
        """Return who gets an event's messages."""
        return [one for one in self._of(event) if one.state == "confirmed"]

    def publish(self, event: str, text: Callable[[Subscription], str]) -> None:
        """Send one message to all who confirmed."""
        first: Message | None = None
        for one in self.wanted(event):
            message = signer.new_message(signer.NOTIFY, one.topic, text(one))
            # One message has one id, whoever gets it.
            first = first or message
            message["MessageId"], message["Timestamp"] = first["MessageId"], first["Timestamp"]
            message["UnsubscribeURL"] = f"{one.base}{PREFIX}?Action=Unsubscribe&SubscriptionArn={quote(one.arn)}"
            message["MessageAttributes"] = {"account": {"Type": "String", "Value": self._account}}
            self._send(one, message)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request below `PREFIX`."""
        request = Request(scope, receive)
        await request.body()
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        name, query = request.url.path.removeprefix(PREFIX), request.query_params
        if name == self._signer.file_name and signer.available():
            await asyncio.sleep(self._options().certificate_seconds)
            pem = await asyncio.to_thread(self._signer.certificate)
            return Response(pem, media_type="binary/octet-stream")
        if name:
            return Response("Not found", 404, media_type="text/plain")
        if query.get("Action") == "ConfirmSubscription":
            return self._confirm(query.get("TopicArn", ""), query.get("Token", ""))
        if query.get("Action") == "Unsubscribe":
            return self._unsubscribe(query.get("SubscriptionArn", ""))
        return _error(400, "InvalidAction", "Action must be ConfirmSubscription or Unsubscribe.")

    def _confirm(self, topic: str, token: str) -> Response:
        found = next(
            (one for one in self.subscriptions if secrets.compare_digest(one.token.encode(), token.encode())), None
        )
        if found is None or found.topic != topic:
            return _error(400, "InvalidParameter", "Invalid parameter: Token or TopicArn")
        found.state = "confirmed"
        return _done("ConfirmSubscription", f"<SubscriptionArn>{escape(found.arn)}</SubscriptionArn>")

    def _unsubscribe(self, arn: str) -> Response:
        found = next((one for one in self.subscriptions if one.arn == arn), None)
        if found is None:
            return _error(404, "NotFound", "Subscription does not exist")
        if found.state == "confirmed":
            found.state, found.token = "ended", secrets.token_hex(64)
            self._ask(found, signer.UNSUBSCRIBED, "The subscription has ended; visit SubscribeURL to have it back.")
        return _done("Unsubscribe")

    def _of(self, event: str) -> list[Subscription]:
        return [one for one in self.subscriptions if one.event == event]

    def _ask(self, one: Subscription, kind: str, text: str) -> None:
        message = signer.new_message(kind, one.topic, text)
        message["Token"] = one.token
        message["SubscribeURL"] = (
            f"{one.base}{PREFIX}?Action=ConfirmSubscription&TopicArn={quote(one.topic)}&Token={one.token}"
        )
        self._send(one, message)

    def _send(self, one: Subscription, message: Message) -> None:
        options = self._options()
        body: bytes | None = None

        async def request() -> OutgoingRequest:
            nonlocal body
            if one.state == "ended" and message["Type"] == signer.NOTIFY:
                raise WithheldError("not sent: the subscription has ended")
            if not sender.local(one.target):  # and perhaps nothing can be signed here
                raise WithheldError(sender.ELSEWHERE)
            if body is None:  # a retry is the same message, to the byte
                certificate = f"{one.base}{PREFIX}{self._signer.file_name}"
                version = options.signature_version
                body = await asyncio.to_thread(signer.sign, message, self._signer, version, certificate)
            return OutgoingRequest(one.target, signer.headers(message, one.arn), body)

        first = options.webhook_retry_seconds
        policy = RetryPolicy(
            SECONDS * options.webhook_patience, RETRIES, first, first * LONGEST_OF_FIRST, frozenset({429})
        )
        event = one.event if message["Type"] == signer.NOTIFY else str(message["Type"])
        delivery = Delivery("ivesk", event, str(message["MessageId"]), one.target, request, policy)
        self._dispatcher.send(one.arn, delivery, options.webhook_senders)


def _done(action: str, result: str = "") -> Response:
    inner = f"<{action}Result>{result}</{action}Result>" if result else ""
    return _xml(
        200, f"{action}Response", f"{inner}<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    )


def _error(status: int, code: str, text: str) -> Response:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
    return _xml(status, "ErrorResponse", f"{error}<RequestId>{uuid.uuid4()}</RequestId>")


def _xml(status: int, name: str, inner: str) -> Response:
    return Response(f'<{name} xmlns="{_XML}">{inner}</{name}>', status, media_type="text/xml")


class DocumentEvents:
    """Tells the topics what happened to documents.

    Args:
        ivesk: whose documents.
        topics: who is told.
    """

    def __init__(self, ivesk: Ivesk, topics: Topics) -> None:
        self._ivesk, self._topics = ivesk, topics

    def digitized(self, numbers: Iterable[int]) -> None:
        """Tell of each document, with all that the queue shows of it."""
        if self._topics.wanted("on_digitized"):
            for number in numbers:
                self._topics.publish("on_digitized", partial(self._document, number))

    def exported(self, numbers: Iterable[int]) -> None:
        """Tell of each company once, whatever number of its documents were exported."""
        for company in dict.fromkeys(self._ivesk.store.company_of[number] for number in numbers):
            self._topics.publish("on_exported", partial(self._company, company))

    def _document(self, number: int, one: Subscription) -> str:
        return self._ivesk.renderer.join("digitized", (number,), one.base.encode(), self._ivesk.signer()).decode()

    def _company(self, place: int, _: Subscription) -> str:
        return msgspec.json.encode({"companyCode": self._ivesk.store.parties.companies[place].code}).decode()
