"""A whole release: tried by a tenth of the readers, found bad, taken back by itself, mended, and given to all.

On both kinds of targets, with both fronts before each, and readers of three generations of clients, who get all of one
version whatever moves.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirror_sync.domain.content.share import ReaderShare, reader_key
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.ports.store import read_all
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import BEGIN, Program
from tests.clients.environments import GENERATIONS
from tests.clients.test_named_versions import asked, expect
from tests.daemon.living import living
from tests.front.mirrors import PATIENCE, Mirror, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.signing.keys import ssh_key
from tests.stores.places import target_of

if TYPE_CHECKING:
    pass

NAME = "acme/llm"  # of which the address of a test's clients is among a tenth of the readers
REPO = Repo.parse(NAME)
ADDRESSES = [f"10.{number // 250}.7.{number % 250}" for number in range(4000)]
SETTLED = 2.5  # seconds: nginx keeps answers about a repo for one, as it counts them
CONFIG = f"""\
{BEGIN}\
trust: {{key: signing.key}}
http: {{listen: none}}
on: {{moved: [{{run: [/bin/sh, -c, "cat >> FOLDER/told"]}}]}}
jobs:
  - name: yearly
    repos: [{NAME}]
    schedule: {{cron: "0 0 1 1 *"}}
    retention: {{snapshots: 1, days: 0}}
    rollout: {{steps: [10%, 50%, 100%], every: 4s, on_bad: {{command: [FOLDER/is-bad]}}}}
"""


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    return target_of(request, tmp_path / "mirror", "some/prefix")


class Release:
    """The program, two fronts over what it publishes, and the files of each commit."""

    def __init__(self, folder: Path, place: Target) -> None:
        self.folder, self.place, self.program = folder, place, Program(folder)
        self.store = DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place)
        self.files: dict[str, dict[str, bytes]] = {}
        self.fronts: list[Mirror] = []
        on_disk = isinstance(place, DirectoryTarget)
        self.addresses = ADDRESSES if on_disk else ADDRESSES[:500]  # who is among them no target has a say in
        self._reads = int(on_disk)
        ssh_key(folder, "signing.key")
        self.say(0)
        command = folder / "is-bad"
        command.write_text(f"#!/bin/sh\ncat > /dev/null\necho it answers nonsense; exit $(cat {folder}/answer)\n")
        command.chmod(0o700)
        self.program.write(CONFIG.replace("TARGET", self._target())).chmod(0o600)

    def _target(self) -> str:
        place = self.place
        if isinstance(place, DirectoryTarget):
            return f'{{url: "file://{place.root}", grace: 0s}}'
        keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}"
        address = f"s3://{place.bucket}/{place.prefix}"
        return f'{{url: "{address}", endpoint_url: "{place.endpoint_url}", {keys}, grace: 0s}}'

    def say(self, status: int) -> None:
        """What is said of the candidate from now on: 0 that it is well, 1 that it is bad."""
        new = self.folder / "answer.new"
        new.write_text(str(status))
        new.replace(self.folder / "answer")

    def done(self, *words: str) -> Any:
        ended = self.program(*words, "--json")
        assert ended.code == 0, ended.err + ended.out
        return json.loads(ended.out)

    def sync(self, version: str) -> Any:
        """The upstream has another version; returns what became of the repo."""
        shutil.rmtree(self.folder / "upstream" / NAME, ignore_errors=True)
        files = {"weights": f"{version} weights", "config.json": f'"{version}"', f"only-{version}": version}
        self.program.add_repo(NAME, **files)
        (row,) = self.done("sync")["repos"]
        told = {name: body.encode() for name, body in files.items()}
        self.files[row["commit"]] = {"README.md": b"---\nlicense: mit\n---\n", **told}
        return row

    def open(self, stack: ExitStack) -> None:
        nginx = by_nginx(self.store, NginxOptions(self.place), self.folder / "front")
        self.fronts = [stack.enter_context(by_serve(self.store)), stack.enter_context(nginx)]

    def see(self, commit: str) -> None:
        """That this is what clients of this machine get for main, from now on."""
        for mirror in self.fronts:
            limit = time.monotonic() + PATIENCE
            while mirror.get(f"/api/models/{NAME}/revision/main").json["sha"] != commit:
                assert time.monotonic() < limit, f"{mirror.url} gives something else for main than {commit}"
                time.sleep(0.1)
        time.sleep(SETTLED)

    def read(self, **expected: str) -> None:
        """What a client gets at each front for each revision: all of the commit; `_` in a name stands for a dot.

        Of another generation each time: after three of these each has been at each front, at another step on the other
        kind of target. That one with a cache sees a move, too, says test_named_versions for all of them.
        """
        names = [name.replace("_", ".") for name in expected]
        self._reads += 1
        turns = [GENERATIONS[(self._reads + number) % len(GENERATIONS)] for number in range(len(self.fronts))]

        def one(mirror: Mirror, generation: str) -> dict[str, Any]:
            home = self.folder / "homes" / f"{generation}-{urlsplit(mirror.url).port}"
            return asked(mirror, generation, NAME, home, *names)

        with ThreadPoolExecutor(2) as readers:
            for said in readers.map(one, self.fronts, turns):
                for name, commit in zip(names, expected.values(), strict=True):
                    expect(said[name], commit, self.files[commit])

    def arms(self, mirror: Mirror) -> dict[str, str]:
        """The commit that each address is sent to for a file of main."""
        parts = urlsplit(mirror.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        got: dict[str, str] = {}
        for address in self.addresses:
            connection.request("HEAD", f"/{NAME}/resolve/main/weights", headers={"X-Forwarded-For": address})
            answer = connection.getresponse()
            answer.read()
            got[address] = (answer.headers["Location"] or "").split("/")[-2]
        connection.close()
        return got

    def whole(self, mirror: Mirror, address: str) -> str:
        """The commit that an address finds under main, by every way the same."""
        sent, api = {"X-Forwarded-For": address}, f"/api/models/{NAME}"
        paths = f"{api}/revision/main", api, f"{api}/tree/main", f"/{NAME}/resolve/main/config.json"
        replies = [mirror.ask("GET", path, sent) for path in paths]
        (commit,) = {str(reply.header("X-Repo-Commit")) for reply in replies}
        assert replies[-1].body == self.files[commit]["config.json"]
        assert sorted(one["path"] for one in replies[2].json) == sorted(self.files[commit])
        return commit

    @property
    def share(self) -> ReaderShare | None:
        return ReaderShare.of(read_refs(self.store, REPO).attachments)

    def prove(self, **expected: str) -> None:
        signers = self.folder / "allowed_signers"
        signers.write_bytes(read_all(self.store, ALLOWED_SIGNERS, 1 << 20))
        for mirror, (name, commit) in product(self.fronts, expected.items()):
            words = "--from", mirror.url, "--signers", str(signers), "--revision", name.replace("_", ".")
            assert self.done("prove", NAME, *words)["commit"] == commit


@pytest.fixture
def release(tmp_path: Path, place: Target) -> Iterator[Release]:
    need("nginx")
    made = Release(tmp_path, place)
    with ExitStack() as stack:
        assert made.sync("first")["outcome"] == "published"
        time.sleep(1.1)  # a bucket's clock has seconds
        assert made.sync("second")["outcome"] == "published"
        made.open(stack)
        yield made


@pytest.mark.timeout(1500)
def test_a_release_is_tried_by_a_tenth_found_bad_taken_back_mended_and_given_to_all(release: Release) -> None:
    first, second = release.files
    _tried_by_a_tenth(release, first, second)
    _taken_back(release, first, second)
    row = release.sync("third")
    third = row["commit"]
    assert (row["outcome"], f"fetched {third}" in row["reason"]) == ("published", True)
    release.see(first)
    release.done("unpin", NAME, "--why", "mended")
    assert release.done("sync")["repos"][0]["outcome"] == "published"
    release.done("promote", NAME, "main", "stable", "--why", "mended")
    release.done("tag", NAME, "v1.0", first)
    release.done("tag", NAME, "candidate", "--remove", "--why", "bad")
    assert release.program("prune").code == 0
    release.see(third)
    release.prove(main=third, stable=third, v1_0=first)
    release.read(main=third, stable=third, v1_0=first)
    assert set(release.done("channel", NAME)["channels"]) == {"stable"}
    assert second not in read_refs(release.store, REPO).snapshots, "nobody needs what was bad"
    assert release.program("verify").code == 0
    mine = ("promote", "tag", "untag", "share", "rollback", "unpin", "prune")
    acts = [one for one in release.done("audit")["acts"] if one["verb"] in mine]
    verbs = [one["verb"] for one in acts]
    assert verbs[:6] == ["promote", "rollback", "share", "share", "unpin", "promote"]
    assert [one["actor"]["kind"] for one in acts][:6] == ["user", "user", "user", "daemon", "user", "user"]


def _tried_by_a_tenth(release: Release, first: str, second: str) -> None:
    release.done("promote", NAME, "main", "candidate", "--why", "new weights")
    release.done("rollback", NAME, "--why", "all others wait")
    release.done("share", NAME, "candidate", "10%", "--why", "week one")
    release.see(second)
    with ThreadPoolExecutor(2) as readers:
        counted = list(readers.map(release.arms, release.fronts))
    assert counted[0] == counted[1], "both fronts agree on whom"
    taken = {address for address, commit in counted[0].items() if commit == second}
    assert set(counted[0].values()) == {first, second}
    assert abs(len(taken) / len(counted[0]) * 100 - 10) < (2 if len(counted[0]) == len(ADDRESSES) else 5)
    share = ReaderShare("candidate", 1000)
    assert taken == {address for address in release.addresses if share.takes(REPO, reader_key("", address))}
    for mirror, address in product(release.fronts, (*sorted(taken)[:4], *ADDRESSES[:8])):
        assert release.whole(mirror, address) == (second if address in taken else first)
    release.read(main=second, candidate=second, **{first: first})


def _taken_back(release: Release, first: str, second: str) -> None:
    """By the daemon, when it is told that the candidate is bad; then all get main again."""
    release.say(1)
    config = str(release.folder / "jobs.yaml")
    with living(["-m", "mirror_sync", "--config", config, "daemon"], release.folder) as daemon:
        daemon.until_logged("repo.rollout-stopped")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert release.share is None
    last = release.done("channel", NAME)["history"][-1]
    assert (last["verb"], last["by"]) == ("share", "daemon")
    assert "rollout of job yearly" in last["why"]
    assert "it answers nonsense" in last["why"]
    assert "it answers nonsense" in (release.folder / "told").read_text()
    release.see(first)
    for mirror, address in product(release.fronts, ADDRESSES[:20]):
        assert mirror.ask("GET", f"/{NAME}/resolve/main/weights", {"X-Forwarded-For": address}).body == b"first weights"
    release.read(main=first, candidate=second)
