"""An outage of the upstream that ends is waited out within the run; one that lasts fails the rest of it at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.breaker import BreakerPolicy
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.engine.workshop import Workshop, job
from tests.standin import Hub, faults

NAMES = tuple(f"acme/repo-{number:02}" for number in range(24))
BREAKER = BreakerPolicy(span=0.5, first_pause=0.5, longest_pause=4.0)
PATIENT = RetryPolicy(first_wait=0.02, patience=60.0, shortest_wait=0.01)


def impatient(workshop: Workshop, hub: Hub, policy: RetryPolicy) -> None:
    """The workshop's upstream with times that are some thirtieth of the true ones; its waits are real."""
    endpoint = HubSource(hub.url, None, Transport(timeouts=Timeouts(connect=5, stall=5)))
    failover = FailoverSource([endpoint], breaker=BREAKER)
    source = RetryingSource(failover, policy, workshop.events.append, time.sleep, random.random)
    workshop.context = replace(workshop.context, sources={"hub": source})


def fill(hub: Hub, names: Sequence[str]) -> None:
    for name in names:
        hub.model(name).commit({"README.md": "---\nlicense: mit\n---\n", "config.json": f"{{{name}}}".encode()})


@pytest.mark.parametrize("fault", [faults.refuse(), faults.status(503)], ids=["no-answer", "503"])
def test_every_repo_is_published_by_the_run_that_met_an_outage_of_some_seconds(
    workshop: Workshop, hub: Hub, fault: faults.Fault
) -> None:
    fill(hub, NAMES)
    impatient(workshop, hub, PATIENT)
    hub.faults.add(fault)
    end = threading.Timer(2.0, hub.faults.clear)
    end.start()
    try:
        report = workshop.sync(job(*NAMES))
    finally:
        end.join()
    assert {repo.outcome for repo in report.repos} == {RepoOutcome.PUBLISHED}
    assert len(report.repos) == len(NAMES)


def test_an_outage_that_outlasts_the_patience_fails_the_rest_at_once_and_says_what_was_seen(
    workshop: Workshop, hub: Hub
) -> None:
    fill(hub, NAMES)
    impatient(workshop, hub, replace(PATIENT, patience=0.6))
    hub.faults.add(faults.status(503))
    report = workshop.sync(job(*NAMES))
    assert {(repo.outcome, repo.code) for repo in report.repos} == {(RepoOutcome.FAILED, "unreachable")}
    assert all("503" in repo.reason for repo in report.repos)
    assert hub.calls() < len(NAMES) * PATIENT.attempts
