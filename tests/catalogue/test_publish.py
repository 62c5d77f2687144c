"""The catalogue shows what a target publishes, and is put where it has changed alone."""

from __future__ import annotations

import json
from dataclasses import replace

from mirror_sync.domain.catalogue.feed import Feed, read_part
from mirror_sync.domain.catalogue.page_data import DATA
from mirror_sync.domain.catalogue.rows import FILES_SHOWN, LACKS_SHOWN, ROWS_PER_PAGE, page_key
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import ClassListMaker
from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.policy.gone import PRIVATE
from mirror_sync.domain.repo import Kind, Repo
from tests.catalogue.examples import front_day
from tests.catalogue.markup import read
from tests.catalogue.shelves import ALWAYS, Machine, Memory, filled, job, line, status
from tests.formats import back_to_format_1
from tests.front.bucket import model


def test_every_repo_that_is_published_has_a_page_with_its_files(store: Memory) -> None:
    filled(store)
    Machine(store).publish()
    page = store.site["models/acme--m1.html"].decode()
    assert "weights.bin" in page
    assert Sha256.of(b"w" * 2000) in page
    assert b"acme/m2" in store.site["index.html"]


def test_a_repo_that_is_asked_for_and_not_mirrored_has_a_page_that_says_why(store: Memory) -> None:
    machine = Machine(store, lines=(line("acme/no", RepoState.REFUSED, reason="licence gpl is in no list"),))
    machine.publish()
    assert b"licence gpl is in no list" in store.site["models/acme--no.html"]
    assert status(store)["gaps"] == 1


def selecting(store: Memory, left: tuple[LeftOut, ...] | None) -> Machine:
    """A machine whose job mirrors acme/m0 in part, of which the root says what was left out; or does not."""
    repo = model(store, "acme/m0")
    commit = repo.publish({"README.md": b"hello"})
    root = Root.decode(store.objects[blob_key(repo.root(commit))][0])
    selection = Selection(("*.md", "*.<b>"), ("*.bin", "*.pt"))
    document = replace(root, selection=selection, left=left).encode()
    store.put(blob_key(document.digest), document.body, document.digest)
    repo.write_refs(replace(repo.refs, snapshots={commit: document.digest}).encode())
    other = line("acme/m0", RepoState.PUBLISHED, "other", commit="0" * 40)
    machine = Machine(store, lines=(line("acme/m0", RepoState.PUBLISHED, commit=commit), other))
    machine.publish()
    return machine


def test_a_repos_page_and_the_json_say_what_which_pattern_leaves_out(store: Memory) -> None:
    left = (LeftOut("exclude", ("*.bin",), 2, 5_000_000), LeftOut("include", ("*.md", "*.<b>"), 1, 10))
    machine = selecting(store, left)
    for again in (False, True):  # read, and remembered
        page = store.site["models/acme--m0.html"].decode()
        assert "2 files (5.00 MB) that match <bdi><code>*.bin</code></bdi>" in page
        assert "1 file (10 B) that is none of <bdi><code>*.md</code></bdi>, <bdi><code>*.&lt;b&gt;</code></bdi>" in page
        told = {item["job"]: item["left_out"] for item in json.loads(store.site["status.json"])["repos"]}
        assert told["all"] == [
            {"rule": "exclude", "patterns": ["*.bin"], "files": 2, "bytes": 5_000_000},
            {"rule": "include", "patterns": ["*.md", "*.<b>"], "files": 1, "bytes": 10},
        ]
        assert told["other"] is None
        if not again:
            machine.publish()


def test_where_nobody_knows_how_much_is_left_out_the_page_says_which_patterns_there_are(store: Memory) -> None:
    selecting(store, None)
    page = store.site["models/acme--m0.html"].decode()
    assert "include *.md, *.&lt;b&gt;, exclude *.bin, *.pt" in page
    assert {item["left_out"] for item in json.loads(store.site["status.json"])["repos"]} == {None}


def test_a_repo_that_is_whole_says_nothing_of_patterns(store: Memory) -> None:
    repo = model(store, "acme/m0")
    commit = repo.publish({"README.md": b"hello"})
    Machine(store, lines=(line("acme/m0", commit=commit),)).publish()
    assert b"patterns" not in store.site["models/acme--m0.html"]
    assert [item["left_out"] for item in json.loads(store.site["status.json"])["repos"]] == [[]]


def test_a_run_that_changed_nothing_puts_only_what_tells_when(store: Memory) -> None:
    filled(store)
    machine = Machine(store)
    machine.publish()
    machine.publish()
    with store.counted() as calls:
        machine.publish()
    assert set(store.put_keys) <= ALWAYS
    assert calls["get"] <= 3 + (3 if store._tells is False else 0) + 4


def test_a_repo_that_changed_costs_five_objects(store: Memory) -> None:
    """Its page, its page of the list, the first page, and what tells when: what machines read is a part of these."""
    repos = filled(store, 40)
    machine = Machine(store, name="us", title="Acme", url="https://models.example.org")
    machine.publish()
    repos[7].publish({"README.md": b"changed"})
    store.put_keys.clear()
    machine.publish()
    [listed] = [f"site/{name}" for name in store.site if name.startswith("list/")]
    assert sorted(store.put_keys) == sorted({*ALWAYS, page_key(repos[7].repo), listed, "site/index.html"})
    found = {name: store.document(name) for name in DATA}
    assert b"changed" not in b"".join(found.values())
    [changed] = [commit for commit in repos[7].refs.snapshots if commit.encode() in found["feed.atom"]][:1]
    assert changed.encode() in found["changes.json"]
    feed = Feed.decode(found["repos.json"])
    assert [part.name for part in feed.parts] == [listed.removeprefix("site/").replace(".html", ".json")]
    told = read_part(store.document(feed.parts[0].name))
    assert told[repos[7].repo] == Sha256.of(store.objects[refs_key(repos[7].repo)][0])
    assert json.loads(found["mirrorz.json"])["site"]["name"] == "Acme"


def test_what_a_program_of_before_put_by_itself_goes_and_nothing_is_read_of_files_for_that(store: Memory) -> None:
    filled(store, 3)
    machine = Machine(store)
    machine.publish()
    before = dict(store.site)
    [listed] = [name.removesuffix(".html") for name in before if name.startswith("list/")]
    old = ("changes.json", "feed.atom", "feed.json", f"{listed}.json", "list/feed-all.json", "tunasync.json")
    for name in (*old, "mirrorz.json"):
        store.objects[f"site/{name}"] = b"{}", 1.0
    pages = {name: body for name, body in before.items() if name.endswith(".html")}
    for name, body in pages.items():  # without what is a part of them now
        store.objects[f"site/{name}"] = body.partition(b'<script type="application/json"')[0], 1.0
    with store.counted() as calls:
        machine.publish()
    assert store.site.keys() == before.keys()
    assert {name: store.document(name) for name in DATA if name != "mirrorz.json"}
    assert not [key for key in store.put_keys if key.startswith("blobs/")]
    assert calls["delete"] == len(old) + 1


def test_what_fronts_find_in_pages_is_put_by_itself_too_where_the_operator_says_so(store: Memory) -> None:
    filled(store, 3)
    machine = Machine(store, title="Acme", url="https://models.example.org", apart=True)
    machine.publish()
    alone = set(DATA) - {"repos.json"}
    assert {name: store.site[name] for name in alone} == {name: store.document(name) for name in alone}
    machine.apart = False
    machine.publish()
    assert not alone & store.site.keys()


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
    gone = line("acme/m0", RepoState.GONE, reason="secret words of the upstream", code="disabled")
    machine = Machine(store, lines=(line("acme/m0"),))
    machine.publish()
    first.write_refs(Refs().encode())
    machine.lines = (gone,)
    machine.publish()
    page = store.site["models/acme--m0.html"]
    assert b"weights.bin" not in page
    assert b"Its upstream has switched it off" in page
    assert b"ask the operator of this site" in page
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
    lines = [line(f"acme/m{number:03}", RepoState.NEVER) for number in range(LACKS_SHOWN + 5)]
    secret = line("acme/secret", RepoState.GONE, code=PRIVATE)
    Machine(store, lines=(*lines, secret, line("acme/zz", RepoState.FAILED))).publish()
    page = store.site["mirror.html"].decode()
    assert page.count("<li><a") == LACKS_SHOWN + 1
    assert page.index("acme/zz") < page.index("acme/m000")
    assert f"acme/m{LACKS_SHOWN:03}" not in page
    assert "acme/secret" not in page


def test_the_page_of_the_mirror_and_the_json_say_how_the_front_did_and_nothing_where_nobody_counts() -> None:
    store = Memory()
    Machine(store).publish()
    assert (b'id="front-name"' in store.site["mirror.html"], status(store)["front"]) == (False, None)
    Machine(store, front=front_day()).publish()
    page = store.site["mirror.html"].decode()
    assert [text in page for text in ("4.00 GB", "0.10 %", "≤ 50 ms", "≤ 500 ms", "96.00 %")] == [True] * 5
    said = {"seconds": 82800, "bytes": 4 * 10**9, "hit_ratios": {"blobs": 0.96}}
    requests = {"1xx": 0, "2xx": 3996, "3xx": 0, "4xx": 0, "5xx": 4, "gone": 0}
    assert status(store)["front"] == {**said, "requests": requests}


def test_a_hostile_repo_stands_in_no_key_and_in_no_document_as_it_is(store: Memory) -> None:
    evil = '<script>alert("1")</script>\N{RIGHT-TO-LEFT OVERRIDE}'
    repo = model(store, "acme/evil")
    repo.publish({f"a/{evil}.bin": b"1", "b' onload='x": b"2"})
    machine = Machine(
        store, lines=(line("acme/evil", RepoState.HELD, reason=evil), line('"><script>', RepoState.FAILED))
    )
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
    assert calls["put"] <= 5
    assert calls["get"] <= 13  # one of them the card


def test_a_tag_costs_no_second_look_at_the_snapshots_that_are_known() -> None:
    store = Memory()
    (repo,) = filled(store, 1)
    commits = [repo.publish({"f": str(number).encode()}) for number in range(20)]
    machine = Machine(store)
    machine.publish()
    repo.tag("v1", commits[4])
    with store.counted() as calls:
        machine.publish()
    assert calls["get"] <= 10
    assert calls["stat"] == 0


def test_the_state_of_a_repo_is_what_needs_a_person_most(store: Memory) -> None:
    filled(store, 1)
    machine = Machine(store, lines=(line("acme/m0"), replace(line("acme/m0", RepoState.FAILED), revision="dev")))
    machine.publish()
    assert b"failed" in store.site["index.html"]


def test_a_machine_that_has_forgotten_all_sees_what_is_published(store: Memory) -> None:
    filled(store, 1)
    Machine(store, lines=(line("acme/m0", RepoState.NEVER),)).publish()
    found = json.loads(store.site["status.json"])
    assert found["complete"] is True
    assert [(entry["state"], entry["files"]) for entry in found["repos"]] == [("published", 2)]
    assert [(entry["repos"], entry["mirrored"]) for entry in found["jobs"]] == [(1, 1)]


def test_a_pattern_that_no_run_has_listed_is_a_gap_without_a_page(store: Memory) -> None:
    Machine(store, lines=(line("acme/*", RepoState.NEVER),)).publish()
    assert status(store)["gaps"] == 1
    assert not any(name.startswith("models/") for name in store.site)


def test_a_repo_that_history_knows_and_the_bucket_does_not_is_a_gap(store: Memory) -> None:
    Machine(store, lines=(line("acme/m0"),)).publish()
    assert status(store)["complete"] is False
    assert page_key(Repo(Kind.MODEL, "acme/m0")) in store.objects


def test_thousands_of_repos_of_which_one_changed_cost_some_calls_and_not_thousands() -> None:
    store = Memory()
    (pattern,) = filled(store, 1)
    refs, count = store.objects[refs_key(pattern.repo)], 3000
    for number in range(count - 1):
        store.objects[refs_key(Repo(Kind.MODEL, f"acme/x{number}"))] = refs
    machine = Machine(store, lines=tuple(line(f"acme/x{number}") for number in range(count - 1)))
    machine.publish()
    assert sum(name.startswith("models/") for name in store.site) == count
    pattern.publish({"README.md": b"changed"})
    with store.counted() as calls:
        machine.publish()
    assert calls["list"] == count // 1000 + -(-len(store.site) // 1000)
    assert calls["put"] <= 5
    assert calls["get"] <= 13  # one of them the card
    assert calls["stat"] + calls["delete"] <= 2


SECRET = "private: name it explicitly or approve it"


def test_the_name_of_a_private_repo_that_is_not_mirrored_stands_nowhere_and_is_no_gap(store: Memory) -> None:
    filled(store, 1)
    lines = (line("acme/m0"), line("acme/merger", RepoState.HELD, reason=SECRET, code="private"))
    Machine(store, lines=lines).publish()
    assert not any(b"merger" in body for body in store.site.values())
    assert not any("merger" in name for name in store.site)
    found = json.loads(store.site["status.json"])
    assert (found["complete"], found["gaps"], found["jobs"][0]["repos"]) == (True, 0, 1)


def test_a_private_repo_of_which_something_is_published_is_shown_with_what_policy_says(store: Memory) -> None:
    filled(store, 1)
    Machine(store, lines=(line("acme/m0", RepoState.HELD, reason=SECRET, code="private"),)).publish()
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


def test_what_a_program_of_format_1_published_has_its_page_with_its_verdict_and_its_files(store: Memory) -> None:
    repo = model(store, "acme/m0")
    commit = repo.publish({"README.md": b"hello"})
    back_to_format_1(store, repo.repo)
    Machine(store, lines=(line("acme/m0", RepoState.PUBLISHED, commit=commit),)).publish()
    page = store.site["models/acme--m0.html"].decode()
    assert "apache-2.0 is allowed" in page
    assert Sha256.of(b"hello") in page


def test_a_page_says_what_its_root_says_of_signatures_scans_classes_and_verdicts(store: Memory) -> None:
    repo, plain = model(store, "acme/proved"), model(store, "acme/plain")
    made = ClassListMaker()
    made.add("README.md", 5, Classified(FileClass.TEXT, "text"))
    made.add("weights.bin", 9, Classified(FileClass.PICKLE, "torch zip"))
    attached = {"SHA256SUMS": b"sums", "SHA256SUMS.sig": b"sig", "scans": b"{}", "classes": made.made().encode()}
    files = {"README.md": b"hello", "weights.bin": b"w" * 9}
    commit = repo.publish(files, attached=attached)
    plain.publish({"README.md": b"hello"})
    machine = Machine(store, lines=(line("acme/proved"), line("acme/plain")), principal="Example-models")
    for _ in range(2):  # what is read, and what is remembered
        machine.publish()
        page = read(store.site["models/acme--proved.html"])
        for words in ("signed", "scanned", "1 pickle", "licence", "apache-2.0 is allowed", "-I Example-models "):
            assert words in page.text, words
        assert f"/-/trust/models/acme/proved/{commit}/" in page.text
        told = read(store.site["models/acme--plain.html"]).text
        assert not {word for word in ("signed", "scanned", "pickle", "ssh-keygen") if word in told}
        plain.publish({"README.md": b"hello again"})
    repo.publish(files)
    machine.publish()
    assert "ssh-keygen" not in store.site["models/acme--proved.html"].decode()


def test_another_name_of_who_signs_is_told_on_pages_that_are_there(store: Memory) -> None:
    model(store, "acme/proved").publish({"README.md": b"hello"}, attached={"SHA256SUMS.sig": b"sig"})
    machine = Machine(store, lines=(line("acme/proved"),), principal="before")
    machine.publish()
    machine.principal = "after"
    machine.publish()
    assert " -I after " in store.site["models/acme--proved.html"].decode()


def test_a_run_that_ended_has_looked_at_each_repo_that_does_not_say_otherwise(store: Memory) -> None:
    """Unless a pattern of the job could not be listed: what it stands for was looked at by nobody."""
    filled(store, 2)
    ended = replace(job("all").shown, last_state="failed", last_finished="2026-11-20T07:45:00Z")
    jobs = (replace(job("all"), shown=ended),)
    lines = (line("acme/m0"), line("acme/m1", RepoState.FAILED, code="unreachable"))
    machine = Machine(store, jobs=jobs, lines=lines)
    machine.publish()
    assert b'data-checked="2026-11-20T07:45:00Z"' in store.site["mirror.html"]
    assert b'data-jobs="[&#34;all&#34;]"' in store.site["models/acme--m0.html"]
    assert b'data-jobs="[]"' in store.site["models/acme--m1.html"]
    machine.lines = (*lines, line("other/*", RepoState.FAILED, code="unreachable"))
    machine.publish()
    assert b'data-checked="2026-11-20T07:30:00Z"' in store.site["mirror.html"]  # of the last complete run
