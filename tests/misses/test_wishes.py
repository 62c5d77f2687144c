"""What is wished for is bounded, told to the operator, shown without who asked, and granted in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from mirror_sync.app.wishlist import wished_in
from mirror_sync.cli.commands.wishes.wishes_command import _text
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.config.jobs_edit import add_repo
from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content import alias
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.outcome.wish import RepoWish, Wishlist
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import ConfigError, StoreError, StoreUnavailable, UsageError
from mirror_sync.state import wishes as wishes_module
from mirror_sync.state.wishes import Missed, Wishes
from mirror_sync.wiring.program import Mirror
from tests.front.guarded import TOKENS, bearer
from tests.misses.world import World, desk_of
from tests.observers.test_reading import line
from tests.standin import Hub

ONE = Repo.parse("acme/one")


@pytest.fixture
def wishes(tmp_path: Path) -> Iterator[Wishes]:
    made = Wishes(tmp_path)
    yield made
    made.close()


def test_whoever_asks_for_many_names_pushes_out_their_own_and_nobody_elses(
    wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes_module, "MOST_OF_ONE", 5)
    monkeypatch.setattr(wishes_module, "MOST", 8)
    wishes.note("disk", ONE, "token jane", "2026-01-01T00:00:00Z")
    for number in range(20):
        wishes.note("disk", Repo.parse(f"some/n{number}"), "address 00", f"2026-01-02T00:00:{number:02}Z")
    assert {one.repo.id for one in wishes.all()} == {"acme/one", *(f"some/n{number}" for number in range(15, 20))}
    wishes.count("disk", [Missed(Repo.parse(f"log/n{number}"), 1, "2026-01-02T01:00:00Z") for number in range(9)])
    assert {one.repo.owner for one in wishes.all() if one.askers == ("traffic",)} == {"log"}
    assert len([one for one in wishes.all() if one.repo.owner == "log"]) == 5, "a log is one who asks"
    for number in range(20):
        wishes.note("disk", Repo.parse(f"other/n{number}"), f"address {number}", f"2026-01-03T00:00:{number:02}Z")
    assert len(wishes.all()) == 8, "all of them have a bound as well: the oldest go"


def test_wishes_add_up_by_who_asks_and_what_a_log_tells_never_twice(wishes: Wishes) -> None:
    for who in ("token jane", "token jane", "address 00"):
        wishes.note("disk", ONE, who, "2026-01-01T00:00:00Z")
    for count in (4, 3):
        wishes.count("disk", [Missed(ONE, count, "2026-01-05T00:00:00Z")])
    wishes.judge("disk", ONE, "licence mit is in licenses.allow", "allowed")
    (found,) = wishes.all("disk")
    assert (found.count, found.last, found.outcome) == (7, "2026-01-05T00:00:00Z", "allowed")
    assert set(found.askers) == {"token jane", "address 00", "traffic"}
    assert wishes.all("elsewhere") == ()
    assert wishes.close_wish("disk", ONE) == 3
    assert wishes.all() == ()
    wishes.note("disk", ONE, "token jane", "2026-01-06T00:00:00Z")
    assert wishes.all()[0].verdict == "", "what was said of it went with the wish"


HEAD = """# ours
version: 1
upstreams: {hub: {kind: huggingface}}
targets: {disk: {url: "file:mirror"}}
licenses: {allow: [mit]}
defaults: {upstream: hub}
"""
BLOCK = """jobs:
  - name: a  # first
    repos:
      - acme/one   # why
      - acme/two
      # the end
    workers: 2
"""


@pytest.mark.parametrize(
    ("jobs", "after"),
    [
        (BLOCK, BLOCK.replace("acme/two\n", "acme/two\n      - new/one\n")),
        ("jobs: [{name: a, repos: [acme/one]}]\n", "jobs: [{name: a, repos: [acme/one, new/one]}]\n"),
        ("jobs: [{repos: [acme/one, ], name: a}]", "jobs: [{repos: [acme/one, new/one], name: a}]"),
        (
            "jobs:\n- name: a\n  repos:\n  - acme/one\n- {name: b, repos: [b/b]}",
            "jobs:\n- name: a\n  repos:\n  - acme/one\n  - new/one\n- {name: b, repos: [b/b]}",
        ),
        ("jobs:\n- name: a\n  repos:\n  - acme/one", "jobs:\n- name: a\n  repos:\n  - acme/one\n  - new/one\n"),
        (
            "jobs:\n- name: a\n  repos: [\n    acme/one,  # x\n    acme/two  # y, z\n  ]\n",
            "jobs:\n- name: a\n  repos: [\n    acme/one,  # x\n    acme/two  # y, z\n  , new/one]\n",
        ),
    ],
)
def test_a_grant_adds_one_repo_and_leaves_every_other_byte(tmp_path: Path, jobs: str, after: str) -> None:
    path = tmp_path / "jobs.yaml"
    for ends in ("\n", "\r\n"):
        path.write_bytes((HEAD + jobs).replace("\n", ends).encode())
        path.chmod(0o640)
        found = add_repo(load(path, {}), "a", Repo.parse("new/one"), {})
        assert [str(one) for one in found.jobs[0].repos][-1] == "new/one"
        assert path.read_bytes() == (HEAD + after).replace("\n", ends).encode()
        assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["jobs.yaml"]


def test_a_grant_to_a_job_of_whose_models_another_one_takes_variants_gives_both_one_more(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    jobs = "jobs:\n- {name: a, repos: [acme/one]}\n- {name: q, variants: {of: [a], gguf: [Q4_K_M]}}\n"
    path.write_text(HEAD + jobs, encoding="utf-8")
    base, quants = add_repo(load(path, {}), "a", Repo.parse("new/one"), {}).jobs
    assert base.names(Repo.parse("new/one"))
    assert quants.names(Repo.parse("maker/one-GGUF"))
    assert isinstance(quants.ranking, Variants)
    assert quants.ranking.bases == (Repo.parse("acme/one"), Repo.parse("new/one"))


@pytest.mark.parametrize(
    ("jobs", "job", "repo", "why"),
    [
        ("jobs: [{name: a, repos: [acme/one]}]", "b", "x/y", "has no job 'b'; it has: a"),
        (
            "jobs: [{name: a, repos: [acme/*]}]",
            "a",
            "acme/two",
            "names acme/two already: mirror-sync sync a --repo acme/two brings it",
        ),
        ("jobs: [{name: a, repos: [acme/one, '!x/*']}]", "a", "x/y", "denies it; take that out first"),
        (
            "jobs: [{name: a, repos: &r [acme/one]}, {name: b, repos: *r, target: o}]",
            "a",
            "x/y",
            "add to its repos: x/y",
        ),
        *(
            (
                f"jobs: [{{name: a, select: {{author: {author}, limit: 3}}}}]",
                "a",
                "x/y",
                "takes what its select finds, and its limits or rules may leave x/y out at any run",
            )
            for author in ("acme", "x")
        ),
        (
            "jobs: [{name: a, repos: [m/m]}, {name: q, variants: {of: [a], gguf: [Q4_K_M]}}]",
            "q",
            "x/y",
            "its variants find, and its limits or rules may leave x/y out at any run: grant it to a job with repos",
        ),
        ("jobs: [{name: a, upstream: ms, repos: [acme/one]}]", "a", "space:x/y", "jobs.yaml:"),
    ],
)
def test_what_cannot_be_granted_changes_nothing_and_says_why(
    tmp_path: Path, jobs: str, job: str, repo: str, why: str
) -> None:
    path = tmp_path / "jobs.yaml"
    more = (
        ('"file:mirror"}', '"file:mirror"}, o: {url: "file:o"}'),
        ("upstream: hub}", "upstream: hub, target: disk}"),
    )
    head = HEAD.replace("huggingface}", "huggingface}, ms: {kind: modelscope}")
    for old, new in more:
        head = head.replace(old, new)
    path.write_text(head + jobs, encoding="utf-8")
    with pytest.raises((UsageError, ConfigError)) as raised:
        add_repo(load(path, {}), job, Repo.parse(repo), {})
    assert why in str(raised.value)
    assert f".{path.name}." not in str(raised.value), "a fault is told as one of jobs.yaml"
    assert path.read_text(encoding="utf-8") == head + jobs
    assert [one.name for one in tmp_path.iterdir()] == ["jobs.yaml"]


def test_wanted_names_what_everybody_might_read_to_everybody_and_never_who_asked(notes: World) -> None:
    for name in ("pub/sought", "team/sought"):
        notes.front.ask("GET", f"/{name}/resolve/main/x", bearer(TOKENS["developers"]))
    notes.desk.program.publish_catalogue("disk")
    for role, names in (("", {"pub/sought"}), ("admins", {"pub/sought", "team/sought"})):
        page = notes.front.ask("GET", "/-/wanted.html", bearer(TOKENS.get(role, "")))
        text = page.body.decode()
        assert {name for name in ("pub/sought", "team/sought") if name in text} == names, role
        assert "the-developers" not in text
        assert "pub/here" not in text
    assert notes.front.get("/-/asked.html").status == 200
    missing = notes.front.get("/pub/none/resolve/main/x", Accept="text/html")
    assert (missing.status, b'action="../../../../-/ask" method="post"' in missing.body) == (404, True)
    assert "form-action 'self'" in (missing.header("Content-Security-Policy") or "")


def test_whom_a_front_led_elsewhere_or_let_wait_has_missed_it_but_not_who_used_a_former_name(
    hub: Hub, tmp_path: Path
) -> None:
    """What `select: {from: misses}` and `wishes` take of a log, whatever front.miss is; an alias leads to us."""
    said = {"pub/led": 307, "pub/brought": 503, "pub/none": 404, "old/name": 307, "pub/here": 307}
    log = tmp_path / "access.log"
    log.write_text("".join(f"{line(1, f'/{name}/resolve/main/x', status=said[name])}\n" for name in said))
    with desk_of(hub, tmp_path, "redirect") as desk:
        assert desk.program.sync(BY_DAEMON, ["here"], [Repo.parse("pub/here")]).ok
        body = alias.encode(Repo.parse("pub/here"))
        desk.program._context().targets["disk"].store.put(alias_key(Repo.parse("old/name")), body, Sha256.of(body))
        report = desk.program.traffic("disk", [str(log)])
        assert {one.id for one in report.misses} == {"pub/led", "pub/brought", "pub/none"}
        assert set(desk.wishes) == {"pub/led", "pub/brought", "pub/none"}


def _unreadable(*_: object) -> NoReturn:
    raise StoreUnavailable("wishes.db: Input/output error")


def test_wishes_that_cannot_be_read_are_not_none_and_those_that_nobody_asks_for_any_more_have_no_page(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "mirror/site/wanted.html"
    with desk_of(hub, tmp_path, "ask") as desk:
        assert desk.program.sync(BY_DAEMON, ["here"], [Repo.parse("pub/here")]).ok
        for name in ("pub/here", "pub/sought"):
            Wishes(desk.settings.state_dir).note("disk", Repo.parse(name), "token jane", "2026-01-01T00:00:00Z")
        assert wished_in(desk.settings, desk.program.status()) == {"disk": 1}, "what is mirrored by now is not wanted"
        desk.program.publish_catalogue("disk")
        before = page.read_bytes()
        assert b"pub/sought" in before
        with monkeypatch.context() as patch:
            patch.setattr(Wishes, "all", _unreadable)
            desk.program.publish_catalogue("disk")
        assert page.read_bytes() == before
    path = tmp_path / "jobs.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace(", ask: {form: true}", "").replace("miss: ask", "miss: 404"),
        encoding="utf-8",
    )
    with closing(Mirror(load(path, {}))) as program:
        program.publish_catalogue("disk")
    assert not page.exists()
    assert not page.with_name("asked.html").exists()


@pytest.mark.parametrize(
    ("said", "wants"),
    [
        ("front: {miss: ask}", "front.miss: ask is done by the daemon, which answers only fronts that know its secret"),
        ("front: {miss: fetch}\nhttp: {listen: none, front_secret: abcd1234}", "an address in http.listen"),
        ("site: {ask: {form: true}}", "site.ask.form: the daemon notes what is asked for"),
        ("site: {enabled: false, ask: {form: true}}\nhttp: {front_secret: abcd1234}", "is a part of the catalogue"),
        ("site: {ask: {url: 'javascript:alert(1)'}}", "https://tickets.example.org/new"),
        ("front: {miss: proxy}", "front.miss"),
    ],
)
def test_check_says_what_a_miss_wants(tmp_path: Path, said: str, wants: str) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(HEAD + "jobs: [{name: a, repos: [acme/one]}]\n" + said, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert wants in str(raised.value)


def test_a_file_of_wishes_that_is_damaged_is_not_read_as_none(tmp_path: Path) -> None:
    assert Wishes(tmp_path, reading=True).all() == ()
    assert not (tmp_path / "wishes.db").exists(), "who only reads leaves nothing"
    (tmp_path / "wishes.db").write_bytes(b"no database at all" * 400)
    with pytest.raises(StoreError):
        Wishes(tmp_path, reading=True).all()


def test_the_sample_of_the_guide_is_what_the_command_prints() -> None:
    now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    askers = ("token ci", "token jane", "address 93ccc452165a", *(f"address {number:012x}" for number in range(4)))
    first = RepoWish(
        *("disk", Repo.parse("Qwen/Qwen4-8B"), 41, "2026-11-01T00:00:00Z", "2026-11-20T08:00:00Z", askers),
        *("licence apache-2.0 is in licenses.allow", "allowed"),
    )
    second = RepoWish("disk", Repo.parse("dataset:acme/rows"), 3, "", "2026-11-18T08:00:00Z", ("traffic",))
    printed = _text(Wishlist.of([second, first]), TextLayout(), now, several=False)
    guide = (Path(__file__).parents[2] / "docs/guide/misses.md").read_text(encoding="utf-8")
    assert f"$ mirror-sync wishes\n{printed}\n$ " in guide, printed
