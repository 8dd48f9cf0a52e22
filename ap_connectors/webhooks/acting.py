"""`ap-webhooks serve`: the receiver, and what acts on the events that it stores."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ap_connectors.core import instants
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.receiver import Receiver
from ap_connectors.webhooks.runner import Runner
from ap_connectors.webhooks.runs import FAILED, RUNNING, WAITING, Runs
from ap_connectors.webhooks.serve import serve as serve_http
from ap_connectors.webhooks.settings import Receiving, Settings
from ap_connectors.webhooks.tokens import TokenFile

_LOG = logging.getLogger("ap_connectors.webhooks.serve")
_LOOK_SECONDS = 0.5


class _Renewable(Receiver):
    """A receiver that lets in who subscribed while it served."""

    def renew(self, receiving: Receiving) -> None:
        """Take other tokens and secrets."""
        self._receiving = receiving


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Receive and act until SIGTERM or SIGINT. Call it in the main thread.

    Args:
        settings: all of them.
        ready: told the address, once connections are accepted.

    Raises:
        Stop: the settings, the inbox or the address cannot be used.
    """
    inbox = Inbox(settings.receiving.inbox)
    runner: Runner | None = None
    ended = threading.Event()
    try:
        registry = CollectorRegistry()
        runs_counter = Counter(
            "ap_webhooks_runs",
            "Tries by outcome: done, repeated (another one follows), failed (none does).",
            ["job", "outcome"],
            registry=registry,
        )
        if settings.rules:
            runner = Runner(
                inbox,
                settings.rules,
                settings.running,
                lambda job, outcome: runs_counter.labels(job, outcome).inc(),
            )
        else:
            _LOG.warning("There are no rules: events are stored, and nothing is done about them.")
        runs = runner.runs if runner else Runs(inbox)
        registry.register(_Gauges(runs, settings.tokens))
        receiver = _Renewable(settings.accepting(), inbox, runner.wake if runner else lambda _ids: None, registry)
        watching = threading.Thread(target=_watch, args=(settings, receiver, ended), name="tokens", daemon=True)
        watching.start()

        def up(url: str) -> None:
            if runner:
                runner.start()
            ready(url)

        serve_http(receiver.app, host=settings.host, port=settings.port, ready=up)
    finally:
        ended.set()
        if runner:
            runner.stop()
        inbox.close()


def _watch(settings: Settings, receiver: _Renewable, ended: threading.Event) -> None:
    """Let in what the token file holds, and no longer what has expired."""
    known, live = settings.tokens.changed_at(), settings.receiving
    while not ended.wait(_LOOK_SECONDS):
        changed = settings.tokens.changed_at()
        try:
            now = settings.accepting()
        except Stop as error:
            if changed != known:
                _LOG.error("%s Until then the tokens are those from before.", error)
            known = changed
            continue
        if now != live:
            receiver.renew(now)
            if changed != known:
                _LOG.info("The tokens were renewed: %d of Vic.ai, %d of Įvesk.", *_counts(now))
        known, live = changed, now


def _counts(receiving: Receiving) -> tuple[int, int]:
    return len(receiving.vicai_tokens), len(receiving.ivesk_secrets)


class _Gauges(Collector):
    """What is looked up when somebody asks for the metrics."""

    def __init__(self, runs: Runs, tokens: TokenFile) -> None:
        self._runs = runs
        self._tokens = tokens

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; one that cannot be had is left out."""
        by_status = GaugeMetricFamily("ap_webhooks_runs_now", "Runs by status.", labels=["status"])
        late = GaugeMetricFamily("ap_webhooks_overdue_seconds", "How long the oldest event waits for its run.")
        unplanned = GaugeMetricFamily("ap_webhooks_unplanned_events", "Events that no rule was applied to yet.")
        try:
            for status in (WAITING, RUNNING, FAILED):
                found = self._runs.of_status(status)
                by_status.add_metric([status], len(found))
                if status == WAITING:
                    oldest = min((instants.milliseconds(run.created_at) for run in found), default=None)
                    late.add_metric([], 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000))
            unplanned.add_metric([], self._runs.unplanned())
            yield from (by_status, late, unplanned)
        except Outage as error:
            _LOG.warning("metrics: %s", error)
        expiry = GaugeMetricFamily(
            "ap_webhooks_vicai_token_expires_timestamp_seconds", "When the newest token of Vic.ai's subscription ends."
        )
        try:
            ends = [instants.milliseconds(one.expires_at) / 1000 for one in self._tokens.read().vicai]
        except Stop as error:
            _LOG.warning("metrics: %s", error)
            ends = []
        if ends:
            expiry.add_metric([], max(ends))
            yield expiry
