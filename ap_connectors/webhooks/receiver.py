"""The receiver's routes: verify a delivery, store it, then answer; the runner acts on it later."""

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
from ap_connectors.webhooks.certificates import Certificates
from ap_connectors.webhooks.errors import Refused, unavailable
from ap_connectors.webhooks.inbox import Delivery, Inbox, Stored
from ap_connectors.webhooks.metrics import CONTENT_TYPE, Metrics
from ap_connectors.webhooks.request_bodies import InvoiceForm, Memory, RequestBody, drain
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.sns import AllowedTopics

_LOG = logging.getLogger("ap_connectors.webhooks.receiver")
_HEALTH_SECONDS = 1.0
_NO_INBOX = "The inbox is not available."


def create_app(
    settings: Settings,
    inbox: Inbox,
    stored: Callable[[Sequence[int]], None],
    registry: CollectorRegistry | None = None,
) -> Starlette:
    """Create the application.

    Args:
        settings: all of them.
        inbox: where deliveries are stored.
        stored: called after each commit with the ids of new events, in a thread of its own.
        registry: metrics that `/metrics` shows beside the receiver's own.
    """
    return Receiver(settings, inbox, stored, registry).app


class Receiver:
    """The state that the requests of one application share."""

    def __init__(
        self,
        settings: Settings,
        inbox: Inbox,
        stored: Callable[[Sequence[int]], None],
        registry: CollectorRegistry | None,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._metrics = Metrics(registry)
        self._writer = BatchWriter(inbox, stored, self._metrics)
        self._memory = Memory(settings.max_waiting_mb)
        self._hosts = sns.Hosts(settings.ivesk_test_hosts)
        self._certificates = Certificates(self._hosts)
        self._topics = AllowedTopics(inbox, settings.ivesk_topics)
        self._healthy_until = 0.0
        self._health = asyncio.Lock()
        self._metrics.held.set_function(lambda: self._memory.held)
        routes = [
            Route(f"/vicai/{route.name}", self._handler("vicai", route.name, self._vicai(route)), methods=["POST"])
            for route in deliveries.ROUTES
        ]
        routes.append(Route("/ivesk", self._handler("ivesk", "ivesk", self._ivesk), methods=["POST"]))
        routes.append(Route("/healthz", self._healthz, methods=["GET"]))
        routes.append(Route("/metrics", self._show_metrics, methods=["GET"]))
        self.app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _http_error})
        # A redirect would repeat the secret in an address, and neither service follows one.
        self.app.router.redirect_slashes = False

    def replace_settings(self, settings: Settings) -> None:
        """Accept other tokens and secrets from now on."""
        self._settings = settings

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._writer.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._writer.stop)

    def _handler(
        self, service: str, route: str, take: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a delivery: turn its errors into answers and lines of the log."""

        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            try:
                response = await take(request)
            except (Refused, Outage) as error:
                response = await self._refuse(request, service, route, error)
            except Exception:
                self._metrics.deliveries.labels(service, route, "failed").inc()
                _LOG.exception("%s %s: 500 failed: unexpected error, nothing is stored", service, route)
                response = _json(500, _error(500, "The receiver failed."))
            self._metrics.seconds.labels(service).observe(time.perf_counter() - began)
            return response

        return answer

    async def _refuse(self, request: Request, service: str, route: str, error: Refused | Outage) -> Response:
        refused = unavailable(_NO_INBOX, detail=str(error)) if isinstance(error, Outage) else error
        self._metrics.deliveries.labels(service, route, refused.outcome).inc()
        _LOG.warning("%s %s: %d %s: %s %s", service, route, refused.status, refused.outcome, refused, refused.detail)
        response = _json(refused.status, _error(refused.status, str(refused)))
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(refused.retry_after)
        if refused.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if refused.outcome in {"oversized", "slow", "unauthorized"}:
            response.headers["Connection"] = "close"
        await drain(request)
        return response

    def _vicai(self, route: deliveries.Route) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(self._take_vicai, route)

    async def _take_vicai(self, route: deliveries.Route, request: Request) -> Response:
        if not self._settings.vicai_token:
            raise unavailable(
                "Vic.ai is not set up here.",
                detail="Set vicai_token, or run `ap-webhooks subscribe vicai`.",
                retry_after=60,
            )
        headers = request.headers
        deliveries.check_bearer(
            [value for name, value in headers.raw if name == b"authorization"], self._settings.vicai_token
        )
        request_id = headers.get("x-request-id", "").strip() or None
        limit = self._settings.max_body_mb if route.multipart else self._settings.max_event_mb
        with self._body(request, limit) as body:
            if route.multipart:
                form = InvoiceForm(headers.get("content-type", "").encode("latin-1"))
                await body.feed(form.write)
                if form.unknown_parts:
                    _LOG.warning("vicai %s: unknown parts of the form are left out: %r", route.name, form.unknown_parts)
                found = deliveries.from_form(route, form.finish(), request_id)
            else:
                found = deliveries.from_json(route, await body.read(), request_id)
            await self._store(found, route.name)
        return _json(route.status, route.answer)

    async def _ivesk(self, request: Request) -> Response:
        if not self._settings.ivesk_secret:
            raise unavailable(
                "Įvesk is not set up here.",
                detail="Set ivesk_secret, or run `ap-webhooks subscribe ivesk`.",
                retry_after=60,
            )
        deliveries.check_secret(request.scope["query_string"], self._settings.ivesk_secret)
        with self._body(request, self._settings.max_event_mb) as body:
            message = sns.read(await body.read())
            await self._verify(message)
            if message.type == sns.NOTIFICATION:
                await self._store(deliveries.from_sns(message), "ivesk")
            elif message.type == sns.CONFIRMATION:
                await self._confirm(message)
            else:
                self._metrics.deliveries.labels("ivesk", "ivesk", "unsubscribed").inc()
                _LOG.error(
                    "ivesk: SNS ended the subscription to %s; run `ap-webhooks subscribe ivesk` again.",
                    message.topic_arn,
                )
        return _json(200, b"{}")

    def _body(self, request: Request, limit_mb: float) -> RequestBody:
        return RequestBody(request, self._memory, limit_mb=limit_mb, seconds=self._settings.body_seconds)

    async def _verify(self, message: sns.Message) -> None:
        """Check what needs no request first; the certificate of the signature may have to be fetched."""
        if not self._topics.known(message.topic_arn):
            await asyncio.to_thread(self._topics.check, message)
        deliveries.check_age(message.timestamp, self._settings.max_age, self._settings.max_skew)
        sns.check_version(message)
        if message.type == sns.CONFIRMATION:
            self._hosts.confirmation(message)
        sns.verify(message, await self._certificates.key(message))

    async def _confirm(self, message: sns.Message) -> None:
        # Allowed first: after a crash in between, SNS asks again. The other way round, a subscription would send
        # messages of a topic that is not allowed.
        await asyncio.to_thread(self._topics.allow, message.topic_arn)
        await self._certificates.confirm(message)
        await asyncio.to_thread(functools.partial(self._topics.allow, message.topic_arn, confirmed=True))
        self._metrics.deliveries.labels("ivesk", "ivesk", "confirmed").inc()
        _LOG.info("ivesk: the subscription to %s is confirmed", message.topic_arn)

    async def _store(self, found: Delivery, route: str) -> Stored:
        try:
            # Shielded: it is stored even if this request gives up; the sender's next try is then a duplicate.
            waiting = asyncio.ensure_future(self._writer.store(found))
            stored = await asyncio.wait_for(asyncio.shield(waiting), self._settings.commit_seconds)
        except asyncio.TimeoutError:
            waiting.add_done_callback(lambda done: done.exception())
            raise unavailable("The inbox is too slow.", detail="Is its disk, or another writer, busy?") from None
        outcome = "stored" if stored.new else "duplicate"
        self._metrics.deliveries.labels(found.service, route, outcome).inc()
        _LOG.info("%s %s: %s as %d", found.service, " ".join(found.kind.split())[:80], outcome, stored.id)
        return stored

    async def _healthz(self, _request: Request) -> Response:
        async with self._health:
            if time.monotonic() >= self._healthy_until:
                try:
                    await asyncio.to_thread(self._check_writable)
                except Outage as error:
                    _LOG.warning("healthz: %s", error)
                    return _json(503, _error(503, _NO_INBOX))
                self._healthy_until = time.monotonic() + _HEALTH_SECONDS
        return _json(200, b'{"status":"ok"}')

    def _check_writable(self) -> None:
        if not self._writer.is_alive:
            raise Outage("The thread that writes to the inbox has ended; restart the receiver.")
        self._inbox.check_writable()

    async def _show_metrics(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    response = _json(error.status_code, _error(error.status_code, error.detail))
    response.headers.update(error.headers or {})
    return response


def _error(code: int, message: str) -> bytes:
    """Return an error in the form that Vic.ai's contract demands."""
    return msgspec.json.encode({"code": code, "message": message})


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")
