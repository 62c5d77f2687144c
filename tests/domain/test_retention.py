"""Which snapshots may go."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.refs import Ref, Refs
from mirror_sync.domain.retention import Retention, most_generous

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
