"""The control API under `/_control`: how tests and the demo look inside, and make things happen.

A call is about one company: the one that its parameter `company` or its header `X-Sandbox-Company` names, or the first.

Here is what all control calls share, and those that belong to neither service; the services' own are in `ivesk.control`
and `vicai.control`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ap_connectors.sandbox.faults import FaultOrder
from ap_connectors.sandbox.ivesk.parties import companies_of
from ap_connectors.sandbox.options import AnyOptions
from ap_connectors.sandbox.webhooks import sender

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Tenant, Tenants

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]
Handlers = Mapping[str, Mapping[str, Handler]]
"""Control calls by path and verb."""

MOST_NEW = 1_000_000
_MOST_SECONDS = 60.0
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def answer(value: Any) -> Response:
    """Answer with JSON; decimals are exact."""
    return Response(_ENCODER.encode(value), media_type="application/json")


async def read_body(request: Request, form: type[T]) -> T:
    """Read a JSON body, decimals exact; an empty body is an empty object."""
    try:
        return msgspec.json.Decoder(form, float_hook=Decimal).decode(await request.body() or b"{}")
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


@dataclass(frozen=True)
class Ordered(Generic[T]):
    """A control call with a JSON body, which its handler gets as `form`."""

    form: type[T]
    handler: Callable[[T], Awaitable[Response]]

    async def __call__(self, request: Request) -> Response:
        """Answer a call."""
        return await self.handler(await read_body(request, self.form))


def change_options(options: AnyOptions, patch: Mapping[str, Any]) -> AnyOptions:
    """Return options with some replaced."""
    # Decimals are for records; an option is a plain float.
    plain = {name: float(value) if isinstance(value, Decimal) else value for name, value in patch.items()}
    try:
        return options.changed(plain)
    except msgspec.ValidationError as error:
        raise HTTPException(400, str(error)) from None


class ControlCalls:
    """Control calls of one company under a title; `handlers` has them by path and verb."""

    title: ClassVar[str]
    handlers: Handlers

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant


Part = Callable[["Tenant"], ControlCalls]


class AllCalls(ControlCalls):
    """The control calls that are about all companies."""

    title = "All companies"

    def __init__(self, tenants: Tenants) -> None:
        super().__init__(tenants.first)
        self._tenants = tenants
        self.handlers = {"/companies": {"GET": self.companies}}

    async def companies(self, _: Request) -> Response:
        """Tell each: id, name, credentials, the codes of its companies at Įvesk, and whether its data is made."""
        return answer([_shown(tenant) for tenant in self._tenants])


def routes(tenants: Tenants, parts: Iterable[Part]) -> list[Route]:
    """Return the routes of control calls; each of `parts` is made for the company that a call names."""

    def route(part: Part, path: str, verbs: Iterable[str]) -> Route:
        async def handle(request: Request) -> Response:
            if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                raise HTTPException(403, "A page of another site cannot control the sandbox.")
            return await part(tenants.named(request)).handlers[path][request.method](request)

        return Route(path, handle, methods=list(verbs))

    return [route(part, path, verbs) for part in parts for path, verbs in part(tenants.first).handlers.items()]


def _shown(tenant: Tenant) -> dict[str, Any]:
    options = tenant.services.vicai.store.options if tenant.seeded else tenant.current.vicai
    return {
        "id": tenant.id,
        "name": options.company,
        "client_id": tenant.setup.client_id,
        "client_secret": tenant.setup.client_secret,
        "api_key": tenant.setup.api_key,
        "codes": [party.code for party in companies_of(tenant.current.seed, tenant.current.number)],
        "seeded": tenant.seeded,
    }


class SharedCalls(ControlCalls):
    """The control calls that belong to neither service: the log of calls, faults, reset, webhooks."""

    title = "The company"

    def __init__(self, tenant: Tenant) -> None:
        super().__init__(tenant)
        self.handlers = {
            "/calls": {"GET": self.calls, "DELETE": self.clear_calls},
            "/faults": {"GET": self.faults, "POST": Ordered(FaultOrder, self.add_fault), "DELETE": self.clear_faults},
            "/reset": {"POST": Ordered(dict[str, Any], self.reset)},
            "/webhooks": {"GET": self.attempts},
            "/webhooks/subscriptions": {"GET": self.subscriptions},
        }

    async def calls(self, _: Request) -> Response:
        """Tell the latest calls of the services."""
        return answer([asdict(call) for call in self._tenant.calls.latest])

    async def clear_calls(self, _: Request) -> Response:
        """Forget all calls."""
        self._tenant.calls.clear()
        return answer({})

    async def faults(self, _: Request) -> Response:
        """Tell the faults on order."""
        return answer([fault.shown() for fault in self._tenant.faults.orders])

    async def add_fault(self, order: FaultOrder) -> Response:
        """Order a fault."""
        if not order.path:
            order.path = "/storage" if order.kind == "expired" else "/ivesk/api/pub"
        if order.rate is not None and not 0 <= order.rate <= 1:
            raise HTTPException(400, "rate must be from 0 to 1.")
        return answer(self._tenant.faults.add(order).shown())

    async def clear_faults(self, _: Request) -> Response:
        """Cancel all faults."""
        self._tenant.faults.clear()
        return answer({})

    async def reset(self, wanted: dict[str, Any]) -> Response:
        """Start afresh, with `documents`, `invoices`, `seed`, options of Įvesk and, in `vicai`, of Vic.ai replaced."""
        setup = self._tenant.setup
        counts = {name: wanted.pop(name, getattr(setup, name)) for name in ("documents", "invoices")}
        seed = wanted.pop("seed", setup.seed)
        whole = all(isinstance(number, int) for number in (seed, *counts.values()))
        if not whole or not all(0 <= count <= MOST_NEW for count in counts.values()):
            raise HTTPException(400, f"documents and invoices must be from 0 to {MOST_NEW}, seed a whole number.")
        if not isinstance(vicai := wanted.pop("vicai", {}), dict):
            raise HTTPException(400, "vicai must be an object of options.")
        options, others = change_options(setup.options, wanted), change_options(setup.vicai, vicai)
        self._tenant.reset(replace(setup, seed=seed, options=options, vicai=others, **counts))
        return answer({})

    async def attempts(self, request: Request) -> Response:
        """Tell the latest attempts and how many deliveries wait; with `?wait=` seconds, first wait until none does."""
        dispatcher = self._tenant.dispatcher
        try:
            seconds = min(_MOST_SECONDS, float(request.query_params.get("wait", "0")))
        except ValueError:
            raise HTTPException(400, "wait must be a number of seconds.") from None
        if seconds > 0:
            await dispatcher.idle(seconds)
        return answer({"waiting": dispatcher.waiting, "attempts": [asdict(one) for one in dispatcher.latest]})

    async def subscriptions(self, _: Request) -> Response:
        """Tell who is subscribed to Įvesk's events: pending, confirmed or ended."""
        names = ("event", "name", "arn", "state")
        return answer(
            [
                {name: getattr(one, name) for name in names} | {"target": sender.shown(one.target)}
                for one in self._tenant.services.topics.subscriptions
            ]
        )
