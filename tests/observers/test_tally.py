"""The tally counts what there is to do and what is done, whatever the order in which threads tell it."""

from __future__ import annotations

import threading

from mirror_sync.domain.outcome.events import Event, PartsFound, ReposListed, RunFinished, RunStarted, Verified
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.observe.tally import Tally
from tests.observers.happenings import REPO, RUN, STARTED, began, came, finished, planned, stored

ENDED = RunFinished(RunReport(RUN, "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", ()))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_left_follows_from_the_rate() -> None:
    clock = Clock()
    tally = Tally(clock)
    for event in (STARTED, planned(2, 1000), began("a", 600), came("a", 200)):
        tally(event)
    clock.now = 4.0
    progress = tally.now()
    assert (progress.rate, progress.left, progress.share) == (50.0, 16.0, 0.2)
    assert [(file.path, file.done, file.rate) for file in progress.in_flight] == [("a", 200, 50.0)]


def test_the_rate_forgets_what_was_long_ago() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally(STARTED)
    tally(planned(1, 10_000))
    tally(came("a", 5000))
    for second in range(1, 31):
        clock.now = float(second)
        progress = tally.now()
    assert (progress.rate, progress.left) == (0.0, None)


def test_progress_never_goes_back_and_the_next_job_is_named() -> None:
    other = Repo(Kind.DATASET, "acme/two")
    told: list[Event] = [
        RunStarted(RUN, ("one", "two"), ""), ReposListed(RUN, "one", 2), planned(1, 100), came("a", 86),
        planned(1, 1_000_000, other), came("b", 500_000, other), came("a", 14), finished(RepoOutcome.PUBLISHED),
        came("b", -500_000, other), came("b", 1_000_000, other), finished(RepoOutcome.PUBLISHED, other),
        ReposListed(RUN, "two", 3), planned(1, 10**12, other), came("c", 10**12, other),
        finished(RepoOutcome.PUBLISHED, other), finished(RepoOutcome.UNCHANGED), finished(RepoOutcome.FAILED),
    ]  # fmt: skip
    tally = Tally()
    seen = []
    for event in told:
        tally(event)
        seen.append(tally.now())
    shares = [moment.share for moment in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[10], shares[11], shares[13], shares[-1]) == (0.0, 0.5, 0.5, 0.5 + 0.5 / 3, 1.0)
    assert [(moment.job, moment.job_number, moment.jobs, moment.repos) for moment in (seen[10], seen[11])] == [
        ("one", 1, 2, 2),
        ("two", 2, 2, 3),
    ]


def test_nobody_says_how_long_it_takes_while_repos_are_not_planned() -> None:
    clock = Clock()
    tally = Tally(clock)
    for event in (STARTED, ReposListed(RUN, "job", 2), planned(1, 1000), came("a", 500)):
        tally(event)
    clock.now = 5.0
    assert tally.now().left is None
    tally(finished(RepoOutcome.UNCHANGED, Repo(Kind.MODEL, "acme/other")))
    assert tally.now().left == 5.0


def test_what_an_earlier_run_brought_is_done_already_and_says_nothing_of_the_rate() -> None:
    clock = Clock()
    tally = Tally(clock)
    for event in (STARTED, planned(1, 1000), began("a", 1000), PartsFound(RUN, REPO, "a", 600), came("a", 200)):
        tally(event)
    clock.now = 4.0
    progress = tally.now()
    assert (progress.bytes_done, progress.rate, progress.left, progress.in_flight[0].done) == (800, 50.0, 4.0, 800)
    tally(PartsFound(RUN, REPO, "a", -600))
    assert tally.now().bytes_done == 200


def test_a_repo_that_was_interrupted_is_not_done() -> None:
    tally = Tally()
    for event in (STARTED, ReposListed(RUN, "job", 2), finished(RepoOutcome.INTERRUPTED)):
        tally(event)
    assert tally.now().repos_done == 0


def test_bytes_that_were_thrown_away_do_not_count() -> None:
    tally = Tally()
    for event in (STARTED, planned(1, 1000), began("a", 1000), came("a", 700), came("a", -700), came("a", 100)):
        tally(event)
    assert tally.now().bytes_done == 100
    assert tally.now().in_flight[0].done == 100


def test_what_a_failed_repo_owes_is_no_longer_waited_for() -> None:
    other = Repo(Kind.DATASET, "acme/two")
    tally = Tally()
    for event in (STARTED, ReposListed(RUN, "job", 2), planned(3, 300), planned(5, 500, other)):
        tally(event)
    for transfer in (began("a", 100, other), came("a", 100, other), stored("a", 100, other)):
        tally(transfer)
    tally(finished(RepoOutcome.FAILED, other))
    progress = tally.now()
    assert (progress.files, progress.bytes, progress.repos_done, progress.repos) == (4, 400, 1, 2)


def test_counts_begin_anew_when_nothing_else_runs() -> None:
    tally = Tally()
    for event in (STARTED, planned(3, 300), ENDED, STARTED):
        tally(event)
    assert (tally.now().bytes, tally.now().runs) == (0, 1)
    tally(planned(3, 300))
    tally(STARTED)
    assert (tally.now().bytes, tally.now().runs) == (300, 2)


def test_what_a_verification_told_last_stands() -> None:
    tally = Tally()
    assert tally.now().verified is None
    for event in (Verified(1, 100, 0), Verified(2, 200, 1)):
        tally(event)
    assert tally.now().verified == Verified(2, 200, 1)


def test_many_threads_lose_no_byte() -> None:
    tally = Tally()
    tally(planned(400, 400))

    def transfer(thread: int) -> None:
        for number in range(100):
            path = f"{thread}/{number}"
            for event in (began(path, 1), came(path, 1), stored(path, 1)):
                tally(event)

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress = tally.now()
    assert (progress.files_done, progress.bytes_done, progress.in_flight) == (400, 400, ())
