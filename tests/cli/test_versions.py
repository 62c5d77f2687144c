"""The walk of a release by commands, with readers at both fronts and on both kinds of targets."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.ports.store import read_all
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import BEGIN, Ended, Program
from tests.front.mirrors import PATIENCE, Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.signing.keys import ssh_key
from tests.stores.places import target_of

if TYPE_CHECKING:
    pass

MANUAL = Path(__file__).parents[2] / "docs" / "guide" / "versions.md"
CONFIG = f"""\
{BEGIN}\
jobs:
  - {{name: good, repos: [acme/one], retention: {{snapshots: 1, days: 0}}, keep_rollbacks: 1}}
trust: {{key: signing.key}}
"""


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Where the program publishes."""
    return target_of(request, tmp_path / "mirror", "some/prefix")


class Walk:
    """The program, and the commits that it has published so far."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.commits: list[str] = []

    def done(self, *words: str) -> Any:
        """The JSON of a command that is well."""
        ended = self.program(*words, "--json")
        assert ended.code == 0, ended.err + ended.out
        return json.loads(ended.out)

    def refused(self, *words: str) -> str:
        ended = self.program(*words)
        assert ended.code == 2, ended.err + ended.out
        return ended.err

    def sync(self, weights: str) -> dict[str, Any]:
        """Bring what the upstream has by now; returns what became of the repo."""
        self.program.add_repo("acme/one", weights=weights)
        (row,) = self.done("sync")["repos"]
        assert isinstance(row, dict)
        if row["outcome"] == "published":
            self.commits.append(row["commit"])
        return row

    def names(self) -> Any:
        return self.done("channel", "acme/one")


@pytest.fixture
def walk(tmp_path: Path, place: Target) -> Walk:
    program = Program(tmp_path)
    if isinstance(place, DirectoryTarget):
        target = f'{{url: "file://{place.root}", grace: 0s}}'
    else:
        keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}"
        address = f"s3://{place.bucket}/{place.prefix}"
        target = f'{{url: "{address}", endpoint_url: "{place.endpoint_url}", {keys}, grace: 0s}}'
    ssh_key(tmp_path, "signing.key")
    program.write(CONFIG.replace("TARGET", target)).chmod(0o600)
    made = Walk(program)
    assert made.sync("first")["outcome"] == "published"
    time.sleep(1.1)  # a bucket's clock has seconds
    assert made.sync("second")["outcome"] == "published"
    return made


class Readers:
    """Who reads at both fronts."""

    def __init__(self, walk: Walk, place: Target, folder: Path, stack: ExitStack) -> None:
        self._walk, self._signers = walk, folder / "allowed_signers"
        self.store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
        nginx = by_nginx(self.store, NginxOptions(place), folder / "front")
        self.fronts: list[Mirror] = [stack.enter_context(by_serve(self.store)), stack.enter_context(nginx)]

    def see(self, **expected: str) -> None:
        """What each revision gives, soon; `_` in a name stands for a dot."""
        for mirror in self.fronts:
            for name, body in expected.items():
                self._shows(mirror, name.replace("_", "."), body)

    def _shows(self, mirror: Mirror, revision: str, body: str) -> None:
        limit = time.monotonic() + PATIENCE
        while (got := mirror.get(f"/acme/one/resolve/{revision}/weights").body) != body.encode():
            assert time.monotonic() < limit, f"{revision} still gives {got[:100]!r}, not {body}"
            time.sleep(0.1)

    def prove(self, **expected: str) -> None:
        """That the mirror has signed what each revision leads to."""
        self._signers.write_bytes(read_all(self.store, ALLOWED_SIGNERS, 1 << 20))
        for mirror in self.fronts:
            for name, commit in expected.items():
                words = "--from", mirror.url, "--signers", str(self._signers), "--revision", name.replace("_", ".")
                assert self._walk.done("prove", "acme/one", *words)["commit"] == commit

    @property
    def refs(self) -> list[dict[str, str]]:
        found = [mirror.get("/api/models/acme/one/refs").json["branches"] for mirror in self.fronts]
        return [{one["name"]: one["targetCommit"] for one in each} for each in found]


def test_a_release_is_named_tried_by_some_goes_back_stays_there_and_goes_on(
    walk: Walk, place: Target, tmp_path: Path
) -> None:
    need("nginx")
    with ExitStack() as stack:
        readers = Readers(walk, place, tmp_path, stack)
        _named(walk, readers)
        _tried_and_gone_back(walk, readers)
        _stays_beside_syncs_and_a_prune(walk, readers)
        _goes_on(walk, readers)
        page = readers.fronts[0].get("/-/models/acme--one.html").body.decode()
        assert all(word in page for word in ("it answers nonsense", "candidate", "rolled back"))
    verbs = [act["verb"] for act in walk.done("audit")["acts"]]
    mine = [one for one in verbs if one in ("promote", "tag", "share", "rollback", "unpin")]
    assert mine == ["promote", "tag", "promote", "share", "share", "rollback", "unpin", "promote"]


def _named(walk: Walk, readers: Readers) -> None:
    first, second = walk.commits
    promoted = walk.done("promote", "acme/one", "main", "candidate", "--why", "try it")
    assert (promoted["changed"], promoted["name"], promoted["from"], promoted["to"]) == (
        True,
        "candidate",
        None,
        second,
    )
    assert not walk.done("promote", "acme/one", "main", "candidate", "--why", "again")["changed"]
    assert walk.done("tag", "acme/one", "v1.0", first[:10])["to"] == first
    assert walk.done("promote", "acme/one", "v1.0", "stable", "--why", "proved for months")["to"] == first
    readers.see(candidate="second", v1_0="first", stable="first", main="second")
    assert readers.refs == [{"main": second, "candidate": second, "stable": first, "v1.0": first}] * 2


def _tried_and_gone_back(walk: Walk, readers: Readers) -> None:
    first, second = walk.commits
    walk.done("share", "acme/one", "stable", "100%", "--why", "all of them, here")
    assert walk.names()["share"] == {"channel": "stable", "percent": 100}
    readers.see(main="first", candidate="second")
    walk.done("share", "acme/one", "stable", "0%", "--why", "over")
    assert not walk.done("share", "acme/one", "stable", "0", "--why", "over")["changed"]
    readers.see(main="second")
    went = walk.done("rollback", "acme/one", "--why", "it answers nonsense")
    assert (went["from"], went["to"], went["verb"]) == (second, first, "rollback")
    readers.see(main="first")


def _stays_beside_syncs_and_a_prune(walk: Walk, readers: Readers) -> None:
    first, second = walk.commits
    row = walk.sync("third")
    assert (row["outcome"], "main is pinned" in row["reason"]) == ("published", True)
    third = walk.commits[-1]
    (again,) = walk.done("sync")["repos"]
    assert (again["outcome"], again["code"], again["commit"]) == ("unchanged", "pinned", first)
    (line,) = walk.done("status")["repos"]
    assert (line["code"], "it answers nonsense" in line["reason"]) == ("pinned", True)
    assert walk.program("prune").code == 0
    named = walk.names()
    assert (named["channels"], named["tags"]) == ({"candidate": second, "stable": first}, {"v1.0": first})
    assert (named["main"], named["pinned"]["why"]) == (first, "it answers nonsense")
    moves = [(one["verb"], one["name"]) for one in named["history"]]
    assert moves[:3] == [("promote", "candidate"), ("tag", "v1.0"), ("promote", "stable")]
    assert moves[3:] == [("share", "stable"), ("share", "stable"), ("rollback", "main")]
    readers.see(main="first", candidate="second", stable="first", **{third: "third"})


def _goes_on(walk: Walk, readers: Readers) -> None:
    first, _, third = walk.commits
    walk.done("unpin", "acme/one", "--why", "mended")
    assert walk.done("sync")["repos"][0]["outcome"] == "published"
    walk.done("promote", "acme/one", "main", "stable", "--why", "mended")
    readers.see(main="third", stable="third")
    readers.prove(main=third, stable=third, v1_0=first)
    assert walk.done("diff", "acme/one", "v1.0", "stable")["after"] == third
    assert walk.program("verify").code == 0


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_what_cannot_be_is_refused_with_what_would_be_right(walk: Walk) -> None:
    first, second = walk.commits
    assert walk.program("tag", "acme/one", "v1", first).code == 0
    for words, said in {
        ("promote", "acme/one", "main", "beta", "--why", "x"): "'beta' is no channel; they are: candidate, stable",
        ("promote", "acme/one", "mian", "stable", "--why", "x"): "'mian' of acme/one is not published; there are: v1",
        ("promote", "acme/one", "main", "stable", "--why", " "): "say why: --why TEXT is what the history keeps",
        ("promote", "acme/two", "main", "stable", "--why", "x"): "target disk has nothing of acme/two",
        ("tag", "acme/one", "latest"): "'latest' can be no tag",
        ("tag", "acme/one", "stable"): "that is a channel; write mirror-sync promote",
        ("tag", "acme/one", "v1", second): f"v1 stands for {first} already, and a tag never moves",
        ("tag", "acme/one", "v2", "--remove", "--why", "x"): "acme/one has no 'v2' of ours",
        ("tag", "acme/one", "v1", "main", "--remove", "--why", "x"): "leave COMMIT out",
        ("rollback", "acme/one", "--steps", "2", "--why", "x"): "one commit before its present one; name one of",
        ("rollback", "acme/one", first, "--steps", "1", "--why", "x"): "say two things",
        ("share", "acme/one", "candidate", "101%", "--why", "x"): "'101%' is no share; write 10%",
        ("share", "acme/one", "candidate", "10%", "--why", "x"): "acme/one has no candidate; write mirror-sync promote",
        ("share", "acme/one", "main", "10%", "--why", "x"): "'main' is no channel",
        ("unpin", "acme/one"): "main of acme/one is not pinned",
    }.items():
        assert said in walk.refused(*words), words
    removed: Ended = walk.program("tag", "acme/one", "v1", "--remove", "--why", "by mistake")
    assert (removed.code, "v1 of acme/one is no name any more" in removed.out) == (0, True), removed.err
    shown = walk.program("channel", "acme/one")
    assert (shown.code, "by mistake" in shown.out, "no channel and no tag of this mirror's own" in shown.out) == (
        0,
        True,
        True,
    ), shown.err


def test_every_command_of_the_manual_does_what_it_says(tmp_path: Path) -> None:
    """In the order in which they are printed; each section begins with what the one before it took away."""
    program = Program(tmp_path)
    program.write(f"{BEGIN}jobs:\n  - {{name: all, repos: [acme/x]}}\n".replace("TARGET", '{url: "mirror", grace: 0s}'))
    for number in range(5):
        program.add_repo("acme/x", weights=str(number))
        assert program("sync").code == 0
    printed = re.findall(r"mirror-sync ([a-z]+ acme/x[^`|\n#]*)", MANUAL.read_text(encoding="utf-8"))
    tried = [shlex.split(line) for line in printed if "URL" not in line]
    assert len(tried) > 14
    assert {words[0] for words in tried} == {"promote", "tag", "rollback", "share", "unpin", "channel"}
    for words in tried:
        if "v1.2" in words and words[0] == "rollback":
            assert program("tag", "acme/x", "v1.2", "stable").code == 0
        ended = program(*words)
        assert ended.code == 0, (words, ended.err)


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_a_job_moves_its_channels_when_a_run_ends_as_a_command_says_and_fails_no_run(
    walk: Walk, tmp_path: Path
) -> None:
    config = tmp_path / "jobs.yaml"
    command = tmp_path / "evaluated"
    command.write_text(f"#!/bin/sh\ncat > {tmp_path}/told.json\necho looked; exit $(cat {tmp_path}/answer)\n")
    command.chmod(0o700)
    rule = f"channels: {{candidate: {{from: main}}, stable: {{from: candidate, after: 0s, if: [{command}]}}}}"
    config.write_text(config.read_text().replace("keep_rollbacks: 1", f"keep_rollbacks: 1, {rule}"))
    _, second = walk.commits

    def answers(status: int) -> tuple[Any, str]:
        (tmp_path / "answer").write_text(str(status))
        ended = walk.program("sync")
        assert ended.code == 0, ended.err
        return walk.names()["channels"], ended.err

    channels, said = answers(3)
    assert channels == {"candidate": second}
    assert "repo.channel-left" in said
    assert "ended with 3: looked" in said
    assert answers(1)[0] == {"candidate": second}
    assert answers(0)[0] == {"candidate": second, "stable": second}
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["repo"], told["channel"], told["from"], told["to"]) == ("acme/one", "stable", None, second)
    last = walk.names()["history"][-1]
    assert "channels of job good: it was candidate, and" in last["why"]
    walk.done("promote", "acme/one", walk.commits[0], "stable", "--why", "not that one")
    assert answers(0)[0]["stable"] == walk.commits[0], "a rule never gives back what a person has taken away"


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_faults_of_channels_are_told_at_their_place(walk: Walk, tmp_path: Path) -> None:
    config = tmp_path / "jobs.yaml"
    plain = config.read_text()
    for wrong, said in {
        "{beta: {from: main}}": "beta",
        "{stable: {from: stable}}": "channels.stable.from",
        "{stable: {after: 7d}}": "channels.stable",
        "{stable: {from: main, unless: x}}": "unless",
    }.items():
        config.write_text(plain.replace("keep_rollbacks: 1", f"keep_rollbacks: 1, channels: {wrong}"))
        assert said in walk.refused("check"), wrong
    for steps, bad, said in (
        ("[50%, 10%]", "{command: [x]}", "rollout.steps: must grow"),
        ("[10%]", "{}", "rollout.on_bad: write either command, or promql and prometheus"),
        ("[10%]", '{promql: "up == 0"}', "rollout.on_bad: write either"),
        ("[10%]", '{command: [x], promql: "a", prometheus: "http://127.0.0.1:1"}', "rollout.on_bad: write either"),
    ):
        rollout = f"rollout: {{steps: {steps}, every: 1d, on_bad: {bad}}}"
        config.write_text(plain.replace("keep_rollbacks: 1", f"keep_rollbacks: 1, {rollout}"))
        assert said in walk.refused("check"), (steps, bad)


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_rules_that_stand_in_each_others_way_are_usable_and_told(walk: Walk, tmp_path: Path) -> None:
    config = tmp_path / "jobs.yaml"
    plain = config.read_text()
    rollout = "rollout: {steps: [10%, 100%], every: 1d, on_bad: {command: [x]}}"
    other = "{name: other, repos: ['acme/*'], revisions: [v9], keep_rollbacks: 1, "
    stable, follows = "channels: {stable: {from: candidate}}", "channels: {stable: {from: main}}"
    quiet = walk.program("check")
    plain_said = quiet.out + quiet.err
    for odd, said in {
        "keep_rollbacks: 9": "the last 8 commits",
        f"keep_rollbacks: 1, {rollout}": "no schedule, so that no daemon looks at it",
        f"keep_rollbacks: 1, {rollout}, {follows}": "stable follows main, also while",
        "keep_rollbacks: 1, channels: {stable: {from: candidate}, candidate: {from: stable}}": "each gives the other",
        f"keep_rollbacks: 1, {stable}}}\n  - {other}{follows}": "move stable of acme/one by different rules",
        f"keep_rollbacks: 1, {rollout}}}\n  - {other}{rollout.replace('10%', '20%')}": "different rollouts for acme",
    }.items():
        config.write_text(plain.replace("keep_rollbacks: 1", odd))
        ended = walk.program("check")
        assert (ended.code, said in ended.out + ended.err) == (0, True), ended.out + ended.err
        assert said not in plain_said


class Metrics(BaseHTTPRequestHandler):
    """Answers queries as Prometheus does; `answer` is what its API says now."""

    answer: ClassVar[tuple[int, str]] = (200, "")
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(f"{self.path} {self.rfile.read(int(self.headers['Content-Length'])).decode()}")
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: object) -> None:
        pass


NOTHING, SOME = (
    json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}})
    for found in ([], [{"metric": {"arm": "candidate"}, "value": [1, "2"]}])
)


@pytest.mark.parametrize("place", ["directory"], indirect=True)
@pytest.mark.parametrize("asked", ["command", "prometheus"])
def test_a_share_grows_by_steps_and_a_bad_signal_ends_it_and_is_told(walk: Walk, tmp_path: Path, asked: str) -> None:
    config, answer = tmp_path / "jobs.yaml", tmp_path / "answer"
    command = tmp_path / "is-bad"
    command.write_text(f"#!/bin/sh\ncat > /dev/null\necho many errors; exit $(cat {answer})\n")
    command.chmod(0o700)
    told = tmp_path / "told"
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        by = f"command: [{command}]" if asked == "command" else f'promql: "errors > 1", prometheus: "{url}"'
        rollout = f"rollout: {{steps: [10%, 50%, 100%], every: 1s, on_bad: {{{by}}}}}"
        hook = f'on: {{moved: [{{run: [/bin/sh, -c, "cat >> {told}"]}}]}}\n'
        config.write_text(hook + config.read_text().replace("keep_rollbacks: 1", f"keep_rollbacks: 1, {rollout}"))
        first, second = walk.commits
        walk.done("promote", "acme/one", "main", "candidate", "--why", "try it")
        walk.done("rollback", "acme/one", "--why", "all others wait")
        walk.done("share", "acme/one", "candidate", "10%", "--why", "begin")

        def after(status: int, body: str, http: int = 200) -> tuple[Any, str]:
            """The share, else what main stands for; and what a sync said."""
            answer.write_text(str(status))
            Metrics.answer = (http, body)
            time.sleep(1.1)  # a step stands for a second
            ended = walk.program("sync")
            assert ended.code == 0, ended.err
            names = walk.names()
            assert names["pinned"]
            return names["share"]["percent"] if names["share"] else names["main"], ended.err

        share, said = after(7, "no JSON", 500)
        assert (share, "repo.channel-left" in said) == (10, True)
        assert after(0, NOTHING)[0] == 50
        assert after(0, NOTHING)[0] == second, "the step of all is main itself"
        assert walk.names()["history"][-1]["verb"] == "promote"
        config.write_text(config.read_text().replace("every: 1s", "every: 1h"))
        assert after(0, NOTHING)[0] == second
        assert after(7, "no JSON", 500)[0] == second, "nobody can tell, and it stays"
        got, said = after(1, SOME)
        assert (got, "repo.rollout-stopped" in said) == (first, True)
        assert after(1, SOME)[0] == first
        walk.done("share", "acme/one", "candidate", "10%", "--why", "once more")
        assert after(1, SOME)[0] == first
        server.shutdown()
    back, *_, ended = walk.names()["history"][-3:]
    assert (back["verb"], back["name"], back["from"], back["to"]) == ("rollback", "main", second, first)
    assert (ended["verb"], ended["name"]) == ("share", "candidate")
    assert ended["why"].startswith("0% of the readers of main: rollout of job good: ")
    for line in (back, ended):
        assert ("many errors" in line["why"], "errors > 1 finds 2 series" in line["why"]) == (
            asked == "command",
            asked == "prometheus",
        )
    assert asked == "command" or Metrics.asked[-1] == "/api/v1/query query=count%28errors+%3E+1%29"
    assert all(f'"verb": "{verb}"' in told.read_text() for verb in ("share", "promote", "rollback"))
    assert "mirror-sync moved: acme/one candidate" in told.read_text()
    acts = [one for one in walk.done("audit")["acts"] if one["verb"] == "rollback"]
    assert "rollout of job good" in acts[-1]["reason"]
