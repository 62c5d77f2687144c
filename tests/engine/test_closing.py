"""What an upstream closes without a new commit is closed here with the next sync, for one PUT of refs.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.catalogue.gather import Gather
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import CLOSED, PINNED, Refs
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Task, TaskResult
from mirror_sync.engine.sync.decide import Decider
from mirror_sync.engine.sync.held_notes import with_held_note
from mirror_sync.engine.upkeep.move_names import WantedNames, move_name
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.state.target_memory import SqliteReadCache
from tests.engine.test_looking import calls, fill, in_turn
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub

NAME = "acme/tiny"
REFS = "hub/models/acme--tiny/refs.json"
CHANGES = [{"gated": "manual"}, {"private": True}]


@pytest.fixture
def published(hub: Hub, tmp_path: Path) -> Workshop:
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_in", approved=[NAME], private=[NAME]))
    hub.model(NAME, license="mit").commit({"a": b"1", "large.bin": LFS(b"x" * 2000)})
    assert workshop.sync_one(job(NAME)).outcome == "published"
    return workshop


def is_closed(workshop: Workshop) -> bool:
    """As the fronts see it."""
    return Snapshots(workshop.store, 0).is_closed(workshop.refs(NAME))


def again(workshop: Workshop) -> list[str]:
    """The keys that one more sync writes."""
    workshop.store.written.clear()
    workshop.sync(job(NAME))
    return list(workshop.store.written)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_closed_is_so_with_the_next_sync_for_a_put_and_no_byte_of_a_file(
    hub: Hub, published: Workshop, change: dict[str, object]
) -> None:
    assert again(published) == []
    assert not is_closed(published)
    hub.model(NAME).set(**change)  # type: ignore[arg-type]
    document, refs = again(published)
    assert (refs, (published.folder / "bucket" / document).stat().st_size < 100) == (REFS, True)
    assert is_closed(published)
    assert published.files(NAME)["a"] == b"1"
    assert again(published) == []


def test_a_report_says_it_once(hub: Hub, published: Workshop) -> None:
    hub.model(NAME).set(gated="auto")
    first, second = (published.sync_one(job(NAME)) for _ in range(2))
    assert (first.outcome, first.reason.partition(":")[0], second.reason) == ("unchanged", "closed", "")
    hub.model(NAME).set(gated=False)
    opened = published.sync_one(job(NAME))
    assert opened.reason.startswith("open again")


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_opened_again_is_open_with_the_next_sync(
    hub: Hub, published: Workshop, change: dict[str, object]
) -> None:
    hub.model(NAME).set(**change)  # type: ignore[arg-type]
    published.sync(job(NAME))
    hub.model(NAME).set(**dict.fromkeys(change, False))  # type: ignore[arg-type]
    assert again(published) == [REFS]
    assert not is_closed(published)


def test_a_new_snapshot_of_main_says_it_by_itself(hub: Hub, published: Workshop) -> None:
    hub.model(NAME).set(gated="auto")
    published.sync(job(NAME))
    hub.model(NAME).commit({"a": b"2"})
    assert published.sync_one(job(NAME)).outcome == "published"
    assert CLOSED not in published.refs(NAME).attachments
    assert is_closed(published)
    assert again(published) == []


def test_a_repo_whose_new_commit_is_held_is_closed_all_the_same(hub: Hub, tmp_path: Path) -> None:
    workshop = Workshop(hub.url, tmp_path)
    hub.model(NAME, license="mit").commit({"a": b"1"})
    workshop.sync(job(NAME))
    hub.model(NAME).set(gated="manual")
    hub.model(NAME).commit({"a": b"2"})
    assert workshop.sync_one(job(NAME)).code == "gated"
    assert is_closed(workshop)
    hub.model(NAME).set(gated=False, license="gpl-3.0")
    assert workshop.sync_one(job(NAME)).outcome == "held"
    assert not is_closed(workshop)


def test_a_repo_that_was_gated_when_it_was_published_is_read_once_and_not_written(hub: Hub, tmp_path: Path) -> None:
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_in", approved=[NAME]))
    target = replace(workshop.context.targets["bucket"], read_cache=SqliteReadCache(tmp_path / "looks.db", "bucket"))
    workshop.context = replace(workshop.context, targets={"bucket": target})
    hub.model(NAME, license="mit", gated="auto").commit({"a": b"1"})
    workshop.sync(job(NAME))
    assert again(workshop) == []
    workshop.store.reads.clear()
    assert again(workshop) == []
    assert workshop.store.reads == [REFS]


def test_a_list_tells_it_too_and_costs_no_further_call(hub: Hub, tmp_path: Path) -> None:
    workshop = Workshop(hub.url, tmp_path)
    wanted = job(*fill(hub, "acme", 3))
    workshop.sync(wanted)
    hub.model("acme/m01", gated="manual")
    hub.log.clear()
    workshop.store.written.clear()
    workshop.sync(wanted)
    assert calls(hub) == (1, in_turn(3))
    assert [key for key in workshop.store.written if key.startswith("hub/")] == ["hub/models/acme--m01/refs.json"]


@pytest.mark.parametrize("by_glob", [True, False])
def test_what_a_list_calls_open_again_is_asked_for_by_itself(hub: Hub, tmp_path: Path, *, by_glob: bool) -> None:
    workshop, names = Workshop(hub.url, tmp_path), fill(hub, "acme", 3)
    wanted = job("acme/*") if by_glob else job(*names)
    workshop.sync(wanted)
    hub.model("acme/m01", gated="manual")
    workshop.sync(wanted)
    assert CLOSED in workshop.refs("acme/m01").attachments
    hub.model("acme/m01").set(gated=False)
    hub.log.clear()
    workshop.sync(wanted)
    assert "m01" in [record.path.split("/")[4] for record in hub.log if record.path != "/api/models"]
    assert CLOSED not in workshop.refs("acme/m01").attachments


def test_a_list_from_before_a_repo_was_closed_opens_nothing(hub: Hub, tmp_path: Path) -> None:
    workshop, _ = Workshop(hub.url, tmp_path), fill(hub, "acme", 3)
    workshop.sync(job("acme/*"))
    hub.model("acme/m01").commit({"a": b"2"})
    hub.hold_lists()
    hub.model("acme/m01").set(gated="manual")
    codes = {report.repo: report.code for report in workshop.sync(job("acme/*")).repos}
    assert codes["acme/m01"] == "gated"
    assert CLOSED in workshop.refs("acme/m01").attachments


def test_a_hold_that_was_decided_of_another_refs_json_overwrites_nothing(hub: Hub, published: Workshop) -> None:
    hub.model(NAME).set(gated="manual")
    hub.model(NAME).commit({"a": b"2"})
    target, task = published.context.targets["bucket"], Task(job("acme/*"), Repo.parse(NAME), "main")
    decider = Decider.of(published.context, published.context.source(task.job), target, [task.job])
    _, before, held = decider.check(task)
    assert isinstance(held, TaskResult)
    stays = main_of(published.refs(NAME))
    moved(published, lambda refs: WantedNames(refs, told("rollback", stays), PINNED, (PINNED,)))
    assert with_held_note(target, decider.presence, task, before, held, "2026-01-01T06:00:00Z") != held
    assert with_held_note(target, decider.presence, task, published.refs(NAME), held, "2026-01-01T06:00:00Z") == held


def pinned_beside_a_commit_that_is_closed(hub: Hub, workshop: Workshop) -> CommitId:
    """Main stays at a commit that was open; the one that came since, which is returned, is closed."""
    open_commit = main_of(workshop.refs(NAME))
    moved(workshop, lambda refs: WantedNames(refs, told("rollback", open_commit), PINNED, (PINNED,)))
    hub.model(NAME).set(gated="auto")
    commit = hub.model(NAME).commit({"a": b"2"})
    assert workshop.sync_one(job(NAME)).outcome == "published"
    assert (workshop.refs(NAME).commit_of("main"), is_closed(workshop)) == (open_commit, True)
    return CommitId(commit)


def told(verb: str, commit: CommitId) -> NameMove:
    return NameMove("2026-01-01T06:00:00Z", "main", commit, commit, "me", "why", verb)


def moved(workshop: Workshop, decide: Callable[[Refs], WantedNames]) -> None:
    context = workshop.context
    move_name(context, context.targets["bucket"], Repo.parse(NAME), decide, wait=False)


def main_of(refs: Refs) -> CommitId:
    at = refs.commit_of("main")
    assert at is not None
    return at


def unpinned(workshop: Workshop) -> None:
    moved(workshop, lambda refs: WantedNames(refs, told("unpin", main_of(refs)), dropped=(PINNED,)))


def test_what_was_closed_while_main_was_pinned_is_not_open_between_unpin_and_the_next_sync(
    hub: Hub, published: Workshop
) -> None:
    commit = pinned_beside_a_commit_that_is_closed(hub, published)
    unpinned(published)
    assert is_closed(published)
    published.sync(job(NAME))
    assert (published.refs(NAME).commit_of("main"), is_closed(published)) == (commit, True)
    hub.model(NAME).set(gated=False)
    hub.model(NAME).commit({"a": b"3"})
    published.sync(job(NAME))
    assert not is_closed(published)


def test_unpin_says_nothing_of_a_repo_that_is_open(hub: Hub, published: Workshop) -> None:
    at = main_of(published.refs(NAME))
    moved(published, lambda refs: WantedNames(refs, told("rollback", at), PINNED, (PINNED,)))
    hub.model(NAME).commit({"a": b"2"})
    published.sync(job(NAME))
    unpinned(published)
    assert CLOSED not in published.refs(NAME).attachments


def test_the_catalogue_lists_it_as_closed(hub: Hub, published: Workshop) -> None:
    repo = Repo.parse(NAME)
    hub.model(NAME).set(gated="auto")
    published.sync(job(NAME))
    [listed] = published.store.list(refs_key(repo))
    facts, _ = Gather(published.store, published.context.targets["bucket"].read_cache, 0).facts(repo, listed)
    assert (facts.closed, '"gated":true' in facts.item) == (True, True)


def test_without_main_the_catalogue_lists_as_closed_what_any_snapshot_closes(hub: Hub, tmp_path: Path) -> None:
    """As the fronts do: an older tag may have been closed when it was published."""
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_in", approved=[NAME]))
    repo = hub.model(NAME, license="mit", gated="auto")
    repo.tag("v1", repo.commit({"a": b"1"}))
    workshop.sync(job(NAME, revisions=("v1",)))
    repo.set(gated=False)
    repo.tag("v2", repo.commit({"a": b"2"}))
    workshop.sync(job(NAME, revisions=("v2",)))
    [listed] = workshop.store.list(refs_key(Repo.parse(NAME)))
    facts, _ = Gather(workshop.store, workshop.context.targets["bucket"].read_cache, 0).facts(Repo.parse(NAME), listed)
    assert (facts.closed, is_closed(workshop)) == (True, True)


def test_a_gated_repo_that_is_held_before_anything_of_it_is_published_is_closed_until_it_is_open(
    hub: Hub, tmp_path: Path
) -> None:
    """Its note names a repo, a commit and verdicts: they are not for everybody."""
    workshop = Workshop(hub.url, tmp_path)
    hub.model(NAME, license="mit", gated="manual").commit({"a": b"1"})
    assert workshop.sync_one(job("acme/*")).outcome == "held"
    assert is_closed(workshop)
    assert again_by_glob(workshop) == []
    hub.model(NAME).set(gated=False, license="gpl-3.0")
    workshop.sync(job("acme/*"))
    assert not is_closed(workshop)


def again_by_glob(workshop: Workshop) -> list[str]:
    workshop.sync(job("acme/*"))
    return list(workshop.store.written)
