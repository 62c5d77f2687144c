"""Which snapshots may go."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.retention import Retention, most_generous

COMMITS = [CommitId(f"{number:040x}") for number in range(6)]
ROOT = Sha256("a" * 64)
NOW = 1000.0
times = st.dictionaries(st.sampled_from(COMMITS), st.floats(0, NOW))
retentions = st.builds(Retention, st.integers(0, 7), st.floats(0, NOW).map(lambda seconds: timedelta(seconds=seconds)))


@given(times, st.sets(st.sampled_from(COMMITS)), st.sets(st.sampled_from(COMMITS)), retentions)
def test_what_is_named_young_or_among_the_newest_stays(
    published: dict[CommitId, float], named: set[CommitId], pinned: set[CommitId], retention: Retention
) -> None:
    refs = Refs(
        tuple(Ref("tags", commit, f"refs/tags/{commit}", commit) for commit in named), dict.fromkeys(COMMITS, ROOT)
    )
    expired = set(retention.expired(refs, published, pinned, NOW))
    assert not expired & (named | pinned)
    assert expired <= published.keys(), "a commit whose time is unknown stays"
    assert len(published.keys() - expired) >= min(retention.snapshots, len(published))
    assert all(NOW - published[commit] > retention.age.total_seconds() for commit in expired)


@given(st.lists(retentions, min_size=1), times)
def test_the_most_generous_lets_nothing_go_that_one_of_them_keeps(
    several: list[Retention], published: dict[CommitId, float]
) -> None:
    refs = Refs((), dict.fromkeys(COMMITS, ROOT))
    expired = set(most_generous(several).expired(refs, published, (), NOW))
    assert all(expired <= set(one.expired(refs, published, (), NOW)) for one in several)


@pytest.mark.parametrize(("seconds", "goes"), [(-1, False), (0, False), (1, True)])
def test_a_snapshot_stays_to_the_last_second_of_its_days(seconds: int, goes: bool) -> None:
    old, new = COMMITS[:2]
    refs = Refs((), dict.fromkeys((old, new), ROOT))
    now = 1_700_000_000.0
    published = {old: now - 90 * 86_400 - seconds, new: now}
    expired = Retention(snapshots=1, age=timedelta(days=90)).expired(refs, published, (), now)
    assert expired == ((old,) if goes else ())


def test_days_count_for_each_snapshot_beyond_the_number_that_stays() -> None:
    """One too young is no reason to keep an older one, and its own age is no reason to let it go too early."""
    refs = Refs((), dict.fromkeys(COMMITS, ROOT))
    now = 1_700_000_000.0
    published = {commit: now - days * 86_400 for commit, days in zip(COMMITS, (0, 5, 6, 8, 9, 7), strict=True)}
    expired = Retention(snapshots=2, age=timedelta(days=7)).expired(refs, published, (), now)
    assert set(expired) == {COMMITS[3], COMMITS[4]}, "7 days to the second are not more than 7 days"
