"""What the sandbox holds while it runs: the services' state, and what they share."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from ap_sandbox.calls import Calls
from ap_sandbox.faults import Faults
from ap_sandbox.ivesk import Ivesk
from ap_sandbox.models import Store
from ap_sandbox.options import Options


@dataclass(frozen=True)
class Setup:
    """What the sandbox starts with."""

    documents: int = 400
    seed: int = 1
    api_key: str = "sandbox-key"
    options: Options = field(default_factory=Options)


class Sandbox:
    """The state of all services, and what they share: calls log and faults."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.calls = Calls()
        self.faults = Faults()
        self.reset(setup)

    def reset(self, setup: Setup) -> None:
        """Starts afresh, as if the command had been started with this setup."""
        self.calls.clear()
        self.faults.clear()
        self.current = setup
        self.ivesk = Ivesk(Store.seeded(setup.seed, setup.documents, setup.options), setup.api_key)

    def key_state(self, key: bytes | None) -> str:
        """Whether a call's `x-api-key` is `ok`, `wrong` or absent (`none`)."""
        if key is None:
            return "none"
        return "ok" if hmac.compare_digest(key, self.setup.api_key.encode()) else "wrong"
