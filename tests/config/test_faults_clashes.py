"""Two jobs that select different files of one revision on one target."""

from __future__ import annotations

import pytest

from tests.config.texts import LICENSES, REST, UPSTREAMS, fault, settings

CLASH = "give both the same include and exclude, or another target"
OTHER = "on the target 'disk' (include * against include *, exclude x)"


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ("repos: [o/x]", "repos: [o/x]", "o/x at main"),
        ("repos: ['o/*']", "repos: [o/x]", "o/x at main"),
        ("repos: [o/x, o/y, p/z]", "repos: ['o/*']", "o/x at main (and 1 more)"),
        ("repos: ['o/*']", "repos: ['o/*']", "o/* at main"),
        ("repos: [o/x], revisions: ['v*']", "repos: [o/x], revisions: [v1]", "o/x at v1"),
        ("repos: [o/x], revisions: [v1, v2]", "repos: [o/x], revisions: ['*']", "o/x at v1 (and 1 more)"),
        ("repos: ['dataset:o/x']", "repos: ['dataset:o/*']", "dataset:o/x at main"),
    ],
)
def test_one_revision_with_two_selections_on_one_target_names_both_jobs(one: str, two: str, shared: str) -> None:
    text = f"{REST}jobs:\n- {{name: one, {one}}}\n- {{name: two, exclude: [x], {two}}}\n"
    assert fault(text) == f"6:3: jobs[1]: jobs 'one' and 'two' select different files of {shared} {OTHER}; {CLASH}"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("repos: [o/x]", "repos: [o/y]"),
        ("repos: [o/x]", "repos: ['dataset:o/x']"),
        ("repos: [o/x]", "repos: [o/x], revisions: [v1]"),
        ("repos: ['o/a*']", "repos: ['o/*b']"),
        ("repos: [o/x], target: disk", "repos: [o/x], target: tape"),
    ],
)
def test_jobs_that_do_not_meet_for_certain_do_not_clash(one: str, two: str) -> None:
    sides = f"{UPSTREAMS}targets: {{disk: {{url: a}}, tape: {{url: b}}}}\ndefaults: {{target: disk}}\n"
    text = f"{sides}{LICENSES}jobs:\n- {{name: one, {one}}}\n- {{name: two, exclude: [x], {two}}}\n"
    assert len(settings(text).jobs) == 2


def test_a_fault_in_defaults_does_not_make_jobs_clash() -> None:
    jobs = "jobs:\n- {name: one, repos: [o/x]}\n- {name: two, repos: [o/x], exclude: [x]}\n"
    assert fault(f"{REST}defaults: {{exclude: [/x]}}\n{jobs}").startswith("4:22: defaults.exclude[0]: ")
