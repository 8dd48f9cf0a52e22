"""The routes of the receiver: verify, then store, then answer; acting is somebody else's."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ap_connectors.core.errors import Outage
from ap_connectors.webhooks import deliveries, sns
from ap_connectors.webhooks.batch_writer import BatchWriter
from ap_connectors.webhooks.errors import Refused, unavailable
from ap_connectors.webhooks.inbox import Delivery, Inbox, Stored
from ap_connectors.webhooks.metrics import CONTENT_TYPE, Metrics
from ap_connectors.webhooks.request_bodies import Intake, InvoiceForm, linger
from ap_connectors.webhooks.settings import Receiving
from ap_connectors.webhooks.sns import Certificates, Topics

_LOG = logging.getLogger("ap_connectors.webhooks.receiver")
_HEALTH_SECONDS = 1.0


def create_app(
    receiving: Receiving,
    inbox: Inbox,
    stored: Callable[[Sequence[int]], None],
    registry: CollectorRegistry | None = None,
) -> Starlette:
    """Make the application.

    Args:
        receiving: its settings.
        inbox: where deliveries go.
        stored: called after each commit with the ids of what is new, in a thread of its own.
        registry: what `/metrics` shows beside the receiver's own figures.
    """
    return Receiver(receiving, inbox, stored, registry).app


class Receiver:
    """Everything that one application shares between its requests."""

    def __init__(
        self,
        receiving: Receiving,
        inbox: Inbox,
        stored: Callable[[Sequence[int]], None],
        registry: CollectorRegistry | None,
    ) -> None:
        self._receiving = receiving
        self._inbox = inbox
        self._metrics = Metrics(registry)
        self._writer = BatchWriter(inbox, stored, self._metrics)
        self._intake = Intake(receiving.body_seconds, receiving.max_waiting_mb)
        self._hosts = sns.Hosts(receiving.test_hosts)
        self._certificates = Certificates(self._hosts)
        self._topics = Topics(inbox, receiving.ivesk_topics)
        self._healthy_until = 0.0
        self._health = asyncio.Lock()
        self._metrics.held.set_function(lambda: self._intake.held)
        routes = [
            Route(f"/vicai/{route.name}", self._answering("vicai", route.name, self._vicai(route)), methods=["POST"])
            for route in deliveries.ROUTES
        ]
        routes.append(Route("/ivesk", self._answering("ivesk", "ivesk", self._ivesk), methods=["POST"]))
        routes.append(Route("/healthz", self._healthz, methods=["GET"]))
        routes.append(Route("/metrics", self._show_metrics, methods=["GET"]))
        self.app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _no_such})
        # A redirect would repeat the secret, and neither service follows one.
        self.app.router.redirect_slashes = False

    def replace_settings(self, receiving: Receiving) -> None:
        """Accept other tokens and secrets from now on."""
        self._receiving = receiving

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._writer.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._writer.stop)

    def _answering(
        self, service: str, route: str, take: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap what takes a delivery: refusals become answers, and every one of them a line of the log."""

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            try:
                response = await take(request)
            except Refused as refused:
                self._metrics.deliveries.labels(service, route, refused.outcome).inc()
                _LOG.warning(
                    "%s %s: %d %s: %s %s", service, route, refused.status, refused.outcome, refused, refused.detail
                )
                response = await _refusal(request, refused)
            except Exception:
                self._metrics.deliveries.labels(service, route, "failed").inc()
                _LOG.exception("%s %s: 500 failed; nothing is stored", service, route)
                response = _json(500, _error(500, "The receiver failed."))
            self._metrics.seconds.labels(service).observe(time.perf_counter() - began)
            return response

        return answer

    def _vicai(self, route: deliveries.Route) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(self._take_vicai, route)

    async def _take_vicai(self, route: deliveries.Route, request: Request) -> Response:
        if not self._receiving.vicai_tokens:
            raise unavailable("Vic.ai is not set up here.", detail="Set vicai_token, or subscribe.", retry_after=60)
        headers = request.headers
        deliveries.check_bearer(
            [value for name, value in headers.raw if name == b"authorization"], self._receiving.vicai_tokens
        )
        request_id = headers.get("x-request-id", "").strip() or None
        limit = self._receiving.max_body_mb if route.multipart else self._receiving.max_event_mb
        with self._intake.hold() as hold:
            if route.multipart:
                self._intake.check(request, limit)
                form = InvoiceForm(headers.get("content-type", "").encode("latin-1"))
                await hold.read(request, limit, form.write)
                if form.strangers:
                    _LOG.warning("vicai %s: parts that are not known are left out: %r", route.name, form.strangers)
                found = deliveries.from_form(route, form.finish(), request_id)
            else:
                body = bytearray()
                await hold.read(request, limit, body.extend)
                found = deliveries.from_json(route, bytes(body), request_id)
            await self._store(found, route.name)
        return _json(route.status, route.answer)

    async def _ivesk(self, request: Request) -> Response:
        if not self._receiving.ivesk_secrets:
            raise unavailable("Įvesk is not set up here.", detail="Set ivesk_secret, or subscribe.", retry_after=60)
        deliveries.check_secret(request.scope["query_string"], self._receiving.ivesk_secrets)
        body = bytearray()
        with self._intake.hold() as hold:
            await hold.read(request, self._receiving.max_event_mb, body.extend)
            message = sns.read(bytes(body))
            if self._topics.known(message.topic_arn) and self._certificates.known(message.signing_cert_url):
                self._verify(message)
            else:
                await asyncio.to_thread(self._verify, message)
            if message.type == sns.NOTIFICATION:
                await self._store(deliveries.from_sns(message), "ivesk")
            elif message.type == sns.CONFIRMATION:
                await asyncio.to_thread(self._confirm, message)
            else:
                self._metrics.deliveries.labels("ivesk", "ivesk", "unsubscribed").inc()
                _LOG.error(
                    "ivesk: SNS ended the subscription to %s; nothing comes until you subscribe.", message.topic_arn
                )
        return _json(200, b"{}")

    def _verify(self, message: sns.Message) -> None:
        """All that can be checked without a call comes before the certificate is asked for."""
        try:
            self._topics.check(message)
        except Outage as error:
            raise unavailable("The inbox cannot be read now.", detail=str(error)) from None
        deliveries.check_age(message.timestamp, self._receiving.max_age, self._receiving.max_skew)
        if message.type == sns.CONFIRMATION:
            self._hosts.confirmation(message)
        sns.verify(message, self._certificates.key)

    def _confirm(self, message: sns.Message) -> None:
        # Pinned first: killed in between, we are asked again; the other way round we would know nothing of a
        # subscription that sends.
        try:
            self._topics.pin(message.topic_arn)
            self._certificates.confirm(self._hosts.confirmation(message))
            self._topics.pin(message.topic_arn, confirmed=True)
        except Outage as error:
            raise unavailable("The inbox cannot be written now.", detail=str(error)) from None
        self._metrics.deliveries.labels("ivesk", "ivesk", "confirmed").inc()
        _LOG.info("ivesk: the subscription to %s is confirmed", message.topic_arn)

    async def _store(self, found: Delivery, route: str) -> Stored:
        try:
            # Shielded, for it is stored even if nobody waits for it any more; the next try is then a duplicate.
            waiting = asyncio.ensure_future(self._writer.store(found))
            stored = await asyncio.wait_for(asyncio.shield(waiting), self._receiving.commit_seconds)
        except asyncio.TimeoutError:
            waiting.add_done_callback(lambda done: done.exception())
            raise unavailable("The inbox is too slow now.", detail="Is its disk, or another writer, busy?") from None
        except Outage as error:
            raise unavailable("The inbox cannot be written now.", detail=str(error)) from None
        outcome = "stored" if stored.new else "duplicate"
        self._metrics.deliveries.labels(found.service, route, outcome).inc()
        _LOG.info("%s %s: %s as %d", found.service, " ".join(found.kind.split())[:80], outcome, stored.id)
        return stored

    async def _healthz(self, _request: Request) -> Response:
        async with self._health:
            if time.monotonic() >= self._healthy_until:
                try:
                    await asyncio.to_thread(self._try_to_write)
                except Outage as error:
                    _LOG.warning("healthz: %s", error)
                    return _json(503, _error(503, "The inbox cannot be written now."))
                self._healthy_until = time.monotonic() + _HEALTH_SECONDS
        return _json(200, b'{"status":"ok"}')

    def _try_to_write(self) -> None:
        if not self._writer.works:
            raise Outage("The thread that writes the inbox has ended; restart the receiver.")
        self._inbox.beat()

    async def _show_metrics(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)


async def _refusal(request: Request, refused: Refused) -> Response:
    response = _json(refused.status, _error(refused.status, str(refused)))
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refused.outcome in {"oversized", "slow", "unauthorized"}:
        response.headers["Connection"] = "close"
    await linger(request)
    return response


async def _no_such(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    response = _json(error.status_code, _error(error.status_code, error.detail))
    response.headers.update(error.headers or {})
    return response


def _error(code: int, message: str) -> bytes:
    """An error in the form that Vic's contract asks for."""
    return msgspec.json.encode({"code": code, "message": message})


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")
