"""Who may read what: laws of the one decision, and of the patterns that both fronts match by."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.access.rights import AccessRules, Opening, RepoSet, Role, Sight, closed_by, glob_expression
from mirror_sync.domain.repo import Repo, RepoPattern

ACME, DATA = Repo.parse("acme/one"), Repo.parse("dataset:acme/one")


def sets(*texts: str) -> tuple[RepoSet, ...]:
    return tuple(map(RepoSet.parse, texts))


def test_without_a_word_everybody_reads_what_is_public_and_nobody_what_is_not() -> None:
    for repo in (ACME, DATA):
        assert AccessRules().decide("", repo, closed=False) is Sight.READ
        assert AccessRules().decide("", repo, closed=True) is Sight.HIDDEN
        assert AccessRules().decide("a role that is none", repo, closed=True) is Sight.HIDDEN


@pytest.mark.parametrize(
    ("anonymous", "sight"),
    [("*", Sight.HIDDEN), ("acme/*", Sight.HIDDEN), ("acme/one", Sight.READ), ("dataset:acme/one", Sight.HIDDEN)],
)
def test_what_is_closed_is_for_everybody_only_where_it_is_named_without_a_glob(anonymous: str, sight: Sight) -> None:
    assert AccessRules(sets(anonymous)).decide("", ACME, closed=True) is sight


def test_a_job_opens_what_it_names_and_does_not_deny_to_those_who_may_read_what_is_public() -> None:
    opening = Opening((RepoPattern.parse("acme/*"),), (RepoPattern.parse("acme/two"),))
    found = {
        name: AccessRules(opened=(opening,)).decide("", Repo.parse(name), closed=True)
        for name in ("acme/one", "acme/two", "dataset:acme/one")
    }
    assert list(found.values()) == [Sight.READ, Sight.HIDDEN, Sight.HIDDEN]
    assert AccessRules(sets("other/*"), opened=(opening,)).decide("", ACME, closed=True) is Sight.HIDDEN


def test_who_reads_sees_and_a_role_reads_what_everybody_reads_too() -> None:
    access = AccessRules(sets("pub/*"), {"a": Role(read=sets("acme/*")), "b": Role(see=sets("*"))})
    assert access.decide("a", ACME, closed=True) is Sight.READ
    assert access.decide("a", DATA, closed=False) is Sight.HIDDEN
    assert access.decide("b", ACME, closed=True) is Sight.SEE
    assert {access.decide(role, Repo.parse("pub/x"), closed=False) for role in ("", "a", "b")} == {Sight.READ}
    assert [access.sees_all(role) for role in ("", "a", "b")] == [False, False, True]
    assert [access.reads_all(role) for role in ("", "a", "b")] == [False, False, False]


def test_everybody_reads_all_only_where_every_job_has_opened_what_is_closed() -> None:
    assert not AccessRules().reads_all("")
    assert AccessRules(all_opened=True).reads_all("")
    assert not AccessRules(sets("acme/*"), all_opened=True).reads_all("")
    assert AccessRules((), {"admins": Role(read=sets("*"))}).reads_all("admins")


@pytest.mark.parametrize("said", [{}, {"private": False}, {"gated": False}, {"private": None, "gated": False}])
def test_what_an_upstream_does_not_say_closes_a_repo(said: dict[str, object]) -> None:
    assert closed_by(said)
    assert not closed_by({"private": False, "gated": False})
    assert closed_by({"private": False, "gated": "manual"})


@given(
    st.from_regex(r"acme/[A-Za-z0-9*?.\-]{1,8}(\[!?[a-d]{1,3}\])?", fullmatch=True),
    st.from_regex(r"acme/[A-Za-d0-9.\-]{1,9}", fullmatch=True),
)
def test_the_expression_that_both_fronts_match_by_is_that_of_fnmatch(glob: str, name: str) -> None:
    assert bool(re.fullmatch(glob_expression(glob), name)) == fnmatchcase(name, glob)


def test_a_range_with_nothing_in_it_matches_nothing() -> None:
    assert re.fullmatch(glob_expression("acme/[z-a]"), "acme/z") is None
