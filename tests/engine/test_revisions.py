"""Globs over repos and revisions, and how revisions of several jobs meet."""

from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.events import RefsLeftOut
from tests.engine.workshop import Workshop, job
from tests.standin import Hub


def test_a_glob_names_the_repos_of_an_owner_in_one_call(hub: Hub, workshop: Workshop) -> None:
    for name in ("acme/llm-a", "acme/llm-b", "acme/other", "rival/llm-c"):
        hub.model(name, license="mit").commit({"f": name.encode()})
    report = workshop.sync(job("acme/llm-*"))
    assert sorted(repo.repo for repo in report.repos) == ["acme/llm-a", "acme/llm-b"]
    hub.log.clear()
    assert {repo.outcome for repo in workshop.sync(job("acme/llm-*")).repos} == {"unchanged"}
    assert len(hub.log) == 1 + 1, "and one repo for itself, since a list may lag"


def test_a_licence_read_from_the_listing_refuses_without_another_call(hub: Hub, workshop: Workshop) -> None:
    for number in range(5):
        hub.model(f"acme/gpl-{number}", license="gpl-3.0").commit({"f": b"1"})
    report = workshop.sync(job("acme/*"))
    assert {repo.outcome for repo in report.repos} == {"refused"}
    assert len(hub.log) == 1


def test_a_glob_that_matches_nothing_is_a_failure_with_a_reason(hub: Hub, workshop: Workshop) -> None:
    report = workshop.sync_one(job("nobody/*"))
    assert (report.outcome, report.repo) == ("failed", "nobody/*")
    assert "no repo of nobody matches" in report.reason


def test_a_repo_named_twice_by_a_job_is_synced_once(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/a", license="mit").commit({"f": b"1"})
    assert len(workshop.sync(job("acme/a", "acme/*")).repos) == 1


def test_branches_tags_and_commits_are_published_under_their_own_names(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    repo.tag("v1.0", first)
    second = repo.commit({"a": b"2"})
    repo.branch("dev", second)
    third = repo.commit({"a": b"3"})
    report = workshop.sync(job("acme/x", revisions=("main", "v*", "dev", first)))
    assert {repo.revision: repo.commit for repo in report.repos} == {
        "main": third,
        "v1.0": first,
        "dev": second,
        first: first,
    }
    assert set(workshop.refs("acme/x").refs) == {
        Ref("branches", "main", "refs/heads/main", CommitId(third)),
        Ref("branches", "dev", "refs/heads/dev", CommitId(second)),
        Ref("tags", "v1.0", "refs/tags/v1.0", CommitId(first)),
    }
    assert workshop.files("acme/x", "v1.0") == {"a": b"1"}
    assert workshop.files("acme/x", "dev") == {"a": b"2"}


def test_a_full_ref_name_is_published_where_the_hub_lists_it(hub: Hub, workshop: Workshop) -> None:
    repo = hub.dataset("acme/x", license="mit")
    repo.commit({"a.csv": b"1"})
    converted = repo.commit({"a.parquet": b"2"}, branch="refs/convert/parquet")
    workshop.sync(job("dataset:acme/x", revisions=("refs/convert/parquet",)))
    assert workshop.refs("dataset:acme/x").refs == (
        Ref("converts", "parquet", "refs/convert/parquet", CommitId(converted)),
    )
    assert workshop.files("dataset:acme/x", "refs/convert/parquet") == {"a.parquet": b"2"}


def test_a_second_name_of_a_published_commit_moves_a_ref_and_lists_nothing(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    workshop.sync(job("acme/x"))
    repo.tag("v1.0")
    hub.log.clear()
    report = workshop.sync_one(job("acme/x", revisions=("v1.0",)))
    assert (report.outcome, report.fetched_files, report.files) == ("published", 0, 1)
    assert hub.calls("GET", "*/tree/*") == 0
    assert workshop.store.written == ["hub/models/acme--x/refs.json"]


def test_revisions_of_two_jobs_meet_in_one_refs_json(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    repo.tag("v1.0")
    repo.commit({"a": b"2"})
    workshop.sync(job("acme/x", name="one"), job("acme/x", name="two", revisions=("v1.0",)))
    assert {ref.name for ref in workshop.refs("acme/x").refs} == {"main", "v1.0"}


def test_a_revision_glob_that_matches_nothing_is_nothing_to_do(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    run = workshop.sync(job("acme/x", revisions=("main", "v*")))
    reports = {report.revision: report for report in run.repos}
    assert run.ok
    assert (reports["main"].outcome, reports["v*"].outcome) == ("published", "unchanged")
    assert reports["v*"].reason == "no branch or tag of acme/x matches v*: nothing to do"
    assert workshop.plan(job("acme/x", revisions=("v*",))).repos[0].outcome == "unchanged"


def test_names_that_no_ref_should_have_are_left_out_and_told_and_harm_no_others(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    odd = ("v2\nmain", "v2.lock", "v2" + "x" * 100_000, "v\u202e2", "v 2")
    for name in ("v1.0", "other name", *odd):
        repo.tag(name)
    run = workshop.sync(job("acme/x", revisions=("main", "v*")))
    assert run.ok
    assert {(report.revision, report.outcome) for report in run.repos} == {("main", "published"), ("v1.0", "published")}
    assert {ref.name for ref in workshop.refs("acme/x").refs} == {"main", "v1.0"}
    (told,) = [event for event in workshop.events if isinstance(event, RefsLeftOut)]
    assert (told.count, len(told.refs)) == (len(odd), 3)
    assert all(ref.isprintable() and len(ref) < 200 for ref in told.refs)
    assert r"v2\nmain: it has characters that nobody sees" in told.refs
    assert {plan.revision for plan in workshop.plan(job("acme/x", revisions=("v*",))).repos} == {"v1.0"}


def test_a_glob_that_only_stands_for_such_names_is_nothing_to_do(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    repo.tag("v1.lock")
    assert workshop.sync_one(job("acme/x", revisions=("v*",))).outcome == "unchanged"
    assert not workshop.refs("acme/x").refs


def test_an_exact_revision_that_is_missing_is_a_failure(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    report = workshop.sync_one(job("acme/x", revisions=("v1.0",)))
    assert (report.outcome, report.code) == ("failed", "revision-not-found")


def test_a_tag_that_vanished_upstream_stays_in_the_mirror(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    repo.tag("v1.0")
    workshop.sync(job("acme/x", revisions=("main", "v1.0")))
    repo.delete_ref("v1.0")
    workshop.sync(job("acme/x", revisions=("main", "v1.0")))
    assert workshop.commit("acme/x", "v1.0") == first


def test_a_conversion_does_not_stand_in_the_way_of_a_branch_of_its_last_word(hub: Hub, workshop: Workshop) -> None:
    repo = hub.dataset("acme/data", license="mit")
    repo.commit({"a.csv": b"1"})
    converted = {f"{number:04d}.parquet": b"%d" % number for number in range(20)}
    repo.commit(converted, branch="refs/convert/parquet")
    workshop.sync(job("dataset:acme/data", revisions=("main", "refs/convert/parquet")))
    repo.branch("parquet")
    repo.commit({"b.csv": b"2"}, branch="parquet")
    report = workshop.sync(job("dataset:acme/data", revisions=("main", "refs/convert/parquet", "parquet")))
    assert {one.revision: one.outcome for one in report.repos}["parquet"] == "published"
    assert workshop.files("dataset:acme/data", "parquet").keys() == {"a.csv", "b.csv"}
    assert workshop.files("dataset:acme/data", "refs/convert/parquet").keys() >= converted.keys()


def test_a_pull_request_is_not_the_tag_of_its_number(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"f": b"1"})
    repo.tag("7", first)
    repo.pull_request(7, {"f": b"a stranger's"})
    workshop.sync(job("acme/x", revisions=("main", "refs/pr/7")))
    assert workshop.refs("acme/x").commit_of("7") is None
    workshop.sync(job("acme/x", revisions=("main", "refs/pr/7", "7")))
    assert workshop.files("acme/x", "7") == {"f": b"1"}
    assert workshop.files("acme/x", "refs/pr/7") == {"f": b"a stranger's"}


def test_head_as_a_revision_of_a_job_is_the_default_branch(hub: Hub, workshop: Workshop) -> None:
    commit = hub.model("acme/x", license="mit").commit({"f": b"1"})
    assert workshop.sync_one(job("acme/x", revisions=("HEAD",))).outcome == "published"
    assert workshop.refs("acme/x").commit_of("main") == commit
