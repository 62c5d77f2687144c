"""The check of an audit that the manual prints, with the real sha256sum, jq and ssh-keygen, over segments of ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import Act, Actor, ActorKind, AuditRecord, Verb
from mirror_sync.domain.digest import Sha256
from mirror_sync.state.audit_chain import AuditPlace, ChainedAudit
from mirror_sync.state.audit_journal import AuditJournal
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import PATIENCE, ROOT
from tests.parts import program
from tests.requirements import need

MACHINE = "0123456789ab"
NAME = "mirror.example.org"


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    need("jq")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """As the manual has it."""
    text = (ROOT / "docs/guide/trust.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(# check-audit\.sh .*?)```", text, re.DOTALL)
    path = tmp_path / "check-audit.sh"
    path.write_text(block, encoding="utf-8")
    return path


class Auditor:
    """A signed chain of three segments below `tmp`, and the key of who signs."""

    def __init__(self, tmp: Path) -> None:
        self.key, self.folder, self.signers = tmp / "key", tmp / "target/audit" / MACHINE, tmp / "allowed_signers"
        self.journal = AuditJournal(tmp / "state/audit/place")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(self.key))
        public = self.key.with_suffix(".pub").read_text(encoding="utf-8")
        self.signers.write_text(f'{NAME} namespaces="mirror-sync" {public}', encoding="utf-8")
        store = DirectoryStore(tmp / "target")
        place = AuditPlace(self.journal, tmp / "lock", store, "disk", lambda: MACHINE)
        audit = ChainedAudit(place, lambda event: None, self.sign)
        for name in ("a", "b", "c"):
            act = Act(Verb.PUBLISH, "disk", f"acme/{name}", reason='with "quotes"\nand a break')
            audit.record(AuditRecord("2026-01-01T06:00:00Z", Actor(ActorKind.USER, "alice@host"), act))
            audit.seal()
        self.head = audit.head

    def sign(self, body: bytes) -> bytes:
        command = [program("ssh-keygen"), "-Y", "sign", "-n", "mirror-sync", "-f", str(self.key)]
        return subprocess.run(command, input=body, capture_output=True, check=True, timeout=PATIENCE).stdout

    def segment(self, number: int) -> Path:
        return self.folder / f"{number:010}.jsonl"

    def check(self, script: Path, *, signed: bool) -> tuple[int, list[str]]:
        """The exit code, and what was printed."""
        more = [str(self.signers), NAME] if signed else []
        ended = subprocess.run(
            ["/bin/sh", str(script), str(self.folder), *more],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return ended.returncode, (ended.stdout + ended.stderr).splitlines()


def run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


@pytest.mark.parametrize("signed", [False, True], ids=["without keys", "with keys"])
def test_a_whole_chain_is_good_and_its_end_is_the_head_that_this_machine_knows(
    auditor: Auditor, script: Path, signed: bool
) -> None:
    code, said = auditor.check(script, signed=signed)
    assert (code, len(said)) == (0, 4 if signed else 1), said
    assert auditor.head is not None
    assert said[-1] == f"3 segments; the last is {auditor.head.sha256}"
    assert auditor.head.sha256 == Sha256.of(auditor.segment(3).read_bytes())


def test_a_changed_line_is_found(auditor: Auditor, script: Path) -> None:
    path = auditor.segment(1)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"acme/a", b"acme/z"))
    assert auditor.check(script, signed=False)[0] == 1
    assert "0000000002.jsonl: is not the one after" in auditor.check(script, signed=False)[1]
    code, said = auditor.check(script, signed=True)
    assert code == 1
    assert any("Could not verify signature" in line or "incorrect signature" in line for line in said), said


def test_a_missing_segment_is_found(auditor: Auditor, script: Path) -> None:
    auditor.segment(2).unlink()
    code, said = auditor.check(script, signed=False)
    assert (code, said[0]) == (1, "0000000003.jsonl: segment 2 is missing")


def test_a_signature_of_somebody_else_is_found(auditor: Auditor, script: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Auditor(tmp_path / "other")
    auditor.signers.write_text(other.signers.read_text(encoding="utf-8"), encoding="utf-8")
    assert auditor.check(script, signed=True)[0] == 1


def test_a_line_that_is_no_act_is_found(auditor: Auditor, script: Path) -> None:
    path = auditor.segment(3)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"nothing\n")
    code, said = auditor.check(script, signed=False)
    assert code == 1
    assert "0000000003.jsonl: has a line that is no act" in said


def test_a_folder_that_is_not_there_is_no_good_chain(auditor: Auditor, script: Path) -> None:
    auditor.folder = auditor.folder / "elsewhere"
    assert auditor.check(script, signed=False)[0] == 2


@pytest.mark.parametrize(("until", "code"), [("20260201000000Z", 0), ("20251231000000Z", 1)])
def test_a_key_that_is_retired_by_now_still_proves_what_it_signed_while_it_was_valid(
    auditor: Auditor, script: Path, until: str, code: int
) -> None:
    line = auditor.signers.read_text(encoding="utf-8")
    retired = line.replace('namespaces="mirror-sync"', f'namespaces="mirror-sync",valid-before="{until}"')
    auditor.signers.write_text(retired, encoding="utf-8")
    assert auditor.check(script, signed=True)[0] == code
