"""Prometheus metrics: counters of the receiver, and gauges read from the inbox at each request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ap_connectors.core import instants
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.runs import FAILED, RUNNING, WAITING, Runs
from ap_connectors.webhooks.tokens import TokenFile

_LOG = logging.getLogger("ap_connectors.webhooks.metrics")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one receiver, in a registry that others may add to."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.deliveries = Counter(
            "ap_webhooks_deliveries",
            "Deliveries by outcome: stored, duplicate, confirmed, unsubscribed, or why they were refused.",
            ["service", "route", "outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "ap_webhooks_answer_seconds",
            "Time from a request to its answer.",
            ["service"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
            registry=self.registry,
        )
        self.commits = Histogram(
            "ap_webhooks_commit_seconds",
            "How long it took to store a batch of deliveries.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.batches = Histogram(
            "ap_webhooks_commit_deliveries",
            "How many deliveries were stored together.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=self.registry,
        )
        self.failures = Counter(
            "ap_webhooks_commit_failures", "Batches of deliveries that could not be stored.", registry=self.registry
        )
        self.waiting = Gauge(
            "ap_webhooks_waiting_deliveries", "Deliveries waiting to be stored.", registry=self.registry
        )
        self.held = Gauge("ap_webhooks_held_bytes", "Bytes of deliveries in progress.", registry=self.registry)

    def text(self) -> bytes:
        """Return all metrics in the format of Prometheus."""
        return generate_latest(self.registry)


class Gauges(Collector):
    """Gauges that are computed at each request."""

    def __init__(self, runs: Runs, tokens: TokenFile) -> None:
        self._runs = runs
        self._tokens = tokens

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; leave out those that cannot be read."""
        by_status = GaugeMetricFamily("ap_webhooks_runs_now", "Runs by status.", labels=["status"])
        late = GaugeMetricFamily(
            "ap_webhooks_overdue_seconds", "How long the oldest waiting event has waited for its run."
        )
        unplanned = GaugeMetricFamily("ap_webhooks_unplanned_events", "Events that the rules were not applied to yet.")
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
            "ap_webhooks_vicai_token_expires_timestamp_seconds",
            "When the newest token of Vic.ai's subscription expires.",
        )
        try:
            tokens = self._tokens.read().vicai
            ends = [instants.milliseconds(one.expires_at) / 1000 for one in tokens if one.expires_at is not None]
            if len(ends) < len(tokens):
                ends = []  # one that does not expire is in use
        except Stop as error:
            _LOG.warning("metrics: %s", error)
            ends = []
        if ends:
            expiry.add_metric([], max(ends))
            yield expiry
