"""What the receiver counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one receiver; other rooms add theirs to `registry`."""

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
            "From the first look at a delivery to its answer.",
            ["service"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
            registry=self.registry,
        )
        self.commits = Histogram(
            "ap_webhooks_commit_seconds",
            "How long a group of deliveries took to be stored.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.groups = Histogram(
            "ap_webhooks_commit_deliveries",
            "How many deliveries were stored together.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=self.registry,
        )
        self.failures = Counter(
            "ap_webhooks_commit_failures", "Groups of deliveries that could not be stored.", registry=self.registry
        )
        self.waiting = Gauge(
            "ap_webhooks_waiting_deliveries", "Deliveries that wait to be stored.", registry=self.registry
        )
        self.held = Gauge("ap_webhooks_held_bytes", "Bytes of deliveries that are under way.", registry=self.registry)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
