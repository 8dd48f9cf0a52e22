"""What the sandbox holds while it runs: the services' state, and what they share."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.faults import Faults
from ap_connectors.sandbox.ivesk.service import Ivesk
from ap_connectors.sandbox.ivesk.store import Store
from ap_connectors.sandbox.options import Options
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.options import VicaiOptions
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import Vicai
from ap_connectors.sandbox.vicai.store import Store as VicaiStore
from ap_connectors.sandbox.webhooks.callbacks import Callbacks
from ap_connectors.sandbox.webhooks.dispatcher import Courier
from ap_connectors.sandbox.webhooks.documents import DocumentEvents
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.sandbox.webhooks.sns import Topics

# The log of calls to the emulated services: what came, what was answered, and whether a key came along.

MOST = 20_000


@dataclass
class Call:
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


@dataclass
class Calls:
    """The latest 20,000 calls."""

    latest: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST))
    count: int = 0

    def begin(self, method: str, path: str, query: str, key: str) -> Call:
        """Writes a call down; its status follows when it is answered."""
        self.count += 1
        call = Call(self.count, clock.iso(int(clock.now() * 1000)), method, path, query, key)
        self.latest.append(call)
        return call

    def clear(self) -> None:
        """Forgets all calls."""
        self.latest.clear()
        self.count = 0


@dataclass(frozen=True)
class Setup:
    """What the sandbox starts with."""

    documents: int = 400
    seed: int = 1
    api_key: str = "sandbox-key"
    options: Options = field(default_factory=Options)
    invoices: int = 400
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - nothing secret is behind it
    vicai: VicaiOptions = field(default_factory=VicaiOptions)


class Sandbox:
    """The state of all services, and what they share: calls log and faults."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.calls = Calls()
        self.faults = Faults()
        self.courier = Courier()
        # One key for the process: receivers may keep its certificate over a reset.
        self.signer = Signer()
        self.reset(setup)

    def reset(self, setup: Setup) -> None:
        """Starts afresh, as if the command had been started with this setup."""
        self.calls.clear()
        self.faults.clear()
        self.courier.clear()
        self.current = setup
        account = uuid_like(setup.seed, "webhook account")
        self.topics = Topics(self.courier, self.signer, account, lambda: self.ivesk.store.options)
        self.ivesk = Ivesk(Store.seeded(setup.seed, setup.documents, setup.options), setup.api_key, self.topics)
        self.document_events = DocumentEvents(self.ivesk, self.topics)
        store = VicaiStore(setup.seed, setup.invoices, setup.vicai)
        self.vicai = Vicai(store, setup.client_id, setup.client_secret)
        self.callbacks = Callbacks(store, self.courier)

    def key_state(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        """Whether a call's key or access token is `ok`, `wrong`, `expired` (a token) or absent (`none`)."""
        if path.startswith((VICAI, VICAI_STORAGE)):
            return self.vicai.tokens.state(headers.get(b"authorization", b"").decode("latin-1"))
        if (key := headers.get(b"x-api-key")) is None:
            return "none"
        return "ok" if hmac.compare_digest(key, self.setup.api_key.encode()) else "wrong"
