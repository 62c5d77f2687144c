"""Somebody is told of a change of state once, and never of an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.notices import Notice, Shape, State, Turn, turns
from mirror_sync.domain.repo import Kind
from mirror_sync.domain.report import RepoOutcome, RepoReport

REPORT = RepoReport("models", Kind.DATASET, "acme/one", "main", RepoOutcome.HELD, "a" * 40, "too much is gone", "guard")
STATES = st.builds(State, st.sampled_from(RepoOutcome), st.sampled_from(["", "guard", "license"]))


def said(before: State | None, now: State) -> tuple[Turn, ...]:
    return turns(before, replace(REPORT, outcome=now.outcome, code=now.code))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, "published", ["published"]),
        ("published", "published", ["published"]),
        ("failed", "published", ["recovered", "published"]),
        ("held", "unchanged", ["recovered"]),
        ("failed", "unchanged", ["recovered"]),
        ("published", "unchanged", []),
        (None, "unchanged", []),
        (None, "failed", ["failed"]),
        ("unchanged", "failed", ["failed"]),
        ("failed", "failed", []),
        (None, "held", ["held"]),
        ("held", "held", []),
        ("failed", "held", ["held"]),
        ("held", "failed", ["failed"]),
        (None, "refused", []),
        ("failed", "refused", []),
    ],
)
def test_who_is_told_what(before: str | None, now: str, told: list[str]) -> None:
    state = None if before is None else State(RepoOutcome(before))
    assert said(state, State(RepoOutcome(now))) == tuple(map(Turn, told))


def test_being_held_for_another_cause_is_news() -> None:
    assert said(State(RepoOutcome.HELD, "license"), State(RepoOutcome.HELD, "guard")) == (Turn.HELD,)


@given(st.lists(STATES, min_size=1), STATES)
def test_the_same_state_again_is_news_only_when_something_was_published(states: list[State], last: State) -> None:
    before = None
    for state in [*states, last]:
        said(before, state)
        before = state
    assert set(said(last, last)) <= {Turn.PUBLISHED}
    assert bool(said(last, last)) is (last.outcome is RepoOutcome.PUBLISHED)


@pytest.mark.parametrize(
    ("shape", "text_at"),
    [
        (Shape.JSON, ("text",)),
        (Shape.SLACK, ("text",)),
        (Shape.WECOM, ("text", "content")),
        (Shape.DINGTALK, ("text", "content")),
        (Shape.FEISHU, ("content", "text")),
    ],
)
def test_every_receiver_gets_the_line_where_it_looks_for_it(shape: Shape, text_at: tuple[str, ...]) -> None:
    found: object = Notice(Turn.HELD, "2026-01-01T00:00:00Z", "run", REPORT, None).body(shape)
    for name in text_at:
        assert isinstance(found, dict)
        found = found[name]
    assert found == ("mirror-sync held: dataset:acme/one@main (job models, commit aaaaaaaa): too much is gone")
