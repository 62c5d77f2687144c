"""A grey release is looked at by the daemon's own clock, whatever the schedule of its job; and machines are told."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from mirror_sync.domain.content.refs import PINNED, Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import BEGIN, Program
from tests.daemon.living import living
from tests.daemon.test_http import daemon_of, get, value
from tests.servers.ports import free_port
from tests.waiting import until

X = Repo.parse("acme/one")
CONFIG = f"""\
{BEGIN.replace("TARGET", '{url: "file://FOLDER/mirror", grace: 0s}')}\
http: {{listen: "127.0.0.1:PORT"}}
jobs:
  - name: yearly
    repos: [acme/one]
    schedule: {{cron: "0 0 1 1 *"}}
    rollout: {{steps: [10%, 50%, 100%], every: 1s, on_bad: {{command: [FOLDER/is-bad]}}}}
"""


class Yearly:
    """A daemon's folder; nothing runs by its schedule as long as a test does."""

    def __init__(self, folder: Path) -> None:
        self.program, self.port = Program(folder), free_port()
        self.store, self._answer = DirectoryStore(folder / "mirror"), folder / "answer"
        command = folder / "is-bad"
        command.write_text(f"#!/bin/sh\ncat >> {folder}/told\necho errors; exit $(cat {self._answer})\n")
        command.chmod(0o700)
        self.config = self.program.write(CONFIG.replace("PORT", str(self.port)))

    def say(self, status: int) -> None:
        """What the command answers from now on, in one step."""
        new = self._answer.with_suffix(".new")
        new.write_text(str(status))
        new.replace(self._answer)

    def sync(self, weights: str) -> str:
        self.program.add_repo("acme/one", weights=weights)
        ended = self.program("sync", "--json")
        assert ended.code == 0, ended.err
        return str(json.loads(ended.out)["repos"][0]["commit"])

    def do(self, *words: str) -> None:
        ended = self.program(*words, "--why", "try it")
        assert ended.code == 0, ended.err

    @property
    def refs(self) -> Refs:
        return read_refs(self.store, X)

    def until(self, true: Callable[[], bool]) -> None:
        until(true, lambda: str(self.refs))

    def figure(self, name: str, **labels: str) -> float | None:
        try:
            return value(get(self.port, "/metrics")[1], f"mirror_sync_{name}", **labels)
        except (ValueError, OSError):
            return None


OF = {"target": "disk", "kind": "model", "repo": "acme/one"}


def test_a_share_grows_up_to_main_and_main_goes_back_though_nothing_runs(tmp_path: Path) -> None:
    site = Yearly(tmp_path)
    first, second = site.sync("first"), site.sync("second")
    site.say(7)
    site.do("promote", "acme/one", "main", "candidate")
    site.do("rollback", "acme/one")
    site.do("share", "acme/one", "candidate", "10%")
    with living(daemon_of(site.config), tmp_path) as daemon:
        daemon.until_logged("repo.channel-left")
        site.until(lambda: site.figure("rollout_state", **OF, mirror_job="yearly", state="unanswered") == 1)
        share = ReaderShare.of(site.refs.attachments)
        assert share is not None
        assert share.said == "10%"
        assert site.figure("repo_share_ratio", **OF, channel="candidate") == 0.1
        moved = site.figure("channel_moved_timestamp_seconds", **OF, channel="candidate") or 0
        assert time.time() - 3600 < moved <= (site.figure("repo_pinned_timestamp_seconds", **OF) or 0) <= time.time()
        assert site.figure("rollouts_stopped_total", target="disk") == 0
        site.say(0)
        site.until(lambda: site.refs.commit_of("main") == second)
        assert (ReaderShare.of(site.refs.attachments), PINNED in site.refs.attachments) == (None, True)
        site.say(1)
        site.config.write_text(site.config.read_text().replace("every: 1s", "every: 1h"))
        daemon.signal(signal.SIGHUP)
        site.until(lambda: site.refs.commit_of("main") == first)
        site.until(lambda: site.figure("rollouts_stopped_total", target="disk") == 1)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        said = "\n".join(daemon.rest())
    assert said.count("repo.channel-left") <= 1, "the same is told again after an hour"
    told = [json.loads(one) for one in (tmp_path / "told").read_text().replace("}{", "}\n{").splitlines()]
    assert told[0] == {
        "job": "yearly",
        "target": "disk",
        "kind": "model",
        "repo": "acme/one",
        "channel": "candidate",
        "percent": 10,
        "commit": second,
    }
    assert {(one["channel"], one["percent"], one["commit"]) for one in told} >= {("main", 100, second)}
    names = json.loads(site.program("channel", "acme/one", "--json").out)
    assert (names["history"][-1]["verb"], names["history"][-1]["by"]) == ("rollback", "daemon")
