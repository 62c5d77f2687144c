"""`sign`: what was published unsigned, or with another key, is signed anew; files, names and times of it stay."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mirror_sync.app.trust.signing_repos import SignReport
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.rewritten import PUBLISHED
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import published_at, published_snapshots
from mirror_sync.errors import SigningError, UsageError
from mirror_sync.signing.private_keys import read_ed25519
from mirror_sync.signing.sshsig import PublicKey
from tests.formats import back_to_format_1
from tests.signing.keys import elliptic_key, ssh_key
from tests.signing.mirrors import REPO, SignedMirror


def sign(signed: SignedMirror, **wanted: object) -> SignReport:
    with closing(signed.mirror()) as mirror:
        return mirror.sign(BY_DAEMON, **wanted)  # type: ignore[arg-type]


def test_what_was_published_unsigned_is_signed_with_its_files_and_names_as_they_were(signed: SignedMirror) -> None:
    trust, signed.trust = signed.trust, {}
    signed.sync()
    before, root = signed.refs(), signed.root()
    signed.trust = trust
    (done,) = sign(signed).repos
    assert (done.snapshots, done.stated, done.problem) == (1, True, "")
    after = signed.refs()
    assert (after.refs, after.snapshots.keys()) == (before.refs, before.snapshots.keys())
    assert (signed.root().shards, signed.root().info) == (root.shards, root.info)
    assert signed.prove().ok
    (again,) = sign(signed).repos
    assert (again.snapshots, again.stated, again.words) == (0, False, "signed already")
    assert signed.refs() == after
    signed.sync()
    assert signed.refs() == after, "a snapshot that is signed anew is no other one"


def test_a_snapshot_of_the_first_format_is_signed_too_and_is_of_the_second_then(signed: SignedMirror) -> None:
    trust, signed.trust = signed.trust, {}
    signed.sync()
    back_to_format_1(signed.store, Repo.parse(REPO))
    assert signed.root().format == 1
    signed.trust = trust
    (done,) = sign(signed).repos
    assert (done.snapshots, done.problem) == (1, "")
    assert signed.root().format == 2
    assert signed.prove().problems == ()
    with closing(signed.mirror()) as mirror:
        assert mirror.verify(BY_DAEMON).ok


def test_after_a_change_of_keys_all_is_signed_with_the_new_one_and_the_old_one_can_be_retired(
    signed: SignedMirror,
) -> None:
    signed.sync()
    old = PublicKey.of(read_ed25519(signed.key)).fingerprint
    before = signed.prove()
    new = ssh_key(signed.folder, "new.key")
    signed.trust["key"] = str(new)
    signed.trust["model_signing"] = {"key": str(elliptic_key(signed.folder, "new.pem"))}
    with pytest.raises(UsageError, match="is the key that signs"):
        sign(signed, retire=PublicKey.of(read_ed25519(new)).fingerprint)
    assert sign(signed, retire=old).ok
    after = signed.prove(since=before.statement)
    assert after.problems == ()
    assert after.signer is not None
    assert after.signer.key == PublicKey.of(read_ed25519(new))
    gone = next(one for one in signed.signers.signers if one.key.fingerprint == old)
    assert gone.before is not None, "it stays in the file, and is valid no longer"
    with pytest.raises(UsageError, match="no target has a key SHA256:none in its trust/allowed_signers"):
        sign(signed, retire="SHA256:none")


def test_retention_goes_on_by_when_a_snapshot_was_published_not_by_when_it_was_signed(signed: SignedMirror) -> None:
    trust, signed.trust = signed.trust, {}
    signed.sync()
    (old,) = signed.refs().snapshots
    first = published_at(signed.store, signed.refs().snapshots[old])
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    signed.trust = trust
    (done,) = sign(signed).repos
    assert done.snapshots == 2
    assert PUBLISHED in signed.refs().attachments
    with closing(signed.mirror()) as mirror:
        (target,) = mirror._context().targets.values()
        times = {one.commit: one.since for one in published_snapshots(target.store)}
    assert times[old].timestamp() == pytest.approx(first, abs=1.1)
    signed.add(REPO, {"weights.bin": "third"})
    signed.sync()
    assert signed.prove(revision=old).ok, "the document of times is carried along"
    with closing(signed.mirror()) as mirror:
        assert mirror.prune(BY_DAEMON).ok
    assert old not in signed.refs().snapshots
    assert signed.prove().ok


def test_one_repo_is_signed_alone_and_one_that_cannot_be_read_does_not_stop_the_others(signed: SignedMirror) -> None:
    trust, signed.trust = signed.trust, {}
    signed.add("acme/two", {"other": "files"})
    signed.sync()
    signed.trust = trust
    (done,) = sign(signed, repo=Repo.parse("acme/two")).repos
    assert (str(done.repo), done.snapshots) == ("acme/two", 1)
    assert not signed.prove(signers=signed.signers).ok
    with pytest.raises(UsageError, match="nothing of acme/none is mirrored"):
        sign(signed, repo=Repo.parse("acme/none"))
    signed.store.delete([blob_key(signed.root("acme/two").info)])
    signed.trust["bom"] = []
    elliptic_key(signed.folder)  # another one
    report = sign(signed)
    assert [(str(one.repo), bool(one.problem)) for one in report.repos] == [("acme/one", False), ("acme/two", True)]
    assert not report.ok
    assert signed.prove().ok


def test_a_key_that_cannot_be_used_stops_a_run_before_anything_is_fetched(signed: SignedMirror) -> None:
    signed.key.chmod(0o644)
    with closing(signed.mirror()) as mirror, pytest.raises(SigningError, match="others may use it"):
        mirror.sync(BY_DAEMON)
    assert list(signed.store.list("")) == []


def test_signing_without_a_key_says_what_to_write(signed: SignedMirror, tmp_path: Path) -> None:
    signed.trust = {}
    with pytest.raises(UsageError, match=r"write trust: \{key: FILE\}"):
        sign(signed)


def key_changes(signed: SignedMirror) -> list[str]:
    """What the audit says of keys, oldest first."""
    with closing(signed.mirror()) as mirror:
        found = mirror.audit.acts("mirror").records
    return [one.act.reason for one in found if one.act.verb == "key-change"]


def test_the_audit_says_when_a_key_signed_first_and_when_it_was_retired_and_each_once(signed: SignedMirror) -> None:
    old = PublicKey.of(read_ed25519(signed.key)).fingerprint
    signed.sync()
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    assert key_changes(signed) == [f"{old} signs from here on"]
    new_key = ssh_key(signed.folder, "new.key")
    new = PublicKey.of(read_ed25519(new_key)).fingerprint
    signed.trust["key"] = str(new_key)
    assert sign(signed).ok
    changed = f"{new} signs from here on, in the place of {old}"
    assert key_changes(signed)[1:] == [changed]
    assert sign(signed, retire=old).ok
    assert sign(signed, retire=old).ok, "it is retired already"
    assert key_changes(signed)[1:] == [changed, f"{old} signs no longer"]
    signed.trust = {}
    signed.add(REPO, {"weights.bin": "third"})
    signed.sync()
    assert key_changes(signed)[3:] == [f"nothing is signed from here on; {new} signed before"]
