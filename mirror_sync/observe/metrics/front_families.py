"""A front as Prometheus is told of it, by the daemon that reads its log or by `serve` itself, and read back from there.

The series are few, whoever asks for what: no label is a name of a reader, a token or a repo.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from mirror_sync.domain.outcome.front_counts import FrontCounts, FrontFigures

_PREFIX = "mirror_sync_front_"


def front_families(front: FrontFigures) -> Iterator[Metric]:
    """All of them, those of what nobody tells without series."""
    requests = CounterMetricFamily(f"{_PREFIX}requests", "Requests that a front answered.", labels=("status",))
    sent = CounterMetricFamily(f"{_PREFIX}sent_bytes", "Bytes of the bodies of its answers.", labels=())
    caches = CounterMetricFamily(
        f"{_PREFIX}cache_requests", "Answers by zone, and what its cache did.", labels=("zone", "outcome")
    )
    first = HistogramMetricFamily(
        f"{_PREFIX}first_byte_seconds", "How long readers waited for the first byte of an answer.", labels=()
    )
    counts = front.counts
    if counts is not None:
        for status, count in counts.statuses.items():
            requests.add_metric((status,), count)
        sent.add_metric((), counts.bytes)
        for key, count in counts.caches.items():
            caches.add_metric(key, count)
        buckets = [("+Inf" if bound == float("inf") else repr(bound), count) for bound, count in counts.first_bytes]
        first.add_metric((), buckets, counts.first_byte_seconds)
    yield from (requests, sent, caches, first)
    for name, help_text, value in (
        ("transfers", "Requests that a front is answering.", front.transfers),
        ("transfers_limit", "How many it can answer at once.", front.limit),
        ("watched", "1 while all that jobs.yaml says of front.watch can be read.", front.watched),
    ):
        gauge = GaugeMetricFamily(f"{_PREFIX}{name}", help_text, labels=())
        if value is not None:
            gauge.add_metric((), float(value))
        yield gauge
    for name, help_text, value in (
        ("log_gaps", "How often lines of a front's log were lost to the daemon, and so to these counts.", front.gaps),
        ("log_unread_lines", "Lines of that log that are no lines of a front's.", front.unread),
    ):
        counter = CounterMetricFamily(f"{_PREFIX}{name}", help_text, labels=())
        if value is not None:
            counter.add_metric((), value)
        yield counter


class _FrontCollector(Collector):
    def __init__(self, front: FrontFigures) -> None:
        self._front = front

    def collect(self) -> Iterator[Metric]:
        return front_families(self._front)


def render_front(front: FrontFigures, accept: str) -> tuple[bytes, str]:
    """A page for Prometheus, and its type, as the Accept header asks for it."""
    registry = CollectorRegistry()
    registry.register(_FrontCollector(front))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def read_front(text: str) -> FrontFigures:
    """What such a page says. ValueError for a page that says nothing of a front's answers."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(_PREFIX):
            for one in family.samples:
                key = tuple(one.labels[label] for label in sorted(one.labels))  # by the order of letters
                values.setdefault(one.name.removeprefix(_PREFIX), {})[key] = one.value
    if "requests_total" not in values:
        raise ValueError("no metrics of a front")

    def alone(name: str) -> float | None:
        return next(iter(values.get(name, {}).values()), None)

    counts = FrontCounts.of_parts(
        alone("sent_bytes_total") or 0.0,
        alone("first_byte_seconds_sum") or 0.0,
        {labels[0]: value for labels, value in values["requests_total"].items()},
        {float(labels[0]): value for labels, value in values.get("first_byte_seconds_bucket", {}).items()},
        {(zone, outcome): value for (outcome, zone), value in values.get("cache_requests_total", {}).items()},
    )
    return FrontFigures(counts, alone("transfers"), alone("transfers_limit"))
