"""Every option of the commands of trust does something, on both targets: each is called as an operator calls it.

`USES` has a function for each option, whose own text must say it. An option that none uses is a failure of the first
test.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from typer.main import get_command

from mirror_sync.cli.app import app
from mirror_sync.signing.private_keys import read_ed25519
from mirror_sync.signing.sshsig import PublicKey
from tests.cli.program import Ended, Program
from tests.signing.keys import ssh_key

COMMANDS = ("holds", "approve", "reject", "rescan", "withdraw", "restore", "audit", "report", "sign", "prove")
OF_ALL = {"--config", "--log-format", "--verbose", "--quiet", "--debug"}
WHOLE = ("--why", "its terms", "--by", "Ada", "--ticket", "LEGAL-42", "--until", "2999-01-31", "--rule", "restricted")
CARD = "---\nlicense: mit\n---\n"


@dataclass(frozen=True)
class Operator:
    """Calls the program, over a target `it` with repos that wait and a few that are published, and an empty `spare`."""

    program: Program
    place: dict[str, str]

    def __call__(self, *words: str, code: int = 0) -> Ended:
        ended = self.program(*words, **(self.environ if words[0] == "prove" else {}))
        assert ended.code == code, ended.out + ended.err
        return ended

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").out)

    @property
    def decided(self) -> dict[str, dict[str, Any]]:
        """What stands in decisions.yaml, by repo."""
        text = (self.program.folder / "decisions.yaml").read_text(encoding="utf-8")
        return {one["repo"]: one for one in yaml.load(text, yaml.BaseLoader)["decisions"]}

    @property
    def environ(self) -> dict[str, str]:
        """How whoever knows no jobs.yaml reaches the target."""
        if "endpoint_url" not in self.place:
            return {}
        names = {"ENDPOINT_URL": "endpoint_url", "ACCESS_KEY_ID": "access_key", "SECRET_ACCESS_KEY": "secret_key"}
        return {f"AWS_{name}": self.place[key] for name, key in {**names, "DEFAULT_REGION": "region"}.items()}

    def state(self, repo: str, job: str = "far") -> str:
        """What `status` says became of a repo."""
        (found,) = (one for one in self.json("status")["repos"] if (one["repo"], one["job"]) == (repo, job))
        return str(found["state"])

    def acts(self, repo: str) -> list[tuple[str, str]]:
        """What was done about a repo, and why."""
        return [(one["verb"], one["reason"]) for one in self.json("audit", "--target", "it", "--repo", repo)["acts"]]


Use = Callable[[Operator], None]
USES: dict[str, Use] = {}


def uses(command: str, *options: str) -> Callable[[Use], Use]:
    """This function shows what these options of a command do."""

    def noted(function: Use) -> Use:
        text = inspect.getsource(function).partition("\ndef ")[2]
        for option in options:
            assert option in text or (option in WHOLE and "*WHOLE" in text) or f".{option[2:]}(" in text, option
            USES[f"{command} {option}"] = function
        return function

    return noted


def every_option() -> Iterator[str]:
    """The options of these commands that not all commands have."""
    for name in COMMANDS:
        for one in get_command(app).commands[name].params:  # type: ignore[attr-defined]
            option = max(one.opts, key=len)
            if option.startswith("--") and option not in OF_ALL:
                yield f"{name} {option}"


def test_no_option_of_a_command_of_trust_is_without_a_test_of_what_it_does() -> None:
    assert set(every_option()) == USES.keys()


@pytest.fixture(scope="module", params=["directory", "moto"])
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("operator")
    place = {"url": (folder / "mirror").as_uri()}
    if request.param == "moto":
        place = request.getfixturevalue("moto").place("some/prefix/")
    for name in ("wait/one", "wait/two", "wait/three", "far/one", "far/two", "far/marked"):
        (folder / "upstream" / name).mkdir(parents=True)
        (folder / "upstream" / name / "README.md").write_text(f"{CARD}{name}\n", encoding="utf-8")
    (folder / "upstream/far/marked/marked.txt").write_text("a mark", encoding="utf-8")
    (folder / "rules").write_text("1")
    scanner = folder / "scanner"
    scanner.write_text(
        f'#!/bin/sh\ncase "$1" in *marked.txt) exit $(cat {folder / "rules"});; esac\n', encoding="utf-8"
    )
    scanner.chmod(0o755)
    document = {
        "state_dir": "state",
        "upstreams": {"local": {"kind": "directory", "url": (folder / "upstream").as_uri()}},
        "targets": {"it": {**place, "grace": "0s"}, "spare": {"url": (folder / "spare").as_uri()}},
        "licenses": {"allow": ["mit"]},
        "site": {"name": "Example models"},
        "trust": {"key": str(ssh_key(folder))},
        "decisions": "./decisions.yaml",
        "policy": {"restricted": ["wait/*"], "scan": {"command": [str(scanner), "{file}"]}},
        "jobs": [
            {"name": "waits", "repos": ["wait/*"], "target": "it"},
            {"name": "far", "repos": ["far/*"], "target": "it"},
            {"name": "other", "repos": ["far/two"], "target": "spare"},
        ],
    }
    (folder / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")
    (folder / "jobs.yaml").chmod(0o600)
    made = Operator(Program(folder), place)
    made("sync")
    return made


@uses("holds", "--job", "--json")
def holds_shows_what_waits_of_a_job(operator: Operator) -> None:
    waits = operator.json("holds", "--job", "waits")["holds"]
    assert {one["rule"] for one in waits} == {"restricted"}
    assert [one["repo"] for one in operator.json("holds", "--job", "far")["holds"]] == ["far/marked"]


@uses("approve", "--why", "--by", "--ticket", "--until", "--rule", "--any")
def an_approval_is_written_down_as_it_was_said(operator: Operator) -> None:
    operator("approve", "wait/one", *WHOLE)
    said = {"by": "Ada", "why": "its terms", "ticket": "LEGAL-42", "until": "2999-01-31", "rule": "restricted"}
    one = operator.decided["wait/one"]
    assert one == {"repo": "wait/one", "commit": one["commit"], "outcome": "approve", **said}
    assert re.fullmatch("[0-9a-f]{40}", one["commit"])
    operator("approve", "far/one", "--any", *WHOLE)
    assert operator.decided["far/one"]["commit"] == "any"


@uses("reject", "--why", "--by", "--ticket", "--until", "--rule", "--any")
def a_rejection_is_written_down_as_it_was_said(operator: Operator) -> None:
    operator("reject", "wait/two", *WHOLE)
    one = operator.decided["wait/two"]
    assert (one["outcome"], one["by"], one["ticket"], one["until"]) == ("reject", "Ada", "LEGAL-42", "2999-01-31")
    operator("reject", "wait/th*", "--any", *WHOLE)
    assert (operator.decided["wait/th*"]["commit"], operator.decided["wait/th*"]["rule"]) == ("any", "restricted")


@uses("rescan", "--again", "--json")
def what_is_held_is_scanned_anew_after_a_false_alarm(operator: Operator) -> None:
    assert operator.state("far/marked") == "held"
    (operator.program.folder / "rules").write_text("0")
    operator("sync", "far")
    assert operator.state("far/marked") == "held", "what was found is remembered"
    judged = operator.json("rescan", "--again")["snapshots"]
    assert {(one["repo"], one["result"]) for one in judged} == {("far/one", "clean"), ("far/two", "clean")}
    operator("sync", "far")
    assert operator.state("far/marked") == "published"


@uses("withdraw", "--why", "--by", "--target", "--dry-run", "--json")
def a_repo_is_taken_down_in_one_target_with_the_reason(operator: Operator) -> None:
    words = ("withdraw", "far/two", "--why", "its licence ended", "--by", "Ada", "--target", "it")
    before = operator.acts("far/two")
    assert len(operator.json(*words, "--dry-run")["snapshots"]) == 1
    assert operator.acts("far/two") == before
    assert len(operator.json(*words)["snapshots"]) == 1
    assert operator.acts("far/two")[-1][0] == "withdraw"
    assert "its licence ended" in operator.acts("far/two")[-1][1]
    assert "by Ada: its licence ended" in " ".join(operator("status").out.split())
    assert (operator.state("far/two"), operator.state("far/two", "other")) == ("held", "published")


@uses("restore", "--why", "--by", "--target")
def a_repo_may_come_back(operator: Operator) -> None:
    operator("withdraw", "far/two", "--why", "again", "--target", "it")
    operator("restore", "far/two", "--why", "agreed", "--by", "Ada", "--target", "it")
    verb, reason = operator.acts("far/two")[-1]
    assert (verb, "agreed" in reason) == ("restore", True)


@uses("sign", "--all", "--repo", "--target", "--retire", "--json")
def another_key_signs_one_repo_then_all_and_the_old_one_is_retired(operator: Operator) -> None:
    folder = operator.program.folder
    old = PublicKey.of(read_ed25519(folder / "signing.key")).fingerprint
    jobs = (folder / "jobs.yaml").read_text(encoding="utf-8")
    (folder / "jobs.yaml").write_text(jobs.replace("signing.key", ssh_key(folder, "new.key").name), encoding="utf-8")
    (one,) = operator.json("sign", "--repo", "far/one", "--target", "it")["repos"]
    assert (one["target"], one["repo"], one["snapshots"]) == ("it", "far/one", 1)
    signed = operator.json("sign", "--all", "--retire", old)["repos"]
    assert ("spare", "far/two", 1) in [(one["target"], one["repo"], one["snapshots"]) for one in signed]
    first, second = (folder / "spare/trust/allowed_signers").read_text(encoding="utf-8").splitlines()
    assert ("valid-before=" in first, "valid-before=" in second) == (True, False)


@uses("audit", "--since", "--repo", "--target", "--verify", "--signers", "--json")
def the_audit_is_of_one_target_repo_and_time_and_its_signatures_are_looked_at(operator: Operator) -> None:
    signers = operator.program.folder / "spare/trust/allowed_signers"
    chosen = ("audit", "--target", "it", "--repo", "far/one", "--since")
    assert [one["verb"] for one in operator.json(*chosen, "1d")["acts"]] == ["publish", "approve", "sign"]
    assert operator.json(*chosen, datetime.now(UTC).isoformat())["acts"] == []
    sound = operator("audit", "--target", "it", "--verify", "--signers", str(signers))
    assert "nothing is missing, and nothing was changed" in sound.out
    assert "not looked at" not in sound.out
    other = ssh_key(operator.program.folder, "strange.key").with_name("strange.key.pub")
    signers.with_name("strange").write_text(f"Example-models {other.read_text()}", encoding="utf-8")
    operator("audit", "--target", "it", "--verify", "--signers", str(signers.with_name("strange")), code=1)


@uses("report", "--format", "--target", "--output")
def a_report_is_of_one_target_in_three_forms(operator: Operator) -> None:
    folder = operator.program.folder
    for form, begins in (("html", "<!doctype html>"), ("csv", "kind,repo,"), ("json", "{")):
        path = folder / f"report.{form}"
        operator("report", "--format", form, "--target", "spare", "--output", str(path))
        text = path.read_text(encoding="utf-8")
        assert text.lower().startswith(begins)
        assert ("far/two" in text, "far/one" in text) == (True, False)


@uses("prove", "--from", "--signers", "--revision", "--dir", "--since", "--keep", "--identity", "--json")
def a_stranger_proves_what_the_target_gives_or_a_copy(operator: Operator) -> None:
    folder = operator.program.folder
    signers = str(folder / "spare/trust/allowed_signers")  # the same keys
    (folder / "kept").unlink(missing_ok=True)
    words = ("prove", "far/one", "--from", operator.place["url"], "--signers", signers)
    told = json.loads(operator(*words, "--keep", "kept", "--json").out)
    assert (told["proved"], told["signer"], told["files"]) == (True, "Example-models", 1)
    operator(*words, "--since", "kept", "--dir", "upstream/far/one", "--revision", told["commit"])
    newer = json.loads((folder / "kept").read_text(encoding="utf-8"))
    (folder / "kept").write_text(json.dumps({**newer, "serial": newer["serial"] + 1}), encoding="utf-8")
    for harm, said in (
        (("--since", "kept"), "the statement is old: its serial is "),
        (("--dir", "upstream/far/two"), "README.md: was changed"),
        (("--revision", "none"), "names no none"),
        (("--identity", "another"), "is of Example-models, not of another"),
    ):
        refused = operator(*words, *harm, code=1)
        assert said in refused.err
        assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("use", dict.fromkeys(USES.values()), ids=lambda use: use.__name__)
def test_what_an_option_says_is_what_is_done(operator: Operator, use: Use) -> None:
    use(operator)
