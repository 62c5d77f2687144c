"""The catalogue shows what a target publishes, is put where it has changed alone, and mends itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.catalogue.known import KnownJob
from mirror_sync.domain.catalogue import FILES_SHOWN, GAPS_SHOWN, ROWS_PER_PAGE, page_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.gone import PRIVATE
from mirror_sync.domain.keys import blob_key, refs_key
from mirror_sync.domain.line import State
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import Interrupted, StoreUnavailable
from tests.catalogue.shelves import Machine, Memory, job, line
from tests.front.bucket import Published, model

ALWAYS = {"site/mirror.html", "site/status.json"}
"""What says when it was last looked."""


@pytest.fixture(params=[True, False], ids=["bucket", "directory"])
def store(request: pytest.FixtureRequest) -> Memory:
    return Memory(tells=request.param)


def filled(store: Memory, count: int = 3) -> list[Published]:
    repos = [model(store, f"acme/m{number}") for number in range(count)]
    for repo in repos:
        repo.publish({"README.md": b"hello", "weights.bin": b"w" * 2000})
    return repos


def status(store: Memory) -> dict[str, object]:
    found: dict[str, object] = json.loads(store.site["status.json"])
    return found


def test_every_repo_that_is_published_has_a_page_with_its_files(store: Memory) -> None:
    filled(store)
    Machine(store).publish()
    page = store.site["models/acme--m1.html"].decode()
    assert "weights.bin" in page
    assert Sha256.of(b"w" * 2000) in page
    assert b"acme/m2" in store.site["index.html"]


def test_a_repo_that_is_asked_for_and_not_mirrored_has_a_page_that_says_why(store: Memory) -> None:
    machine = Machine(store, lines=(line("acme/no", State.REFUSED, reason="licence gpl is in no list"),))
    machine.publish()
    assert b"licence gpl is in no list" in store.site["models/acme--no.html"]
    assert status(store)["gaps"] == 1


def test_a_run_that_changed_nothing_puts_only_what_tells_when(store: Memory) -> None:
    filled(store)
    machine = Machine(store)
    machine.publish()
    machine.publish()
    with store.counted() as calls:
        machine.publish()
    assert set(store.put_keys) <= ALWAYS
    assert calls["get"] <= 3 + (3 if store._tells is False else 0) + 4


def test_a_repo_that_changed_costs_six_objects(store: Memory) -> None:
    repos = filled(store, 40)
    machine = Machine(store)
    machine.publish()
    repos[7].publish({"README.md": b"changed"})
    store.put_keys.clear()
    machine.publish()
    assert len(store.put_keys) <= 6
    assert page_key(repos[7].repo) in store.put_keys


def test_what_is_already_there_is_not_put_again_by_a_machine_that_remembers_nothing(store: Memory) -> None:
    filled(store)
    Machine(store).publish()
    store.put_keys.clear()
    Machine(store).publish()
    assert set(store.put_keys) <= ALWAYS


def test_a_page_that_was_overwritten_or_lost_comes_back(store: Memory) -> None:
    filled(store)
    machine = Machine(store)
    machine.publish()
    machine.publish()
    good = dict(store.site)
    store.objects["site/models/acme--m0.html"] = b"broken", 1.0
    del store.objects["site/models/acme--m1.html"]
    machine.publish()
    assert store.site.keys() == good.keys()
    assert store.site["models/acme--m0.html"] == good["models/acme--m0.html"]


def test_a_page_of_the_same_size_that_nobody_noticed_comes_back_when_all_is_compared(store: Memory) -> None:
    filled(store)
    machine = Machine(store)
    machine.publish()
    good = store.site["index.html"]
    body, modified = store.objects["site/index.html"]
    store.objects["site/index.html"] = body[::-1], modified
    machine.publish(anew=True)
    assert store.site["index.html"] == good


def test_the_page_of_a_repo_that_is_no_longer_published_goes(store: Memory) -> None:
    first, *_ = filled(store)
    machine = Machine(store)
    machine.publish()
    first.write_refs(Refs().encode())
    machine.publish()
    assert "models/acme--m0.html" not in store.site
    assert not any(b"acme/m0" in body for body in store.site.values())


def test_a_repo_that_was_withdrawn_and_is_asked_for_shows_no_file_any_more(store: Memory) -> None:
    first, *_ = filled(store)
    gone = line("acme/m0", State.GONE, reason="secret words of the upstream", code="disabled")
    machine = Machine(store, lines=(line("acme/m0"),))
    machine.publish()
    first.write_refs(Refs().encode())
    machine.lines = (gone,)
    machine.publish()
    page = store.site["models/acme--m0.html"]
    assert b"weights.bin" not in page
    assert b"(disabled)" in page
    assert not any(b"secret words" in body for body in store.site.values())


def test_files_of_the_operator_below_site_stay(store: Memory) -> None:
    filled(store)
    store.objects["site/robots.txt"] = b"mine", 1.0
    machine = Machine(store)
    machine.publish()
    assert store.site["robots.txt"] == b"mine"


def test_pages_are_written_anew_when_the_operator_names_the_mirror_and_only_then(store: Memory) -> None:
    filled(store)
    machine = Machine(store)
    machine.publish()
    machine.title = "Example Institute"
    machine.publish()
    assert all(b"Example Institute" in body for name, body in store.site.items() if name.endswith(".html"))
    store.put_keys.clear()
    machine.publish()
    assert set(store.put_keys) <= ALWAYS


def test_the_page_of_the_mirror_names_some_gaps_those_first_that_need_a_person_and_none_that_is_private() -> None:
    store = Memory()
    lines = [line(f"acme/m{number:03}", State.NEVER) for number in range(GAPS_SHOWN + 5)]
    secret = line("acme/secret", State.GONE, code=PRIVATE)
    Machine(store, lines=(*lines, secret, line("acme/zz", State.FAILED))).publish()
    page = store.site["mirror.html"].decode()
    assert page.count('<tr><th scope="row"><a') == GAPS_SHOWN
    assert page.index("acme/zz") < page.index("acme/m000")
    assert "acme/m099" not in page
    assert "acme/secret" not in page


def dying(store: Memory, at: int) -> None:
    """From its object number `at` on the store takes nothing of the catalogue."""
    left = [at]

    def refuse(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("site/"):
            left[0] -= 1
            if left[0] <= 0:
                raise StoreUnavailable("503")

    store.before = refuse


@pytest.mark.parametrize("at", range(1, 10))
def test_a_death_between_two_objects_is_mended_by_the_next_run(at: int) -> None:
    store = Memory()
    filled(store)
    dying(store, at)
    machine = Machine(store)
    with pytest.raises(StoreUnavailable):
        machine.publish()
    store.before = lambda verb, key: None
    machine.publish()
    store.put_keys.clear()
    Machine(store).publish(anew=True)
    assert set(store.put_keys) <= ALWAYS


@pytest.mark.parametrize("at", range(1, 10))
def test_no_page_leads_to_one_that_is_not_there_whenever_it_dies(at: int) -> None:
    store = Memory()
    filled(store)
    dying(store, at)
    with pytest.raises(StoreUnavailable):
        Machine(store).publish()
    if "index.html" in store.site:
        assert {f"models/acme--m{number}.html" for number in range(3)} <= store.site.keys()
        assert any(name.startswith("assets/") for name in store.site)


def test_who_is_asked_to_stop_stops_between_two_pages() -> None:
    store = Memory()
    filled(store)

    def stop() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        Machine(store, go_on=stop).publish()
    assert not store.site


def test_a_repo_that_cannot_be_read_is_counted_and_keeps_its_page(store: Memory) -> None:
    repos = filled(store)
    machine = Machine(store)
    machine.publish()
    page = store.site["models/acme--m0.html"]
    commit = repos[0].publish({"README.md": b"new"})
    del store.objects[blob_key(repos[0].root(commit))]
    store.objects[refs_key(repos[1].repo)] = b"not json", 2.0
    sheets = machine.publish()
    assert sheets.unread == 2
    assert store.site["models/acme--m0.html"] == page
    assert "models/acme--m1.html" in store.site


def test_two_machines_with_different_jobs_write_the_same_pages_and_come_to_rest(store: Memory) -> None:
    filled(store)
    one = Machine(store, "one", (job("a", "one"),), (line("acme/m0", job="a"), line("acme/x", State.REFUSED, "a")))
    two = Machine(store, "two", (job("b", "two"),), (line("acme/m1", State.FAILED, "b", code="unreachable"),))
    for machine in (one, two, one, two):
        machine.publish()
    for machine in (one, two):
        store.put_keys.clear()
        machine.publish()
        assert set(store.put_keys) <= ALWAYS
    jobs = status(store)["jobs"]
    assert isinstance(jobs, list)
    assert [entry["name"] for entry in jobs] == ["a", "b"]
    assert "models/acme--x.html" in store.site


def test_a_job_that_jobs_yaml_names_no_more_goes_and_that_of_a_machine_that_fell_silent_a_month_later() -> None:
    store = Memory()
    one = Machine(store, "one", (job("a", "one"), job("old", "one")), (line("acme/x", State.REFUSED, "old"),))
    one.publish()
    Machine(store, "two", (job("b", "two"),)).publish()
    one.jobs, one.lines = (job("a", "one"),), ()
    one.publish()
    names = [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]]
    assert names == ["a", "b"]
    assert "models/acme--x.html" not in store.site
    one.at = one.at.replace(year=2027)
    one.publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["a"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"format":1}', b'{"format":1,"jobs":[{}],"repos":[]}', b"\xff"])
def test_a_status_that_cannot_be_read_is_written_anew(store: Memory, body: bytes) -> None:
    store.objects["site/status.json"] = body, 1.0
    Machine(store).publish()
    assert status(store)["format"] == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("reason", "\ud800"), ("lag_seconds", float("nan")), ("published", "<b>"), ("state", "x"), ("files", [])],
)
def test_what_no_machine_has_said_and_no_page_can_hold_is_not_believed(store: Memory, key: str, value: object) -> None:
    lines = (line("acme/b", State.FAILED, "b"), line("acme/c", State.FAILED, "b"))
    Machine(store, "two", (job("b", "two"),), lines).publish()
    said = json.loads(store.site["status.json"])
    said["repos"][0][key] = value
    store.objects["site/status.json"] = json.dumps(said).encode(), 1.0
    Machine(store, "one").publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["all", "b"]
    assert [entry["repo"] for entry in json.loads(store.site["status.json"])["repos"]] == ["acme/c"]


def test_a_hostile_repo_stands_in_no_key_and_in_no_document_as_it_is(store: Memory) -> None:
    evil = '<script>alert("1")</script>\N{RIGHT-TO-LEFT OVERRIDE}'
    repo = model(store, "acme/evil")
    repo.publish({f"a/{evil}.bin": b"1", "b' onload='x": b"2"})
    machine = Machine(store, lines=(line("acme/evil", State.HELD, reason=evil), line('"><script>', State.FAILED)))
    machine.publish()
    assert all(name.isascii() and "<" not in name and '"' not in name for name in store.site)
    for name, body in store.site.items():
        if name.endswith(".html"):
            assert b"<script>alert" not in body, name
        if name.endswith(".json"):
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body.decode(), name


def test_a_repo_of_very_many_files_is_read_in_part() -> None:
    store = Memory()
    repo = model(store, "acme/many")
    repo.publish({f"{number:06}.txt": b"1" for number in range(20_000)})
    with store.counted() as calls:
        Machine(store).publish()
    page = store.site["models/acme--many.html"]
    assert b"%06d.txt" % (FILES_SHOWN - 1) in page
    assert b"%06d.txt" % FILES_SHOWN not in page
    assert calls["get"] < 15


def test_what_looks_remembers_of_a_repo_costs_no_read_of_it() -> None:
    store = Memory()
    count = 2 * ROWS_PER_PAGE
    repos = filled(store, count)
    machine = Machine(store)
    machine.publish()
    repos[3].publish({"README.md": b"changed"})
    with store.counted() as calls:
        machine.publish()
    assert calls["list"] <= 2
    assert calls["put"] <= 6
    assert calls["get"] <= 12


def test_a_tag_costs_no_second_look_at_the_snapshots_that_are_known() -> None:
    store = Memory()
    (repo,) = filled(store, 1)
    commits = [repo.publish({"f": str(number).encode()}) for number in range(20)]
    machine = Machine(store)
    machine.publish()
    repo.tag("v1", commits[4])
    with store.counted() as calls:
        machine.publish()
    assert calls["get"] <= 8
    assert calls["stat"] == 0


def test_the_state_of_a_repo_is_what_needs_a_person_most(store: Memory) -> None:
    filled(store, 1)
    machine = Machine(store, lines=(line("acme/m0"), replace(line("acme/m0", State.FAILED), revision="dev")))
    machine.publish()
    assert b"failed" in store.site["index.html"]


def test_a_machine_that_has_forgotten_all_sees_what_is_published(store: Memory) -> None:
    filled(store, 1)
    Machine(store, lines=(line("acme/m0", State.NEVER),)).publish()
    found = json.loads(store.site["status.json"])
    assert found["complete"] is True
    assert [(entry["state"], entry["files"]) for entry in found["repos"]] == [("published", 2)]
    assert [(entry["repos"], entry["mirrored"]) for entry in found["jobs"]] == [(1, 1)]


def test_a_pattern_that_no_run_has_listed_is_a_gap_without_a_page(store: Memory) -> None:
    Machine(store, lines=(line("acme/*", State.NEVER),)).publish()
    assert status(store)["gaps"] == 1
    assert not any(name.startswith("models/") for name in store.site)


def test_a_repo_that_history_knows_and_the_bucket_does_not_is_a_gap(store: Memory) -> None:
    Machine(store, lines=(line("acme/m0"),)).publish()
    assert status(store)["complete"] is False
    assert page_key(Repo(Kind.MODEL, "acme/m0")) in store.objects


def test_ten_thousand_repos_of_which_one_changed_cost_some_calls_and_not_ten_thousand() -> None:
    store = Memory()
    (pattern,) = filled(store, 1)
    refs, count = store.objects[refs_key(pattern.repo)], 10_000
    for number in range(count - 1):
        store.objects[refs_key(Repo(Kind.MODEL, f"acme/x{number}"))] = refs
    machine = Machine(store, lines=tuple(line(f"acme/x{number}") for number in range(count - 1)))
    machine.publish()
    assert sum(name.startswith("models/") for name in store.site) == count
    pattern.publish({"README.md": b"changed"})
    with store.counted() as calls:
        machine.publish()
    assert calls["list"] == count // 1000 + -(-len(store.site) // 1000)
    assert calls["put"] <= 6
    assert calls["get"] <= 12
    assert calls["stat"] + calls["delete"] <= 2


SECRET = "private: name it explicitly or approve it"


def test_the_name_of_a_private_repo_that_is_not_mirrored_stands_nowhere_and_is_no_gap(store: Memory) -> None:
    filled(store, 1)
    lines = (line("acme/m0"), line("acme/merger", State.HELD, reason=SECRET, code="private"))
    Machine(store, lines=lines).publish()
    assert not any(b"merger" in body for body in store.site.values())
    assert not any("merger" in name for name in store.site)
    found = json.loads(store.site["status.json"])
    assert (found["complete"], found["gaps"], found["jobs"][0]["repos"]) == (True, 0, 1)


def test_a_private_repo_of_which_something_is_published_is_shown_with_what_policy_says(store: Memory) -> None:
    filled(store, 1)
    Machine(store, lines=(line("acme/m0", State.HELD, reason=SECRET, code="private"),)).publish()
    assert SECRET.encode() in store.site["models/acme--m0.html"]
    assert status(store)["gaps"] == 1


def test_a_revision_that_is_published_no_more_is_a_gap_though_others_of_the_repo_are(store: Memory) -> None:
    (repo,) = filled(store, 1)
    Machine(store, lines=(line("acme/m0"), replace(line("acme/m0"), revision="v2"))).publish()
    found = json.loads(store.site["status.json"])
    assert found["complete"] is False
    assert {entry["revision"]: entry["state"] for entry in found["repos"]} == {"main": "published", "v2": "never"}
    repo.tag("v2", repo.publish({"README.md": b"two"}))
    Machine(store, lines=(line("acme/m0"), replace(line("acme/m0"), revision="refs/tags/v2"))).publish()
    assert status(store)["complete"] is True


def ran(last: str | None, machine: str) -> KnownJob:
    """The job `all`, as a machine knows it where its last run began and ended at `last`."""
    known, state = job("all", machine), "failed" if last else ""
    shown = replace(known.shown, last_started=last, last_finished=last, last_state=state)
    return replace(known, shown=shown, succeeded=None)


@pytest.mark.parametrize("last", [None, "2026-11-19T07:00:00Z", "2099-01-01T00:00:00Z", "2026-11-20T08:59:59"])
def test_of_a_job_that_two_machines_have_the_word_of_the_one_that_ran_it_last_stands(
    store: Memory, last: str | None
) -> None:
    """A clock that is wrong, and one without a zone, say nothing."""
    filled(store, 1)
    told = (line("acme/m0", State.FAILED, code="unreachable"), line("acme/no", State.REFUSED, reason="licence gpl"))
    Machine(store, "daemon", (ran("2026-11-20T07:00:00Z", "daemon"),), told).publish()
    idle = Machine(
        store, "laptop", (ran(last, "laptop"),), (line("acme/m0", State.NEVER), line("acme/no", State.NEVER))
    )
    idle.publish()
    found = json.loads(store.site["status.json"])
    assert {entry["repo"]: entry["state"] for entry in found["repos"]} == {"acme/m0": "failed", "acme/no": "refused"}
    assert [(entry["machine"], entry["last_state"]) for entry in found["jobs"]] == [("daemon", "failed")]
    idle.jobs = (ran("2026-11-20T07:59:00Z", "laptop"),)
    idle.publish()
    found = json.loads(store.site["status.json"])
    assert [entry["machine"] for entry in found["jobs"]] == ["laptop"]
    assert {entry["repo"]: entry["state"] for entry in found["repos"]} == {"acme/m0": "published", "acme/no": "never"}


def test_who_speaks_from_the_future_is_forgotten_a_month_after_it_was_heard() -> None:
    store = Memory()
    Machine(
        store, "two", (job("b", "two", at="2099-01-01T00:00:00Z"),), (line("acme/x", State.REFUSED, "b"),)
    ).publish()
    one = Machine(store, "one", (job("a", "one"),))
    for days, names in ((0, ["a", "b"]), (29, ["a", "b"]), (2, ["a"])):
        one.at += timedelta(days=days)
        one.publish()
        assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == names
