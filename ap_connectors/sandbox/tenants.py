"""All companies of one sandbox, and which of them a call is for: the credentials tell, as at the real services."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from ap_connectors.sandbox import naming
from ap_connectors.sandbox.answers import OWNER
from ap_connectors.sandbox.ivesk.service import PREFIX as IVESK
from ap_connectors.sandbox.tenant import Setup, Tenant
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import PREFIX_V2 as VICAI_V2
from ap_connectors.sandbox.vicai.service import TOKEN
from ap_connectors.sandbox.vicai.tokens import client_of
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.sandbox.webhooks.sns import PREFIX as SNS


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
