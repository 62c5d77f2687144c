"""Runs as OpenTelemetry traces: a run is a trace, its repos are spans of it, and files that are fetched spans of these.

Sent by OTLP over HTTP (OpenTelemetry Protocol 1.x, protobuf), in a thread of the SDK's, which keeps 2,048 spans and
leaves out more rather than hold anybody up. The SDK is the extra mirror-sync[otel], imported where it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mirror_sync import __version__
from mirror_sync.domain.outcome.events import (
    Event,
    FileFinished,
    FileStarted,
    RepoFinished,
    RepoPlanned,
    RunFinished,
    RunStarted,
)
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

PATH = "/v1/traces"
PATIENCE = 5  # seconds that one delivery may take, and the last one at the end
_MISSING = "traces need the OpenTelemetry SDK, which is not installed: pip install 'mirror-sync[otel]'"
_BILLION = 1_000_000_000  # nanoseconds in a second
_HEARD = (RunStarted, RunFinished, RepoPlanned, RepoFinished, FileStarted, FileFinished)
_LONGEST = 1000  # characters of a reason
Attributes = Mapping[str, str | int | float | bool]


class Traces:
    """An observer; of events of all threads. `clean` takes secrets out of a text."""

    def __init__(self, endpoint: str, clean: Callable[[str], str]) -> None:
        """Nothing is sent yet, and nobody asked whether anybody listens. UsageError where the SDK is not installed."""
        self._clean, self._provider = clean, _provider(endpoint.rstrip("/") + PATH)
        self._tracer = self._provider.get_tracer("mirror_sync", __version__)
        self._spans: dict[tuple[str, ...], Span] = {}

    @staticmethod
    def hears(kind: type[Event]) -> bool:
        """Whether events of a class are of a trace: those of each piece of a file are not."""
        return kind in _HEARD

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin((event.run,), "run", {"jobs": ",".join(event.jobs), "run": event.run})
            case RepoPlanned():
                repo = str(event.repo)
                told = {"job": event.job, "repo": repo, "revision": event.revision}
                self._begin((event.run, repo), "repo", told)
            case RepoFinished():
                self._end_repo(event)
            case FileStarted():
                repo = str(event.repo)
                about: Attributes = {"repo": repo, "path": event.path, "bytes": event.size}
                self._begin((event.run, repo, event.path), "file", about)
            case FileFinished():
                self._end((event.run, str(event.repo), event.path), {"stored": event.stored}, event.error or "")
            case RunFinished():
                self._end_run(event)

    def close(self) -> None:
        """Send what there is, for some seconds at most."""
        self._provider.force_flush(PATIENCE * 1000)
        self._provider.shutdown()

    def _begin(self, key: tuple[str, ...], name: str, attributes: Attributes, seconds: float = 0.0) -> Span:
        from opentelemetry.trace import set_span_in_context

        above = next((self._spans[key[:length]] for length in (2, 1) if key[:length] in self._spans), None)
        context = None if above is None else set_span_in_context(above)
        began = time.time_ns() - int(seconds * _BILLION)
        span = self._tracer.start_span(name, context, attributes=_named(attributes), start_time=began)
        self._spans[key] = span
        return span

    def _end(self, key: tuple[str, ...], attributes: Attributes, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span = self._spans.pop(key, None)
        if span is None:
            return
        span.set_attributes(_named(attributes))
        if reason:
            span.set_status(Status(StatusCode.ERROR, self._clean(reason)[:_LONGEST]))
        span.end()

    def _end_repo(self, event: RepoFinished) -> None:
        """One that had nothing to fetch has no span yet: it began when it was looked at."""
        report = event.report
        kind_and_id = report.spoken.rpartition("@")[0]
        key = (event.run, kind_and_id)
        if key not in self._spans:
            told = {"job": report.job, "repo": kind_and_id, "revision": report.revision}
            self._begin(key, "repo", told, report.seconds)
        done = {"outcome": str(report.outcome), "code": report.code, "commit": report.commit or ""}
        figures = {"fetched_files": report.fetched_files, "fetched_bytes": report.fetched_bytes}
        self._end(key, {**done, **figures}, report.reason if report.failed else "")

    def _end_run(self, event: RunFinished) -> None:
        """And what has begun in it and was never told the end of, as where a thread was left behind."""
        report = event.report
        for key in [key for key in self._spans if key[0] == report.run and len(key) > 1]:
            self._end(key, {}, "")
        self._end(
            (report.run,),
            {"repos": len(report.repos), "interrupted": report.interrupted},
            "" if report.ok or report.interrupted else "repos failed",
        )


def _named(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {f"mirror_sync.{name}": value for name, value in attributes.items() if value != ""}


def _provider(address: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError(_MISSING) from error
    about = Resource.create({"service.name": "mirror-sync", "service.version": __version__})
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address, timeout=PATIENCE)))
    return provider
