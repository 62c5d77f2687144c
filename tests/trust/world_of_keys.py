"""A mirror in which every key of `trust`, `decisions` and `policy` has done what it does, over a target of any kind.

Of each rule there are two repos alike: RULE-held, and RULE-free, which a decision names. What a job says itself is
shown by a repo of the owner `own`.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.formats.file_class import FileClass
from mirror_sync.domain.policy.decisions import RuleKey
from mirror_sync.domain.repo import Repo
from mirror_sync.signing.private_keys import read_ed25519
from mirror_sync.signing.sshsig import PublicKey
from mirror_sync.wiring.program import Mirror
from tests.cli.program import Program
from tests.servers.certificates import Authority
from tests.signing.hardware import new_token
from tests.signing.keys import elliptic_key, ssh_key
from tests.standin import LFS, Hub
from tests.trust import recipes

CLASSES: Mapping[FileClass, str] = {
    FileClass.DATA: "model.safetensors",
    FileClass.TEXT: "notes.txt",
    FileClass.CONTAINER: "model.gguf",
    FileClass.UNKNOWN: "unsure",
    FileClass.PICKLE: "plain-4.data",
    FileClass.CODE: "modeling.py",
    FileClass.EXECUTABLE: "library",
}
"""A file of each class, as the recipes call it; the repo is `classes/CLASS`, of those that are allowed one for all."""
CARD = {"base_model": "acme/base", "datasets": ["acme/rows"]}
GATED, PRIVATE = ("closed/gated-held", "closed/gated-free"), ("closed/private-held", "closed/private-free")
OWNERS = {
    RuleKey.RESTRICTED: "strict",
    RuleKey.FORBIDDEN: "evil",
    RuleKey.GATED: "closed",
    RuleKey.PRIVATE: "closed",
}
"""Whose the two repos of a rule are, where not of `acme`."""
ALLOWED = (FileClass.DATA, FileClass.TEXT, FileClass.CONTAINER, FileClass.PICKLE)
EARLY = ("down", "back", "resigned")  # with the first key, before all others
DENIED = tuple(f"!acme/{name}" for name in ("certified", "hardware", *EARLY))  # of jobs of their own
_YOUNG = {"date": datetime.now(UTC)}
_MANY = {f"{number}.txt": b"%d" % number for number in range(6)}
_SCANNER = f"""#!/bin/sh
case "$1" in
  finds) echo "Found: a mark"; exit 1;;
  fails) echo "no database" >&2; exit 2;;
  sleeps) exec sleep 300;;
  takes) {sys.executable} -ISc 'bytearray(1 << 30)' || exit 2;;
  *) exit "$(cat "$1")";;
esac
"""


class WorldOfKeys:
    """Made by some runs of the program; from then on it is only read."""

    def __init__(self, folder: Path, place: Mapping[str, Any]) -> None:
        """`place` is what jobs.yaml says of the target."""
        quick = {"confirm": "off"} if "endpoint_url" in place else {}
        self.folder, self.place = folder, {**place, "grace": "0s", **quick}
        self.scanner, self.rules, self.more_rules = folder / "scanner", folder / "rules", folder / "more-rules"
        self.scanner.write_text(_SCANNER, encoding="utf-8")
        self.scanner.chmod(0o755)
        (folder / "certified").mkdir()
        self.authority = Authority(folder / "certified")
        self.hardware = new_token(folder)
        self.keys = [ssh_key(folder, name) for name in ("first.key", "second.key")]
        self.model_keys = [elliptic_key(folder, name) for name in ("first.pem", "second.pem")]
        self.heads: dict[str, str] = {}
        """The commit that main of a repo is at upstream, and `REPO@NAME` for others."""

    def make(self) -> None:
        """Fill an upstream, and run the program as operators do."""
        with Hub() as hub:
            self._fill(hub)
            self.rules.write_text("1")
            self.more_rules.write_text("0")
            with self._program(self._main(hub, 0)) as mirror:
                assert mirror.sync(BY_DAEMON, ["early"]).ok
                self._take_down(mirror)
            with self._program(self._main(hub, 1)) as mirror:
                assert mirror.sign(BY_DAEMON, retire=self.fingerprint(0)).ok
                self._sync(mirror)
            self._go_on(hub)
            self.rules.write_text("0")
            self.more_rules.write_text("1")
            with self._program(self._main(hub, 1)) as mirror:
                assert not mirror.rescan(Repo.parse("own/turned")).ok
                self._sync(mirror)
            with self._program(self._certified(hub)) as mirror:
                self._sync(mirror)
            done = Program(self.folder, environ=dict(self.hardware.environ))("sync", "-c", self._in_hardware(hub).name)
            assert done.code == 0, done.err  # in a process of its own, since one reads once where its tokens are
        assert not hub.crashes

    def fingerprint(self, number: int) -> str:
        """As `sign --retire` and ssh-keygen name a key."""
        return PublicKey.of(read_ed25519(self.keys[number])).fingerprint

    def _fill(self, hub: Hub) -> None:
        """The upstream, as the first run finds it."""
        add = partial(self._add, hub)
        for end in ("held", "free"):
            for name in ("strict/restricted", "evil/forbidden", "acme/guard"):
                add(f"{name}-{end}", _MANY)
            add(f"acme/licence-{end}", licence="llama3.1")
            add(f"acme/formats-{end}", {"unsure": LFS(recipes.FILES["unsure"][1])})
            add(f"acme/scan-{end}", {"weights.safetensors": LFS(recipes.safetensors(2))})
            hub.model(f"acme/scan-{end}").scan({"weights.safetensors": "unsafe"})
            add(f"acme/cooldown-{end}", words=_YOUNG)
            add(f"acme/base_model-{end}", card={**CARD, "base_model": "far/base"})
            add(f"closed/gated-{end}", gated="auto")
            add(f"closed/private-{end}", private=True)
        hub.model("far/base", license="proprietary").commit({"README.md": b"a base"})
        add("classes/allowed", {CLASSES[of]: LFS(recipes.FILES[CLASSES[of]][1]) for of in ALLOWED})
        for of in FileClass:
            if of not in ALLOWED:
                add(f"classes/{of}", {CLASSES[of]: LFS(recipes.FILES[CLASSES[of]][1])})
        for name in ("other-rule", "ended", "ticket"):
            add(f"strict/{name}")
        for name in ("rejected", "base", "certified", "hardware", *EARLY):
            add(f"acme/{name}", {"own.txt": f"what {name} has alone".encode()})
        add("acme/picklescan", {"delta.pkl": LFS(pickle.dumps(timedelta(1)))})
        add("acme/signed", {"data/weights.bin": LFS(recipes.safetensors(3)), ".gitattributes": b"* -text\n"}, card=CARD)
        for job in self._jobs():
            add(f"own/{job}")
        add("pinned/one")
        hub.model("pinned/one").tag("v1")
        self.heads["pinned/one@v1"] = self.heads["pinned/one"]
        add("pinned/one", {"more.txt": b"more"})

    def _go_on(self, hub: Hub) -> None:
        """What its owners do after the first run."""
        for end in ("held", "free"):
            name = f"acme/guard-{end}"
            self.heads[f"{name}@first"] = self.heads[name]
            self.heads[name] = hub.model(name).commit(delete=_MANY)
        self.heads["own/turned@first"] = self.heads["own/turned"]
        self._add(hub, "own/turned", {"more.txt": b"more"})

    def _add(
        self,
        hub: Hub,
        name: str,
        files: Mapping[str, Any] | None = None,
        words: Mapping[str, Any] | None = None,
        licence: str = "mit",
        **said: Any,
    ) -> None:
        repo = hub.model(name, **{"license": licence, **said})
        first = {} if name in self.heads else {"README.md": f"words of {name}\n".encode()}
        self.heads[name] = repo.commit({**first, **(files or {})}, **(words or {}))

    def _take_down(self, mirror: Mirror) -> None:
        for name in ("down", "back"):
            repo, why, by = Repo.parse(f"acme/{name}"), "its licence was withdrawn", "J. Doe, legal"
            assert mirror.taking_down.withdraw(BY_DAEMON, "it", repo, why=why, by=by).ok
        mirror.taking_down.restore(BY_DAEMON, "it", Repo.parse("acme/back"), why="agreed")

    def _sync(self, mirror: Mirror) -> None:
        """Repos that are held or refused fail no run."""
        report = mirror.sync(BY_DAEMON)
        assert report.ok, [one for one in report.repos if one.outcome == "failed"]

    @contextmanager
    def _program(self, path: Path) -> Iterator[Mirror]:
        with closing(Mirror(load(path, {}))) as mirror:
            yield mirror

    def _main(self, hub: Hub, key: int) -> Path:
        """jobs.yaml with every key; `key` is which pair of keys signs."""
        token = hub.token("hf_of_tests", approved=GATED, private=PRIVATE)
        document = self._common(hub, "state", token) | {
            "trust": {
                "key": str(self.keys[key]),
                "model_signing": {"key": str(self.model_keys[key])},
                "bom": ["cyclonedx", "spdx3"],
            },
            "licenses": {"allow": ["mit"], "review": ["llama3.1"]},
            "decisions": self._decisions(),
            "policy": {
                "forbidden": ["evil/*"],
                "restricted": ["strict/*", {"repos": "pinned/*", "pin": True}],
                "cooldown": "3d",
                "inherit_base_model": "hold",
                "formats": {"refuse": ["executable"], "hold": ["unknown"], "allow": [*ALLOWED]},
                "scan": {"hub": "hold", "picklescan": True},
            },
            "jobs": [
                {"name": "all", "repos": ["acme/*", "strict/*", "classes/*", "evil/*", "closed/*", *DENIED]},
                {"name": "early", "repos": [f"acme/{name}" for name in EARLY]},
                {"name": "pinned", "repos": ["pinned/one"], "revisions": ["main", "v1"]},
                *({"name": name, "repos": [f"own/{name}"], "policy": own} for name, own in self._jobs().items()),
            ],
        }
        return self._written("jobs.yaml", document)

    def _jobs(self) -> dict[str, dict[str, Any]]:
        """By their names: what jobs add to the policy that holds for all."""

        def scanned(*words: str, **more: Any) -> dict[str, Any]:
            return {"scan": {"command": [str(self.scanner), *words, "{file}"], **more}}

        return {
            "finds": scanned("finds"),
            "sleeps": scanned("sleeps", timeout="1s"),
            "takes": scanned("takes", memory="256MiB"),
            "fails": scanned("fails", on_failure="refuse"),
            "ruled": scanned(str(self.rules), version=["/bin/cat", str(self.rules)]),
            "turned": scanned(str(self.more_rules)),
            "holds": {"formats": {"hold": ["text"]}},
            "older": {"cooldown": "9999d"},
        }

    def _decisions(self) -> str:
        def said(repo: str, rule: str = "restricted", commit: str = "any", **more: str) -> dict[str, str]:
            plain = {"repo": repo, "commit": commit, "rule": rule, "outcome": "approve"}
            return {**plain, "by": "Ada, legal", "why": "terms read", **more}

        decided = [said(f"{OWNERS.get(rule, 'acme')}/{rule}-free", rule) for rule in RuleKey]
        decided += [
            said("pinned/one"),
            said("pinned/one", commit=self.heads["pinned/one@v1"]),
            said("strict/other-rule", "cooldown"),
            said("strict/ended", until="2020-01-31"),
            said("strict/ticket", until="2999-01-31", ticket="LEGAL-42"),
            said("acme/rejected", outcome="reject"),
            *(said(f"acme/guard-{end}", "cooldown") for end in ("held", "free")),  # whose second commit is seen as new
            said("own/turned", "cooldown"),
        ]
        return self._written("decisions.yaml", {"version": 1, "decisions": decided}).name

    def _certified(self, hub: Hub) -> Path:
        """jobs.yaml of a mirror whose bundles carry a certificate."""
        own = self.authority.certify("models.example.org", signs=True)
        own.key.chmod(0o600)
        model = {"key": str(own.key), "certificate": str(own.chain), "chain": str(self.authority.file)}
        return self._written("certified.yaml", self._signing_one(hub, "certified", model))

    def _in_hardware(self, hub: Hub) -> Path:
        return self._written("hardware.yaml", self._signing_one(hub, "hardware", {"pkcs11": self.hardware.address()}))

    def _signing_one(self, hub: Hub, name: str, model: Mapping[str, str]) -> dict[str, Any]:
        return self._common(hub, f"state-{name}") | {
            "trust": {"key": str(self.keys[1]), "model_signing": dict(model)},
            "licenses": {"allow": ["mit"]},
            "site": {"enabled": False, "name": "Example models"},
            "jobs": [{"name": name, "repos": [f"acme/{name}"]}],
        }

    def _common(self, hub: Hub, state: str, token: str = "") -> dict[str, Any]:
        return {
            "state_dir": state,
            "site": {"name": "Example models"},
            "upstreams": {
                "hub": {"kind": "huggingface", "endpoints": [hub.url], **({"token": token} if token else {})}
            },
            "targets": {"it": self.place},
        }

    def _written(self, name: str, document: Mapping[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(document), encoding="utf-8")
        path.chmod(0o600)
        return path
