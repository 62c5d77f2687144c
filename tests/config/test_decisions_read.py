"""`policy` and `decisions` of jobs.yaml, and the faults and doubts of the file that people decide in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror_sync.app.configured import Configured
from mirror_sync.config.load import load
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, RuleKey
from mirror_sync.domain.policy.house_rules import HouseRules, Restriction
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import ConfigError
from tests.config.texts import JOBS, REST, fault, settings

HEAD = f"{REST}{JOBS}"
POLICY = """\
policy:
  forbidden: ["evil-org/*", "dataset:acme/leak"]
  restricted: ["meta-llama/*", {repos: "acme/secret-*", pin: on}]
  cooldown: 3d
  inherit_base_model: hold
"""
GOOD = "- {repo: acme/small, commit: any, rule: restricted, outcome: approve, by: Ada, why: read}"


def parsed(*names: str) -> tuple[RepoPattern, ...]:
    return tuple(map(RepoPattern.parse, names))


def decided(tmp_path: Path, decisions: str | None, jobs: str = HEAD) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(f"{jobs}decisions: decisions.yaml\n", encoding="utf-8")
    if decisions is not None:
        (tmp_path / "decisions.yaml").write_text(decisions, encoding="utf-8")
    return path


def doubts(path: Path) -> list[str]:
    return [str(one).removeprefix(f"{path.parent}/") for one in load(path, {}).warnings]


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [str(one).removeprefix(f"{path.parent}/") for one in caught.value.faults]


def test_a_job_has_the_rules_of_all_and_those_that_it_adds() -> None:
    jobs = 'jobs:\n- {name: one, repos: [acme/small]}\n- name: two\n  repos: ["acme/*"]\n  exclude: ["x"]\n'
    own = "  policy: {forbidden: [acme/x], restricted: [acme/small], cooldown: 7d}\n  target: other\n"
    targets = REST.replace("{disk: {url: ./mirror}}", "{disk: {url: ./mirror}, other: {url: ./other}}")
    one, two = settings(f"{targets}defaults: {{target: disk}}\n{POLICY}{jobs}{own}").jobs
    secret = Restriction(RepoPattern.parse("acme/secret-*"), pin=True)
    common = (Restriction(RepoPattern.parse("meta-llama/*")), secret)
    assert one.house == HouseRules(parsed("evil-org/*", "dataset:acme/leak"), common, timedelta(days=3), True)
    assert two.house == HouseRules(
        parsed("evil-org/*", "dataset:acme/leak", "acme/x"),
        (*common, Restriction(RepoPattern.parse("acme/small"))),
        timedelta(days=7),
        True,
    )
    assert [len(job.rules) + len(job.later_rules) for job in (one, two)] == [5, 5]
    assert settings(HEAD).jobs[0].rules == (settings(HEAD).jobs[0].policy,), "what is left out is off"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("policy: {forbidden: ['!x/y']}", "policy.forbidden[0]: '!x/y' is a denial, and nothing is taken out of"),
        ("policy: {forbidden: ['*/x']}", "policy.forbidden[0]: '*/x' must name one owner before its wildcard"),
        ("policy: {restricted: [{pin: on}]}", "policy.restricted[0].repos: is missing; write repos: acme/secret-*"),
        ("policy: {restricted: [{repos: a/b, pinn: on}]}", "policy.restricted[0].pinn: this key is not known; did you"),
        ("policy: {cooldown: 0s}", "policy.cooldown: '0s' is no time at all"),
        ("policy: {cooldown: 3}", "policy.cooldown: 3 has no unit"),
        ("policy: {inherit_base_model: allow}", "policy.inherit_base_model: 'allow' is not hold"),
        ("policy: {forbiden: []}", "policy.forbiden: this key is not known; did you mean forbidden?"),
    ],
)
def test_what_is_wrong_with_a_policy_has_its_place(line: str, said: str) -> None:
    assert said in fault(f"{REST}{line}\n{JOBS}")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            "cooldown: 2d",
            "10:28: jobs[0].policy.cooldown: is shorter than policy.cooldown, which holds for all jobs; write 3d",
        ),
        (
            'restricted: ["acme/secret-*"]',
            "policy.restricted, which holds for all jobs, pins 'acme/secret-*'; remove it here",
        ),
    ],
)
def test_a_job_that_would_loosen_what_holds_for_all_is_a_fault(own: str, said: str) -> None:
    found = fault(f"{REST}{POLICY}jobs:\n- {{name: one, policy: {{{own}}}, repos: [acme/small]}}\n")
    assert said.partition(": ")[2] in found or said in found


def test_a_decision_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    text = (
        f"decisions:\n- repo: dataset:acme/x\n  commit: '{'ab' * 20}'\n  rule: scan\n  outcome: reject\n  by: Ada\n"
        "  why: seen\n  ticket: L-1\n  until: 2027-01-31\n"
    )
    (job,) = load(decided(tmp_path, text), {}).jobs
    (found,) = job.decisions.every
    assert found == Decision(
        RepoPattern.parse("dataset:acme/x"),
        CommitId("ab" * 20),
        RuleKey.SCAN,
        DecisionOutcome.REJECT,
        "Ada",
        "seen",
        "L-1",
        datetime(2027, 2, 1, tzinfo=UTC),
    )
    assert found.place.endswith("decisions.yaml:2")


@pytest.mark.parametrize("text", ["version: 1\n", "version: 1\ndecisions:\n", "decisions: []\n"])
def test_a_file_without_entries_decides_nothing(tmp_path: Path, text: str) -> None:
    assert load(decided(tmp_path, text), {}).jobs[0].decisions.every == ()


def test_a_file_that_is_not_there_decides_nothing_and_check_says_so(tmp_path: Path) -> None:
    (found,) = doubts(decided(tmp_path, None))
    assert "is not there: nothing is decided yet" in found
    assert found.startswith("jobs.yaml:5:12: decisions: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "decisions.yaml:1:1: the file is empty"),
        ("version: 2\n", "decisions.yaml:1:10: version: this program reads version 1"),
        ("decisions: {a: b}\n", "decisions.yaml:1:12: decisions: must be a list; write - repo: owner/name below it"),
        ("decisions:\n- x\n", "decisions.yaml:2:3: decisions[0]: must be a mapping, not text"),
        ("decisons: []\n", "decisions.yaml:1:1: decisons: this key is not known; did you mean decisions?"),
        ("decisions: [a\n", "decisions.yaml:2:1: brackets that are not closed"),
        (f"decisions:\n{GOOD.replace('any', 'abc')}\n", "decisions.yaml:2:30: decisions[0].commit: 'abc' is no commit"),
        (f"decisions:\n{GOOD.replace('small', '*')}\n", "decisions[0]: approves 'acme/*', a glob; an approval"),
        (f"decisions:\n{GOOD[:-1]}, until: 31.1.}}\n", "decisions[0].until: '31.1.' is no day; write 2027-01-31"),
        (f"decisions:\n{GOOD.replace(', why: read', '')}\n", "decisions[0].why: is missing; write why: the terms"),
        (f"decisions:\n{GOOD.replace('by: Ada', 'by:')}\n", "decisions[0].by: is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_decisions_has_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = faults(decided(tmp_path, text))
    assert [one for one in found if said in one], found


def test_faults_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    found = faults(decided(tmp_path, "version: 2\n", HEAD + "polcy: {}\n"))
    assert [one.partition(":")[0] for one in found] == ["jobs.yaml", "decisions.yaml"]


def test_a_file_that_cannot_be_read_is_a_fault_and_not_missing(tmp_path: Path) -> None:
    path = decided(tmp_path, None)
    (tmp_path / "decisions.yaml").mkdir()
    assert faults(path) == ["decisions.yaml: this is a directory, not a file"]


def test_check_warns_of_what_is_misspelt_ended_or_in_vain(tmp_path: Path) -> None:
    entries = [
        GOOD.replace("small", "smal"),
        f"{GOOD[:-1]}, until: 2020-01-01}}",
        GOOD.replace("approve", "reject").replace("acme/small", "acme/other"),
        GOOD.replace("acme/small", "evil/x"),
        GOOD.replace("restricted", "forbidden"),
        GOOD.replace("approve", "reject").replace("acme/small", '"gone/*"'),
        GOOD,
    ]
    house = 'policy: {forbidden: ["evil/*"], restricted: [acme/small]}\n'
    jobs = HEAD.replace("[acme/small]", "[acme/small, evil/x]") + house
    found = doubts(decided(tmp_path, "decisions:\n" + "".join(f"{entry}\n" for entry in entries), jobs))
    told = [one.partition(": ") for one in found]
    assert [place for place, _, _ in told] == [f"decisions.yaml:{line}:3" for line in range(2, 8)]
    wanted = (
        "decisions[0]: 'acme/smal' is decided about, and no job names it; did you mean acme/small?",
        "decisions[1]: has ended (2020-01-02T00:00:00Z): new commits are held again, what is published stays; ",
        "decisions[2]: 'acme/other' is decided about, and no job names it",
        "decisions[3]: no decision lifts policy.forbidden; take evil/x out of that list, or remove this",
        "decisions[4]: no decision lifts policy.forbidden; take acme/small out of that list, or remove this",
        "decisions[5]: 'gone/*' is rejected, and no job names a repo that it could match",
    )
    assert [said for said, (_, _, words) in zip(wanted, told, strict=True) if not words.startswith(said)] == []


def decides(tmp_path: Path, rule: str, policy: str, commit: str = "any", repo: str = "acme/small") -> list[str]:
    """What `check` says of an approval, of what it holds in what no job can ever hold."""
    entry = GOOD.replace("restricted", rule).replace("any", commit).replace("acme/small", repo)
    return doubts(decided(tmp_path, f"decisions:\n{entry}\n", HEAD + policy))


@pytest.mark.parametrize(
    ("rule", "policy", "said"),
    [
        ("restricted", "", "policy.restricted does not name acme/small"),
        ("restricted", "policy: {restricted: [acme/other]}\n", "policy.restricted does not name acme/small"),
        ("restricted", "policy: {restricted: [{repos: acme/*, pin: true}]}\n", "policy.restricted pins acme/*"),
        ("cooldown", "", "there is no policy.cooldown"),
        ("base_model", "", "there is no policy.inherit_base_model"),
        ("formats", "", "there is no policy.formats"),
        ("scan", "policy: {formats: {allow: [text]}}\n", "there is no policy.scan"),
        ("gated", "", "names acme/small itself, which says as much"),
        ("private", "", "names acme/small itself, which says as much"),
    ],
)
def test_check_warns_of_an_approval_for_a_rule_that_holds_nothing_of_the_repo(
    tmp_path: Path, rule: str, policy: str, said: str
) -> None:
    (found,) = decides(tmp_path, rule, policy)
    assert "decisions[0]: approves nothing: " in found
    assert said in found


@pytest.mark.parametrize(
    ("rule", "policy", "commit", "repo"),
    [
        ("restricted", "policy: {restricted: [ACME/*]}\n", "any", "acme/small"),
        ("restricted", "policy: {restricted: [{repos: acme/*, pin: true}]}\n", f'"{"a" * 40}"', "acme/small"),
        ("cooldown", "policy: {cooldown: 3d}\n", "any", "acme/small"),
        ("base_model", "policy: {inherit_base_model: hold}\n", "any", "acme/small"),
        ("formats", "policy: {formats: {allow: [text]}}\n", "any", "acme/small"),
        ("scan", "policy: {scan: {hub: hold}}\n", f'"{"a" * 40}"', "acme/small"),
        ("guard", "", "any", "acme/small"),
        ("licence", "", "any", "acme/small"),
        ("licence", "policy: {inherit_base_model: hold}\n", "any", "meta/base"),
    ],
)
def test_check_says_nothing_of_an_approval_that_may_count_also_of_a_commit_that_nobody_has_seen(
    tmp_path: Path, rule: str, policy: str, commit: str, repo: str
) -> None:
    assert decides(tmp_path, rule, policy, commit, repo) == []


def test_each_run_reads_the_decisions_anew_and_faults_leave_what_was_decided(tmp_path: Path) -> None:
    path = decided(tmp_path, None)
    configured = Configured(load(path, {}), lambda target: pytest.fail("no store is opened"))
    assert configured.jobs()[0].decisions.every == ()
    (tmp_path / "decisions.yaml").write_text(f"decisions:\n{GOOD}\n", encoding="utf-8")
    assert len(configured.jobs()[0].decisions.every) == 1
    (tmp_path / "decisions.yaml").write_text("decisions: [\n", encoding="utf-8")
    assert len(configured.jobs()[0].decisions.every) == 1
    (tmp_path / "decisions.yaml").unlink()  # as git does for a moment: what was rejected must not slip through
    assert len(configured.jobs()[0].decisions.every) == 1
    (tmp_path / "decisions.yaml").write_text("decisions: []\n", encoding="utf-8")
    assert configured.jobs()[0].decisions.every == ()
