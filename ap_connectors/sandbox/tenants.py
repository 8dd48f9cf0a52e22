"""The companies of one sandbox: each with credentials, data, faults and webhooks of its own; which one a call is for.

The credentials tell that, as at the real services.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from ap_connectors.sandbox import clock, naming
from ap_connectors.sandbox.answers import OWNER, LinkKey
from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.faults import Faults
from ap_connectors.sandbox.ivesk.documents import MOST_BYTES
from ap_connectors.sandbox.ivesk.service import PREFIX as IVESK
from ap_connectors.sandbox.ivesk.service import Ivesk
from ap_connectors.sandbox.ivesk.store import Store
from ap_connectors.sandbox.options import Options, VicaiOptions
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import PREFIX_V2 as VICAI_V2
from ap_connectors.sandbox.vicai.service import TOKEN, Vicai
from ap_connectors.sandbox.vicai.store import Store as VicaiStore
from ap_connectors.sandbox.vicai.tokens import client_of
from ap_connectors.sandbox.webhooks.callbacks import Callbacks
from ap_connectors.sandbox.webhooks.dispatcher import Dispatcher
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.sandbox.webhooks.sns import PREFIX as SNS
from ap_connectors.sandbox.webhooks.sns import DocumentEvents, Topics

_MOST_CALLS, _LEAST_CALLS = 20_000, 1_000
"""How many calls are kept in all; and of each of many companies at least."""
_SEEDS_APART = 1_000
"""From one company's seed to the next: seeds that people choose are small, so that no two companies share one."""


@dataclass(slots=True)
class LoggedCall:
    """One call.

    `key` says whether `x-api-key` or the access token was `ok`, `wrong`, `expired` or `none`, and never what it was;
    `request_id` is the X-Request-Id that the caller gave.
    """

    n: int
    at: str
    method: str
    path: str
    query: str
    key: str
    status: int | None = None
    fault: str | None = None
    request_id: str | None = None


class _CallLog:
    """The latest calls, `most` of them, and how many there were in all."""

    def __init__(self, most: int = _MOST_CALLS) -> None:
        self.latest: deque[LoggedCall] = deque(maxlen=most)
        self.count = 0

    def begin(self, method: str, path: str, query: str, key: str) -> LoggedCall:
        """Log a call; its status follows when it is answered."""
        self.count += 1
        call = LoggedCall(self.count, clock.iso(int(clock.now() * 1000)), method, path, query, key)
        self.latest.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls."""
        self.latest.clear()
        self.count = 0


@dataclass(frozen=True)
class Setup:
    """What a company starts with."""

    documents: int = 400
    seed: int = 1
    api_key: str = "sandbox-key"
    options: Options = field(default_factory=Options)
    invoices: int = 400
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - nothing secret is behind it
    vicai: VicaiOptions = field(default_factory=VicaiOptions)
    number: int = 1

    def of_company(self, number: int) -> Setup:
        """Return the setup of a company, counted from 1: its own seed, credentials and name."""
        name = naming.company_name(self.vicai.company, number)
        return replace(
            self,
            number=number,
            seed=self.seed + _SEEDS_APART * (number - 1),
            api_key=naming.credential(self.api_key, number),
            client_id=naming.credential(self.client_id, number),
            client_secret=naming.credential(self.client_secret, number),
            vicai=self.vicai.changed({"company": name}),
        )


class Tenant:
    """The state of both services for one company, and its own log of calls, faults and webhooks.

    Args:
        id: As `naming` makes it.
        setup: What it starts with.
        signer: Signs Įvesk's webhooks; receivers may keep its certificate over a reset.
        owner: The name in its links to object storage; empty = links without a name.
        count: Among how many companies what is kept for a while is shared out.
    """

    def __init__(self, id: str, setup: Setup, signer: Signer, owner: str = "", count: int = 1) -> None:
        self.id, self.setup, self._signer, self._owner, self._count = id, setup, signer, owner, count
        self.current = setup
        self.calls = _CallLog(max(_LEAST_CALLS, _MOST_CALLS // count))
        self.faults = Faults()
        self.dispatcher = Dispatcher()
        self._services: Services | None = None

    @property
    def services(self) -> Services:
        """The services with the company's data, which is made when it is first asked for."""
        if self._services is None:
            links = self._link_key("sandbox"), self._link_key("vicai")
            self._services = Services(self.current, self.dispatcher, self._signer, links, MOST_BYTES // self._count)
        return self._services

    @property
    def seeded(self) -> bool:
        """Whether the company's data is made."""
        return self._services is not None

    def reset(self, setup: Setup) -> None:
        """Start afresh, as if the command had been started with this setup."""
        self.calls.clear()
        self.faults.clear()
        self.dispatcher.clear()
        self.current, self._services = setup, None
        # Whoever resets a company is about to use it: its first call need not wait.
        self.services  # noqa: B018

    def key_state(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        """Tell whether a call's key or access token is `ok`, `wrong`, `expired` (a token) or absent (`none`)."""
        if path.startswith((VICAI, VICAI_V2, VICAI_STORAGE)):
            return self.services.vicai.tokens.state(headers.get(b"authorization", b"").decode("latin-1"))
        if (key := headers.get(b"x-api-key")) is None:
            return "none"
        return "ok" if hmac.compare_digest(key, self.setup.api_key.encode()) else "wrong"

    def _link_key(self, storage: str) -> LinkKey:
        # With the owner in it: two companies that were reset to the same seed still cannot open each other's links.
        return LinkKey(f"{storage} storage {self.current.seed} {self._owner}".encode(), self._owner)


class Services:
    """The services of one company and the webhooks that they send, made as a setup says.

    Args:
        setup: Credentials, data and behaviour.
        dispatcher: Delivers webhooks.
        signer: Signs those of Įvesk.
        links: What signs links to the object storage of Įvesk, and of Vic.ai.
        most_bytes: How much of rendered documents is kept.
    """

    def __init__(
        self, setup: Setup, dispatcher: Dispatcher, signer: Signer, links: tuple[LinkKey, LinkKey], most_bytes: int
    ) -> None:
        account = uuid_like(setup.seed, "webhook account")
        self.topics = Topics(dispatcher, signer, account, lambda: self.ivesk.store.options)
        documents = Store.seeded(setup.seed, setup.documents, setup.options, setup.number)
        self.ivesk = Ivesk(documents, setup.api_key, self.topics, links[0], most_bytes)
        self.document_events = DocumentEvents(self.ivesk, self.topics)
        store = VicaiStore.seeded(setup.seed, setup.invoices, setup.vicai)
        self.vicai = Vicai(store, setup.client_id, setup.client_secret, links[1])
        self.callbacks = Callbacks(store, dispatcher)


class _Credentials(msgspec.Struct):
    client_id: str


class Tenants:
    """The companies, counted from 1; each makes its data at the first call that is for it.

    Where there are several, calls with the credentials of none go to a further one, `unknown`, which is empty: they are
    refused, logged and throttled there, and touch no company. A company alone gets all calls, and is made at once.
    """

    def __init__(self, setup: Setup, count: int = 1) -> None:
        signer = Signer()
        numbered = [(naming.company_id(number), setup.of_company(number)) for number in range(1, count + 1)]
        self.all = {
            id_: Tenant(id_, own, signer, id_ if place else "", count) for place, (id_, own) in enumerate(numbered)
        }
        self.first = next(iter(self.all.values()))
        self.unknown = self.first
        self._by_key = {tenant.setup.api_key: tenant for tenant in self}
        self._by_client = {tenant.setup.client_id: tenant for tenant in self}
        if count == 1:
            self.first.services  # noqa: B018 - made here
        else:
            own = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(16)
            nothing = replace(setup, documents=0, invoices=0, api_key=own[0], client_id=own[1], client_secret=own[2])
            self.unknown = Tenant(naming.UNKNOWN, nothing, signer, naming.UNKNOWN, count)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(self.all.values())

    def __len__(self) -> int:
        return len(self.all)

    def named(self, request: Request) -> Tenant:
        """Return the company that a control call or a page names; the first if it names none.

        Raises:
            HTTPException: 404, there is no such company.
        """
        id_ = request.query_params.get(naming.PARAMETER) or request.headers.get(naming.HEADER) or self.first.id
        if id_ == self.unknown.id:
            return self.unknown
        if (found := self.all.get(id_)) is None:
            ids = " to ".join(dict.fromkeys((self.first.id, naming.company_id(len(self)))))
            raise HTTPException(404, f"There is no company {id_[:40]!r}; GET /_control/companies lists them: {ids}.")
        return found

    async def of_call(self, scope: Scope, receive: Receive) -> tuple[Tenant, Receive]:
        """Return the company that a call to a service is for, and what receives its body."""
        if len(self) == 1:
            return self.first, receive
        path, found = scope["path"], None
        if path.startswith(IVESK):
            found = self._by_key.get(_header(scope, b"x-api-key"))
        elif path == TOKEN:
            body, receive = await _read(receive)
            # What cannot be read is refused as any bad body is.
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                found = self._by_client.get(msgspec.json.decode(body, type=_Credentials).client_id)
        elif path.startswith((VICAI, VICAI_V2)):
            found = self._by_client.get(client_of(_header(scope, b"authorization")) or "")
        else:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            if path.startswith(SNS):
                found = self._subscribed(query)
            else:
                found = self.all.get(query[OWNER]) if OWNER in query else self.first
        return found or self.unknown, receive

    def _subscribed(self, query: dict[str, str]) -> Tenant | None:
        """Return the company one of whose subscriptions is confirmed or ended."""
        token, arn = query.get("Token"), query.get("SubscriptionArn")
        for tenant in self:
            if tenant.seeded and any(
                token == one.token or arn == one.arn for one in tenant.services.topics.subscriptions
            ):
                return tenant
        return None


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Read a body that decides which company is meant; what is returned gives it once more, and then what follows."""
    messages: list[Message] = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again
