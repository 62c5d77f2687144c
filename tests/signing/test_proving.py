"""What is signed can be proved by a stranger, and what was changed cannot: each with one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from mirror_sync.app.versions.releasing import Wanted
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import STATEMENT, Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.signing.proof import Proof
from mirror_sync.signing.statement import Statement
from tests.signing.mirrors import BOMS, FILES, REPO, SignedMirror, another_signer


def only_problem(found: Proof) -> str:
    (problem,) = found.problems
    assert len(problem.splitlines()) == 1
    return problem


def test_what_is_published_is_proved_down_to_the_bytes_with_the_public_key_alone(
    signed: SignedMirror, tmp_path: Path
) -> None:
    signed.sync()
    assert set(signed.root().attachments) == {"SHA256SUMS", "SHA256SUMS.sig", "model.sig", *BOMS}
    found = signed.prove()
    assert found.problems == ()
    assert (found.files, found.commit) == (len(FILES) + 1, signed.refs().commit_of("main"))
    assert found.signer is not None
    assert found.signer.principals == ("Example-models",)
    assert found.age is not None
    assert timedelta(0) <= found.age < timedelta(hours=1)
    assert signed.prove(folder=signed.downloaded(tmp_path / "copy")).ok
    assert signed.prove(revision=str(found.commit)).ok


def test_with_trust_off_nothing_is_written_or_read_more(signed: SignedMirror) -> None:
    signed.trust = {}
    signed.sync()
    assert (signed.root().attachments, signed.refs().attachments) == ({}, {})
    assert list(signed.store.list("trust/")) == []
    assert only_problem(signed.prove(signers=another_signer(signed.folder))) == (
        "acme/one is not signed: there is no statement of it"
    )


def test_a_flipped_byte_in_the_mirror_or_in_a_copy_is_told_with_its_path(signed: SignedMirror, tmp_path: Path) -> None:
    signed.sync()
    copy = signed.downloaded(tmp_path / "copy")
    signed.overwrite(signed.blob_of("weights.bin"), b"12346")
    assert only_problem(signed.prove()).startswith("weights.bin: was changed: signed is ")
    assert signed.prove(folder=copy).ok
    (copy / "sub/more.txt").write_text("less")
    assert only_problem(signed.prove(folder=copy)).startswith("sub/more.txt: was changed: signed is ")


def test_a_missing_file_is_told_with_its_path_and_one_that_is_not_signed_is_a_note(
    signed: SignedMirror, tmp_path: Path
) -> None:
    signed.sync()
    copy = signed.downloaded(tmp_path / "copy")
    signed.store.delete([blob_key(signed.blob_of("weights.bin"))])
    assert only_problem(signed.prove()) == "weights.bin: is missing"
    (copy / "sub/more.txt").unlink()
    (copy / "extra.pkl").write_text("")
    found = signed.prove(folder=copy)
    assert only_problem(found) == "sub/more.txt: is missing"
    assert found.remarks == ("not signed, and not looked at: extra.pkl",)


def test_a_pipe_or_a_device_in_the_place_of_a_file_of_a_copy_is_no_file(signed: SignedMirror, tmp_path: Path) -> None:
    """Nobody waits for a pipe, or reads /dev/zero to its end; a link to a file is one, as the Hub's cache has them."""
    signed.sync()
    copy = signed.downloaded(tmp_path / "copy")
    (copy / "README.md").rename(tmp_path / "kept")
    (copy / "README.md").symlink_to(tmp_path / "kept")
    assert signed.prove(folder=copy).ok
    (copy / "weights.bin").unlink()
    os.mkfifo(copy / "weights.bin")
    (copy / "sub/more.txt").unlink()
    (copy / "sub/more.txt").symlink_to("/dev/zero")
    assert set(signed.prove(folder=copy).problems) == {"weights.bin: is no file", "sub/more.txt: is no file"}


def test_another_key_does_not_prove(signed: SignedMirror) -> None:
    signed.sync()
    problem = only_problem(signed.prove(signers=another_signer(signed.folder)))
    assert problem.startswith("the statement: the key SHA256:")
    assert problem.endswith(" that signed it is not among the allowed signers")
    assert only_problem(signed.prove(identity="elsewhere")).endswith("is of Example-models, not of elsewhere")


def test_an_old_statement_is_refused_by_who_has_seen_a_newer_one(signed: SignedMirror) -> None:
    signed.sync()
    old = signed.refs()
    first = signed.prove()
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    second = signed.prove(since=first.statement)
    assert second.ok
    assert first.stated is not None
    assert second.stated is not None
    assert second.stated.serial == first.stated.serial + 1
    assert signed.prove(since=second.statement).ok, "the same one is no older"
    body = old.encode()  # all of the mirror as it was, signatures and all
    signed.store.put(refs_key(Repo.parse(REPO)), body, Sha256.of(body))
    assert signed.prove().ok, "who has seen nothing newer cannot know"
    assert only_problem(signed.prove(since=second.statement)).startswith("the statement is old: its serial is ")


def test_names_that_are_paired_with_other_snapshots_than_was_signed_are_not_proved(signed: SignedMirror) -> None:
    signed.sync()
    signed.add("acme/two", {"other": "files"})
    signed.sync()
    lied = Refs.decode(signed.refs().encode())
    (commit,) = lied.snapshots
    lied.snapshots[commit] = next(iter(signed.refs("acme/two").snapshots.values()))
    body = lied.encode()
    signed.store.put(refs_key(Repo.parse(REPO)), body, Sha256.of(body))
    assert only_problem(signed.prove()) == "refs.json names other commits or snapshots than its statement"
    stranger = signed.refs("acme/two").encode()  # all of another repo in this one's place
    signed.store.put(refs_key(Repo.parse(REPO)), stranger, Sha256.of(stranger))
    assert only_problem(signed.prove()) == "the statement is of acme/two, not of acme/one"


def test_a_document_that_was_changed_or_is_gone_is_not_proved(signed: SignedMirror) -> None:
    signed.sync()
    root = signed.root()
    info = signed.body(root.info)
    signed.overwrite(root.info, b"{}")
    assert only_problem(signed.prove()).startswith(f"a document of {root.commit} was changed: document {root.info}")
    signed.overwrite(root.info, info)
    signed.overwrite(root.attachments["SHA256SUMS"], b"")
    assert "was changed" in only_problem(signed.prove())
    signed.store.delete([blob_key(root.attachments["SHA256SUMS"])])
    assert "is missing" in only_problem(signed.prove())


def test_who_no_longer_signs_leaves_no_statement_of_what_was_before(signed: SignedMirror) -> None:
    signed.sync()
    assert STATEMENT in signed.refs().attachments
    signed.trust = {}
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    assert signed.refs().attachments == {}


def test_a_prune_states_what_is_left_and_a_lost_statement_begins_anew_above_all_before(signed: SignedMirror) -> None:
    signed.sync()
    first = signed.refs()
    signed.wait()
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    before = Statement.decode(signed.body(signed.refs().attachments[STATEMENT]))
    assert len(before.snapshots) == 2
    with closing(signed.mirror()) as mirror:
        assert mirror.prune(BY_DAEMON).ok
    assert len(signed.refs().snapshots) == 1, "retention keeps one"
    after = signed.prove(since=before.encode())
    assert after.ok
    assert after.stated is not None
    assert after.stated.serial == before.serial + 1
    signed.wait()
    signed.wait()
    signed.store.delete([blob_key(signed.refs().attachments[STATEMENT])])
    assert "missing" in only_problem(signed.prove()) or "not signed" in only_problem(signed.prove())
    signed.add(REPO, {"weights.bin": "anew"})
    signed.sync()
    anew = signed.prove()
    assert anew.stated is not None
    assert anew.stated.serial >= before.serial
    assert first.snapshots.keys() != signed.refs().snapshots.keys()


def test_a_mirror_that_signs_nothing_imports_nothing_for_it(tmp_path: Path) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    signed.trust = {}
    said = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mirror_sync.config.load import load\n"
        "from mirror_sync.wiring.program import Mirror\n"
        f"mirror = Mirror(load(Path({str(signed.jobs_yaml())!r}), {{}}))\n"
        "from mirror_sync.domain.audit_record import BY_DAEMON\n"
        "assert mirror.sync(BY_DAEMON).ok\n"
        "mirror.close()\n"
        "print([name for name in sys.modules if name.startswith(('mirror_sync.signing', 'cryptography'))])\n"
    )
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=False, timeout=240)
    assert (found.stdout, found.returncode) == ("[]\n", 0), found.stderr


def test_a_name_of_ours_is_stated_apart_from_the_upstreams_and_proved(signed: SignedMirror) -> None:
    """Before and after main goes back: a statement is made with each refs.json."""
    signed.sync()
    first = signed.refs().commit_of("main")
    assert first is not None
    signed.add(REPO, {"weights.bin": "67890"})
    signed.wait()
    signed.sync()
    wanted = Wanted(BY_DAEMON, "mirror", Repo.parse(REPO), "proved for months", wait=False)
    with closing(signed.mirror()) as mirror:
        mirror.releases.promote(wanted, first, "stable")
        assert signed.prove(revision="stable").commit == first
        mirror.releases.rollback(wanted)
    found = signed.prove(revision="stable")
    assert (found.problems, found.commit, signed.prove().commit) == ((), first, first)
    assert found.stated is not None
    assert (found.stated.channels, list(found.stated.names)) == ({"stable": first}, ["refs/heads/main"])
    assert only_problem(signed.prove(revision="candidate")) == "the statement names no candidate of acme/one"
