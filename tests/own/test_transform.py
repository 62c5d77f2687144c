"""A job's `transform`: what a program makes of what was published is pushed with its origin, and hurts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.outcome.events import Event, TransformEnded
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.own.pushed import Pushed
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_description, read_refs, read_root
from mirror_sync.errors import ConfigError
from mirror_sync.wiring.program import Mirror

ACTOR = Actor(ActorKind.USER, "tester@here")
MADE = Repo.parse("ours/one-big")


class Maker:
    """A mirror whose job has something made of acme/*, by the text of a shell script."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.events = folder, list[Event]()
        self.tool, self.ran = folder / "tool", folder / "ran"
        self.script('tr a-z A-Z < "$1/weights" > "$2/weights"')
        self.fill("acme/one", "first")
        self.mirror: Mirror | None = None

    def fill(self, name: str, weights: str, more: str = "license: mit") -> None:
        folder = self.folder / "upstream" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(f"---\n{more}\n---\n")
        (folder / "weights").write_text(weights)

    def script(self, text: str) -> None:
        self.tool.write_text(f"#!/bin/sh\nset -e\necho made of it >&2\necho x >> {self.ran}\n{text}\n")
        self.tool.chmod(0o755)

    def settings(self, **transform: Any) -> Path:
        command = [str(self.tool), "{input}", "{output}"]
        made = {"command": command, "into": "ours/{name}-big", "upstream": "own", **transform}
        path = self.folder / "jobs.yaml"
        path.write_text(
            json.dumps(
                {
                    "version": 1,
                    "state_dir": str(self.folder / "state"),
                    "upstreams": {
                        "local": {"kind": "directory", "url": str(self.folder / "upstream")},
                        "own": {"kind": "own", "url": f"file://{self.folder}/own"},
                    },
                    "targets": {"it": {"url": str(self.folder / "mirror")}},
                    "licenses": {"allow": ["mit"]},
                    "jobs": [
                        {"name": "a", "upstream": "local", "repos": ["acme/*"], "transform": made},
                        {"name": "b", "upstream": "own", "repos": ["ours/*"]},
                    ],
                }
            )
        )
        return path

    def sync(self, **transform: Any) -> list[TransformEnded]:
        """What was told of transforms in a run, in which all that was to be published was."""
        self.events.clear()
        self.mirror = Mirror(load(self.settings(**transform), {}), (self.events.append,))
        report = self.mirror.sync(ACTOR, ["a"])
        assert {one.outcome for one in report.repos} <= {RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED}
        self.mirror.close()
        return [event for event in self.events if isinstance(event, TransformEnded)]

    def made(self) -> Pushed:
        """What is said of what readers get."""
        assert self.mirror is not None
        store = self.mirror.store("it")
        refs = read_refs(store, MADE)
        root = read_root(store, refs.snapshots[next(iter(refs.refs)).target])
        said = Pushed.of(read_description(store, root.info))
        assert said is not None
        return said

    @property
    def runs(self) -> int:
        return len(self.ran.read_text().split()) if self.ran.exists() else 0


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_what_is_made_is_pushed_published_and_says_where_it_came_from(maker: Maker) -> None:
    (ended,) = maker.sync()
    assert (ended.into, ended.reason, ended.said) == (MADE, "", "made of it")
    said = maker.made()
    assert maker.mirror is not None
    store = maker.mirror.store("it")
    refs = read_refs(store, Repo.parse("acme/one"))
    commit = refs.commit_of("main")
    assert commit is not None
    of = said.made_from
    assert of is not None
    assert (of.repo, of.commit, of.root) == ("acme/one", commit, refs.snapshots[commit])
    assert (of.tool, of.licenses) == ("tool", ("mit",))
    assert said.card == {"base_model": "acme/one", "license": "mit"}
    page = (maker.folder / "mirror/site/models/ours--one-big.html").read_text()
    assert f"acme/one {commit}" in page


def test_unchanged_input_is_made_once_and_a_new_commit_or_another_tool_makes_it_anew(maker: Maker) -> None:
    maker.sync()
    assert maker.sync() == []
    assert maker.runs == 1
    maker.fill("acme/one", "second")
    (ended,) = maker.sync()
    assert (ended.reason, maker.runs) == ("", 2)
    maker.script('tr a-z 0-9 < "$1/weights" > "$2/weights"')
    (ended,) = maker.sync()
    assert (ended.reason, maker.runs) == ("", 3)
    assert maker.sync() == []


@pytest.mark.parametrize(
    ("script", "limits", "reason"),
    [
        ("exit 3", {}, "exit status 3"),
        ("sleep 600", {"timeout": "1s"}, "it was not done in 1 s"),
        ("true", {}, "has no file to push"),
        ('ln -s /etc/passwd "$2/passwd"', {}, "is a link that leaves"),
        ('rmdir "$2" && ln -s "$1" "$2"', {}, "its output folder is no longer there, or leads elsewhere"),
        ("kill -9 $$", {}, "ended by signal 9"),
    ],
)
def test_a_program_that_fails_hurts_no_publication_and_leaves_nothing(
    maker: Maker, script: str, limits: dict[str, str], reason: str
) -> None:
    maker.script(script)
    (ended,) = maker.sync(**limits)
    assert reason in ended.reason
    assert not (maker.folder / "own/hub").exists()
    assert [*(maker.folder / "state/transforms").iterdir()] == []
    maker.script('cp "$1/weights" "$2/weights"')
    (ended,) = maker.sync()
    assert ended.reason == "", "it is tried again by the next run"


def test_the_licence_of_the_input_stands_whatever_the_program_wrote(maker: Maker) -> None:
    maker.script('printf -- "---\\nlicense: apache-2.0\\n---\\n" > "$2/README.md"')
    maker.sync()
    said = maker.made()
    assert said.card["license"] == "mit"
    shown = (maker.folder / "mirror/site/models/ours--one-big.html").read_text()
    assert "apache-2.0" not in shown


def test_of_what_was_made_nothing_is_made(maker: Maker) -> None:
    maker.sync()
    assert maker.mirror is not None
    settings = json.loads(maker.settings().read_text())
    settings["jobs"][1]["transform"] = {**settings["jobs"][0]["transform"], "into": "more/{name}"}
    (maker.folder / "jobs.yaml").write_text(json.dumps(settings))
    maker.events.clear()
    mirror = Mirror(load(maker.folder / "jobs.yaml", {}), (maker.events.append,))
    mirror.sync(ACTOR)
    mirror.close()
    assert [event for event in maker.events if isinstance(event, TransformEnded)] == []


@pytest.mark.parametrize(
    ("into", "why"),
    [("acme/{name}-big", "would stand among acme's own"), ("Acme/{name}", "what is made of it needs another name")],
)
def test_nothing_is_pushed_under_an_upstreams_own_name(maker: Maker, into: str, why: str) -> None:
    (ended,) = maker.sync(into=into)
    assert why in ended.reason
    assert maker.runs == 0


def _faults(maker: Maker, **transform: Any) -> str:
    with pytest.raises(ConfigError) as found:
        load(maker.settings(**transform), {})
    return str(found.value.faults[0])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"into": "{org}/{name}"}, "write an owner of yours and {name}, like acme/{name}-int8"),
        ({"into": "acme/fixed"}, "write an owner of yours and {name}"),
        ({"command": ["/bin/tool", "{input}"]}, "does not say output; write [/bin/tool, '{input}', '{output}']"),
        ({"upstream": "nowhere"}, "'nowhere' takes no push; local and own do"),
    ],
)
def test_a_transform_that_cannot_be_is_a_fault(maker: Maker, said: dict[str, Any], why: str) -> None:
    assert why in _faults(maker, **said)


def test_what_is_gated_is_not_made_into_something_for_everybody(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror_sync.app.own.transforming.closed_by", lambda _: True)  # a folder's are for everybody
    (ended,) = maker.sync()
    assert "gated or private" in ended.reason
    assert maker.runs == 0
