"""Faults on order: what networks, proxies and object storage do on bad days. Knows nothing of any service."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ap_connectors.sandbox.answers import HTML, xml_error

FaultType = Literal[
    "status", "reset", "truncate", "slow", "drip", "lost", "html", "html_status", "expired", "storage", "large"
]


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order for faults.

    `path` is a prefix; the fault hits `times` calls that match, the first `after` left alone, or, with a `rate` from 0
    to 1, calls chosen at random by `seed`. `retry_after` is written as the header of that name; `seconds` is for `slow`
    (before the answer) and `drip` (in the middle of its body). `code` and `status` are those of an error of object
    storage. `large` answers with `megabytes` of blanks, which fit into a thousandth of that.
    """

    kind: FaultType
    path: str = ""
    method: str | None = None
    times: int = 1
    after: int = 0
    rate: float | None = None
    seed: int = 1
    retry_after: str | int | float | None = None
    seconds: float = 1.0
    status: int | None = None
    code: str = "SlowDown"
    megabytes: int = 101


@dataclass
class Fault:
    """An order at work: how many calls it may still hit (`left`), how many it has yet to skip, how many it hit."""

    n: int
    order: FaultOrder
    left: int | None
    skip: int
    hits: int = 0
    random: Random = field(default_factory=Random, repr=False)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether the fault hits this call; count it."""
        order = self.order
        if self.left == 0 or not path.startswith(order.path) or (order.method or method).upper() != method:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if order.rate is not None and self.random.random() >= order.rate:
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True

    def shown(self) -> dict[str, Any]:
        """Return the order and how far it has come."""
        return {
            **msgspec.structs.asdict(self.order),
            "n": self.n,
            "left": self.left,
            "skip": self.skip,
            "hits": self.hits,
        }


@dataclass
class Faults:
    """The faults that are on order; of several that match, the earliest hits."""

    orders: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, order: FaultOrder) -> Fault:
        """Order a fault."""
        self.count += 1
        left = None if order.rate is not None else order.times
        fault = Fault(self.count, order, left, order.after, random=Random(order.seed))  # noqa: S311
        self.orders.append(fault)
        return fault

    def matching(self, method: str, path: str) -> FaultOrder | None:
        """Return the order that hits this call, if any."""
        return next((fault.order for fault in self.orders if fault.matches(method, path)), None)

    def clear(self) -> None:
        """Cancel all orders."""
        self.orders.clear()


async def inject(
    order: FaultOrder, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, coded: bool = False
) -> None:
    """Answer a call with a fault; the JSON of a `coded` one has its status, too."""
    if order.kind == "slow":
        await asyncio.sleep(order.seconds)
        await app(scope, receive, send)
    elif order.kind == "lost":
        await _collected(app, scope, receive)
        await _abort(send, receive)
    elif order.kind == "reset":
        await _abort(send, receive)
    elif order.kind in ("truncate", "drip"):
        start, body = await _collected(app, scope, receive)
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if order.kind == "truncate":
            await _hang_up(send, receive)
        else:
            await asyncio.sleep(order.seconds)
            await send({"type": "http.response.body", "body": body[len(body) // 2 :]})
    else:
        await _read(receive)
        await _answer(order, coded)(scope, receive, send)


def _answer(order: FaultOrder, coded: bool) -> Response:
    headers = {} if order.retry_after is None else {"Retry-After": str(order.retry_after)}
    if order.kind == "expired":
        return xml_error(order.status or 403, "AccessDenied", "Request has expired")
    if order.kind == "storage":
        return xml_error(order.status or 503, order.code, f"The sandbox was told to answer {order.code}.", headers)
    if order.kind == "large":
        packed = _packed(order.megabytes)
        return Response(packed, order.status or 200, {"Content-Encoding": "gzip"}, "application/json")
    if order.kind == "html":
        return Response(HTML, order.status or 200, headers, "text/html")
    if order.kind == "html_status":
        return Response(HTML, order.status or 502, headers, "text/html")
    status = order.status or 500
    words = {429: "Too many requests.", 503: "Service unavailable."}
    message = words.get(status, f"The sandbox was told to answer {status}.")
    return JSONResponse({"code": status, "message": message} if coded else {"message": message}, status, headers)


def _packed(megabytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(megabytes)) + packer.flush()


async def _collected(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """Run the app and keep its answer: the start message and the whole body."""
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return start, bytes(body)


async def _read(receive: Receive) -> None:
    """Read the request's body to its end, so that the connection stays usable."""
    while (await receive()).get("more_body"):
        pass


# ASGI cannot close a connection, so these two reach for uvicorn's transport: `send` is a bound method of its request
# cycle. Waiting for the disconnect lets uvicorn see that the client has gone.


def _transport(send: Send) -> asyncio.Transport:
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    return transport


async def _abort(send: Send, receive: Receive) -> None:
    """Close the connection at once; lingering for 0 seconds makes it a TCP reset."""
    transport = _transport(send)
    if (connection := transport.get_extra_info("socket")) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _disconnected(receive)


async def _hang_up(send: Send, receive: Receive) -> None:
    """Close the connection after what was already sent."""
    _transport(send).close()
    await _disconnected(receive)


async def _disconnected(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
