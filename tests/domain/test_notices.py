"""Somebody is told of a change of state once, and never of an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.outcome.notices import (
    LastState,
    Notice,
    Shape,
    StateChange,
    ToldRepo,
    one_line,
    turns,
    unmarked,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind

REPORT = RepoReport("models", Kind.DATASET, "acme/one", "main", RepoOutcome.HELD, "a" * 40, "too much is gone", "guard")
STATES = st.builds(LastState, st.sampled_from(RepoOutcome), st.sampled_from(["", "guard", "license"]))


def said(before: LastState | None, now: LastState) -> tuple[StateChange, ...]:
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
    state = None if before is None else LastState(RepoOutcome(before))
    assert said(state, LastState(RepoOutcome(now))) == tuple(map(StateChange, told))


def test_being_held_for_another_cause_is_news() -> None:
    assert said(LastState(RepoOutcome.HELD, "license"), LastState(RepoOutcome.HELD, "guard")) == (StateChange.HELD,)


def test_what_a_target_has_let_go_of_waits_for_nobody_and_its_return_is_a_publication() -> None:
    gone, there = LastState(RepoOutcome.HELD, "let-go"), LastState(RepoOutcome.PUBLISHED)
    assert said(there, gone) == said(None, gone) == ()
    assert said(gone, there) == (StateChange.PUBLISHED,)


@given(st.lists(STATES, min_size=1), STATES)
def test_the_same_state_again_is_news_only_when_something_was_published(
    states: list[LastState], last: LastState
) -> None:
    before = None
    for state in [*states, last]:
        said(before, state)
        before = state
    assert set(said(last, last)) <= {StateChange.PUBLISHED}
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
    found: object = notice(REPORT).body(shape)
    for name in text_at:
        assert isinstance(found, dict)
        found = found[name]
    assert isinstance(found, str)
    said = found.replace("`", "").replace("\N{FULLWIDTH COMMERCIAL AT}", "@")
    assert said == "mirror-sync held: dataset:acme/one@main (job models, commit aaaaaaaa): too much is gone"


def notice(*reports: RepoReport) -> Notice:
    return Notice(StateChange.HELD, "2026-01-01T00:00:00Z", "run", tuple(ToldRepo(report, None) for report in reports))


def text_of(shape: Shape, found: Notice) -> str:
    body = found.body(shape)
    return str(body.get("text") if shape in (Shape.JSON, Shape.SLACK) else body.get("content", body.get("text")))


def test_many_repos_are_one_line_with_the_first_cause_and_a_bound() -> None:
    found = notice(*(replace(REPORT, repo=f"acme/{number}", reason=f"cause {number}") for number in range(200)))
    assert found.text.startswith("mirror-sync held: 200 repos: dataset:acme/0@main, dataset:acme/1@main, ")
    assert found.text.endswith("dataset:acme/9@main and 190 more (job models): cause 0")
    document = found.encode()
    assert (document["count"], len(document["repos"]), document["repo"]) == (200, 100, "acme/0")


MARKED = (
    "licence <!channel> <@U1> <at user_id=x> @all [see](https://other.example/a) `code` *b* www.other.example\n"
    "next\x1b[1m"
)


@pytest.mark.parametrize("shape", [Shape.WECOM, Shape.FEISHU, Shape.DINGTALK])
def test_what_an_upstream_says_is_text_to_a_chat_and_mentions_and_links_nothing(shape: Shape) -> None:
    said = text_of(shape, notice(replace(REPORT, reason=MARKED)))
    assert not set("<>@[]`*\n\x1b") & set(said.replace("{'content': ", "").replace("{'text': ", ""))
    assert "://" not in said
    assert "other.example" not in said


def test_what_an_upstream_says_is_code_to_slack() -> None:
    said = text_of(Shape.SLACK, notice(replace(REPORT, reason=MARKED)))
    assert not set("<>\n\x1b") & set(said)
    plain = "".join(said.split("`")[::2])
    assert (said.count("`"), plain) == (4, "mirror-sync held: : ")


@given(st.text(), st.integers(10, 50))
def test_the_words_of_others_are_one_line_that_can_be_seen_and_has_an_end(text: str, most: int) -> None:
    said = one_line(text, most)
    assert said.isprintable()
    assert len(said) <= most
    assert unmarked(unmarked(said)) == unmarked(said)
