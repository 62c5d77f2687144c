"""Policy, gates and conflicts: what is not mirrored, and the reason that is given."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import WorkItem
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.run import open_job_run
from mirror_sync.engine.sync.repo_sync import run_work_item
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub
from tests.standin.answer import Answer, Request
from tests.standin.content import Memory
from tests.standin.faults import status


def test_a_refused_licence_transfers_nothing_and_is_no_failure(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/gpl", license="gpl-3.0").commit({"w": LFS(b"x")})
    report = workshop.sync(job("acme/gpl"))
    (repo,) = report.repos
    assert (repo.outcome, repo.reason, repo.code) == (
        "refused",
        "licence gpl-3.0 is not in licenses.allow",
        "license",
    )
    assert report.ok
    assert workshop.store.written == []
    assert hub.calls("GET", "*/resolve/*") == 0


def test_a_repo_under_review_is_held_until_it_is_approved_by_name(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/llama", license="llama3.1").commit({"w": LFS(b"x")})
    review = LicensePolicy(review=frozenset({"llama3.1"}))
    assert workshop.sync_one(job("acme/llama", policy=review)).outcome == "held"
    assert workshop.refs("acme/llama").snapshots == {}, "all that is written is a note of what is held"
    approved = LicensePolicy(
        review=frozenset({"llama3.1"}), approved=(Approval(Repo.parse("acme/llama"), "Ada", "ticket 7"),)
    )
    assert workshop.sync_one(job("acme/llama", policy=approved)).outcome == "published"
    assert workshop.root("acme/llama").reason.startswith("approved by Ada: ticket 7")


def test_a_new_commit_whose_licence_no_longer_passes_is_held_and_the_old_snapshot_stays(
    hub: Hub, workshop: Workshop
) -> None:
    repo = hub.model("acme/tiny", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync(job("acme/tiny"))
    repo.set(license="gpl-3.0")
    repo.commit({"a": b"2"})
    report = workshop.sync_one(job("acme/tiny"))
    assert report.outcome == "held"
    assert report.reason == "licence gpl-3.0 is not in licenses.allow; the snapshot published before stays"
    assert workshop.commit("acme/tiny") == first


def test_a_repo_that_becomes_gated_is_held_and_the_old_snapshot_stays(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/tiny", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync(job("acme/tiny"))
    repo.set(gated="manual")
    repo.commit(rename={"a": "b"})  # needs no byte: even so nobody may publish it without access
    report = workshop.sync_one(job("acme/tiny"))
    assert (report.outcome, report.code) == ("held", "gated")
    assert workshop.commit("acme/tiny") == first


def test_a_gated_repo_is_mirrored_with_a_token_that_has_access(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/gated", license="mit", gated="auto").commit({"w": LFS(b"x")})
    token = hub.token("hf_in", approved=["acme/gated"])
    workshop = Workshop(hub.url, tmp_path, token)
    assert workshop.sync_one(job("acme/gated")).outcome == "published"


@pytest.mark.parametrize("case", ["gated", "disabled", "not-found-or-private", "revision-not-found", "token-rejected"])
def test_refusals_of_the_upstream_are_told_apart(hub: Hub, tmp_path: Path, case: str) -> None:
    hub.model("acme/gated", license="mit", gated="auto").commit({"w": LFS(b"x")})
    hub.model("acme/disabled", license="mit", disabled=True).commit({"a": b"1"})
    hub.model("acme/fine", license="mit").commit({"a": b"1"})
    token = "hf_wrong" if case == "token-rejected" else hub.token("hf_right")
    wanted = {
        "gated": job("acme/gated"),
        "disabled": job("acme/disabled"),
        "not-found-or-private": job("acme/nothing"),
        "revision-not-found": job("acme/fine", revisions=("nope",)),
        "token-rejected": job("acme/fine"),
    }[case]
    workshop = Workshop(hub.url, tmp_path, token)
    report = workshop.sync_one(wanted)
    assert (report.outcome, report.code) == ("failed", case)
    assert report.reason
    assert token not in report.reason
    assert workshop.store.written == []


@pytest.mark.parametrize("asked", ["/api/models/acme/shut/*", "/api/models/acme/shut/refs*", "/acme/shut/resolve/*"])
@pytest.mark.parametrize(("repos", "outcome"), [(("acme/*",), "held"), (("acme/*", "acme/shut"), "failed")])
def test_a_gate_is_a_failure_only_for_a_repo_that_the_job_spells_out(
    hub: Hub, workshop: Workshop, asked: str, repos: tuple[str, ...], outcome: str
) -> None:
    """Whatever call it is that the upstream refuses: a glob's repos may be gated for ever, and nobody named them."""
    hub.model("acme/open", license="mit").commit({"a": b"1"})
    hub.model("acme/shut", license="mit").commit({"w": LFS(b"x" * 9)})
    hub.faults.add(status(403, {"X-Error-Code": "GatedRepo"}), asked)
    revisions = ("v*", "main") if "refs" in asked else ("main",)
    report = workshop.sync(job(*repos, revisions=revisions))
    shut = [repo for repo in report.repos if repo.repo == "acme/shut" and repo.code == "gated"]
    assert {(repo.outcome, repo.reason[:6]) for repo in shut} == {(outcome, "gated:")}
    assert ("acme/open", "published") in {(repo.repo, repo.outcome) for repo in report.repos}


def test_with_a_glob_a_gated_repo_is_held_when_it_is_planned_and_when_it_is_synced(
    hub: Hub, workshop: Workshop
) -> None:
    hub.model("acme/open", license="mit").commit({"a": b"1"})
    hub.model("acme/shut", license="mit", gated="manual").commit({"w": LFS(b"x")})
    for report in (workshop.plan(job("acme/*")), workshop.sync(job("acme/*"))):
        (shut,) = [repo for repo in report.repos if repo.repo == "acme/shut"]
        assert (shut.outcome, shut.code, report.ok) == ("held", "gated", True)
    assert workshop.files("acme/open") == {"a": b"1"}


class Elsewhere:
    """Carries work items out as a worker does."""

    at_once = 1

    def at_work(self, context: RunContext) -> AbstractContextManager[object]:
        return nullcontext()

    def bring(self, context: RunContext, work_item: WorkItem) -> RepoReport:
        jobs = work_item.jobs
        with open_job_run(replace(context, executor=None), work_item.run, work_item.task.job, jobs) as job_run:
            return run_work_item(job_run, work_item)


def test_a_gated_repo_that_the_job_spells_out_by_a_former_name_fails_when_it_is_planned_and_wherever_it_is_synced(
    hub: Hub, workshop: Workshop
) -> None:
    hub.model("acme/old", license="mit", gated="manual").commit({"w": LFS(b"x")})
    hub.rename("acme/old", "acme/new")
    here = workshop.plan_one(job("acme/old")), workshop.sync_one(job("acme/old"))
    workshop.context = replace(workshop.context, executor=Elsewhere())
    for report in (*here, workshop.sync_one(job("acme/old"))):
        assert (report.repo, report.outcome, report.code) == ("acme/old", "failed", "gated")


def test_with_a_glob_a_token_that_is_rejected_is_a_failure_still(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/shut", license="mit", gated="manual").commit({"w": LFS(b"x")})
    report = Workshop(hub.url, tmp_path, "hf_wrong").sync(job("acme/*"))
    assert [(repo.outcome, repo.code) for repo in report.repos] == [("failed", "token-rejected")]


def test_one_repo_failing_never_stops_the_others(hub: Hub, workshop: Workshop) -> None:
    for name in ("acme/a", "acme/c"):
        hub.model(name, license="mit").commit({"f": name.encode()})
    report = workshop.sync(job("acme/a", "acme/missing", "acme/c"))
    assert {repo.repo: repo.outcome for repo in report.repos} == {
        "acme/a": "published",
        "acme/missing": "failed",
        "acme/c": "published",
    }
    assert not report.ok


def test_card_and_tags_that_disagree_are_held(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit", license_tags=["apache-2.0"]).commit({"a": b"1"})
    report = workshop.sync_one(job("acme/x"))
    assert report.outcome == "held"


def test_a_missing_licence_is_decided_by_the_operator(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x").commit({"a": b"1"})
    assert workshop.sync_one(job("acme/x")).outcome == "refused"
    allowed = LicensePolicy(missing=Missing.ALLOW)
    assert workshop.sync_one(job("acme/x", policy=allowed)).outcome == "published"


def test_licence_texts_travel_where_patterns_leave_them_out(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"LICENSE": b"l", "README.md": b"r", "a.bin": b"1", "b.txt": b"2"})
    workshop.sync(job("acme/x", selection=Selection(include=("*.bin",))))
    assert sorted(workshop.manifest("acme/x")) == ["LICENSE", "README.md", "a.bin"]


def test_a_licence_for_whole_copies_refuses_a_selection(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/nd", license="cc-by-nd-4.0").commit({"a.bin": b"1", "b.txt": b"2"})
    policy = LicensePolicy(allow=frozenset({"cc-by-nd-4.0"}))
    some = job("acme/nd", policy=policy, selection=Selection(exclude=("*.bin",)))
    assert workshop.sync_one(some).outcome == "refused"
    assert workshop.sync_one(job("acme/nd", policy=policy)).outcome == "published"


def test_a_rename_upstream_is_followed_and_reported(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit({"a": b"1"})
    hub.rename("acme/old", "acme/new")
    report = workshop.sync_one(job("acme/old"))
    assert (report.outcome, report.reason) == ("published", "goes by acme/new here")
    assert workshop.files("acme/new") == {"a": b"1"}


def test_one_revision_with_two_selections_on_one_target_names_both_jobs(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    one, two = job("acme/x", name="one"), job("acme/x", name="two", selection=Selection(exclude=("*.bin",)))
    report = workshop.sync_one(one, among=[two])
    assert (report.outcome, report.code) == ("failed", "selection-conflict")
    assert "one" in report.reason
    assert "two" in report.reason


def test_a_hostile_path_name_is_refused_and_nothing_is_written(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/evil", license="mit").commit({"../../etc/passwd": b"x", "fine": b"y"})
    report = workshop.sync_one(job("acme/evil"))
    assert (report.outcome, report.code) == ("failed", "unsafe-path")
    assert workshop.store.written == []


def test_a_private_repo_is_never_published_by_a_glob(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/secret", license="mit", private=True).commit({"a": b"1"})
    hub.model("acme/open", license="mit").commit({"a": b"2"})
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_member", private=["acme/secret"]))
    for _ in range(2):
        reports = {report.repo: report for report in workshop.sync(job("acme/*")).repos}
        assert reports["acme/open"].outcome in ("published", "unchanged")
        secret = reports["acme/secret"]
        assert (secret.outcome, secret.code) == ("held", "private")
        assert secret.reason == "private: name it explicitly or approve it"
        assert workshop.refs("acme/secret").snapshots == {}
    assert workshop.plan_one(job("acme/s*")).outcome == "held"


def test_a_private_repo_is_published_where_a_person_named_or_approved_it(hub: Hub, tmp_path: Path) -> None:
    for name in ("acme/named", "acme/approved", "acme/neither"):
        hub.model(name, license="mit", private=True).commit({"a": name.encode()})
    token = hub.token("hf_member", private=["acme/named", "acme/approved", "acme/neither"])
    workshop = Workshop(hub.url, tmp_path, token)
    approval = Approval(Repo.parse("acme/approved"), "Ada", "ours")
    wanted = job("acme/named", "acme/*", policy=LicensePolicy(frozenset({"mit"}), approved=(approval,)))
    assert {report.repo: report.outcome for report in workshop.sync(wanted).repos} == {
        "acme/named": "published",
        "acme/approved": "published",
        "acme/neither": "held",
    }
    assert "approved by Ada" in workshop.root("acme/approved").reason


def test_a_private_repo_that_is_named_no_more_is_held_at_the_next_commit(hub: Hub, tmp_path: Path) -> None:
    repo = hub.model("acme/secret", license="mit", private=True)
    first = repo.commit({"a": b"1"})
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_member", private=["acme/secret"]))
    workshop.sync(job("acme/secret"))
    repo.commit({"a": b"2"})
    report = workshop.sync_one(job("acme/*"))
    assert (report.outcome, report.code) == ("held", "private")
    assert report.reason.endswith("; the snapshot published before stays")
    assert workshop.commit("acme/secret") == first


def _promise_another_size(_: Request, answer: Answer) -> Answer:
    """The listing says of `b` that it has 7 bytes."""
    entries = json.loads(answer.body.read())  # type: ignore[attr-defined]
    for entry in entries:
        if entry["path"] == "b":
            entry["size"] = entry["lfs"]["size"] = 7
    return replace(answer, body=Memory(json.dumps(entries).encode()))


def test_one_digest_with_two_sizes_in_one_listing_is_a_bad_answer(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": LFS(b"hello"), "b": LFS(b"hello")})
    hub.faults.add(_promise_another_size, "*/tree/*")
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "bad-answer")
    assert "with two sizes: 5 bytes at 'a' and 7 at 'b'" in report.reason
    assert workshop.store.written == []


def test_a_size_that_is_not_that_of_the_content_we_hold_is_never_published(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": LFS(b"hello")})
    workshop.sync(job("acme/x"))
    repo.commit(rename={"a": "b"})
    hub.faults.add(_promise_another_size, "*/tree/*")
    assert workshop.sync_one(job("acme/x")).outcome == "failed"
    assert workshop.commit("acme/x") == first


def test_a_glob_publishes_no_gated_repo_though_our_token_is_admitted_and_naming_it_does(
    hub: Hub, tmp_path: Path
) -> None:
    """What the token may read, the mirror would give to everybody."""
    hub.model("acme/shut", license="mit", gated="auto").commit({"w": LFS(b"x")})
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_in", approved=["acme/shut"]))
    approved = LicensePolicy(frozenset({"mit"}), approved=(Approval(Repo.parse("acme/shut"), "Ada", "terms read"),))
    for report in (workshop.plan_one(job("acme/*")), workshop.sync_one(job("acme/*"))):
        assert (report.outcome, report.code) == ("held", "gated")
        assert "name it explicitly or approve it" in report.reason
    assert hub.calls("GET", "*/resolve/*") == hub.calls("GET", "*/auth-check") == 0
    assert workshop.plan_one(job("acme/shut")).outcome == "published"
    assert workshop.sync_one(job("acme/*", policy=approved)).outcome == "published"
