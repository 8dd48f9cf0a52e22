"""One of the companies that the sandbox holds, with credentials, data, faults and webhooks of its own."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ap_connectors.sandbox import naming
from ap_connectors.sandbox.answers import LinkKey
from ap_connectors.sandbox.call_log import LEAST, MOST, CallLog
from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.faults import Faults
from ap_connectors.sandbox.ivesk.documents import MOST_BYTES
from ap_connectors.sandbox.ivesk.service import Ivesk
from ap_connectors.sandbox.ivesk.store import Store
from ap_connectors.sandbox.options import Options, VicaiOptions
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import PREFIX_V2 as VICAI_V2
from ap_connectors.sandbox.vicai.service import Vicai
from ap_connectors.sandbox.vicai.store import Store as VicaiStore
from ap_connectors.sandbox.webhooks.callbacks import Callbacks
from ap_connectors.sandbox.webhooks.dispatcher import Dispatcher
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.sandbox.webhooks.sns import DocumentEvents, Topics

SEEDS_APART = 1_000
"""From one company's seed to the next: seeds that people choose are small, so that no two companies share one."""


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
            seed=self.seed + SEEDS_APART * (number - 1),
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
        self.calls = CallLog(max(LEAST, MOST // count))
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
