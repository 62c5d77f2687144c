"""What is stated when something goes wrong: a target that is silent, a crash between two writes, two machines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import AuditHead
from mirror_sync.domain.content.refs import STATEMENT, Ref, Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RepoLocks
from mirror_sync.engine.published import Seal, put_refs, read_refs
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import MAX_REFS, Store, read_document
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS, AllowedSigners
from mirror_sync.signing.evidence import StoreEvidence
from mirror_sync.signing.proof import Asked, Proof, Prover
from mirror_sync.signing.signer import SigningKeys, StatementSeal, edit_signers, read_signers
from mirror_sync.signing.statement import Statement
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.wrapped_store import WrappedStore
from tests.signing.keys import ssh_key
from tests.signing.mirrors import SignedMirror

REPO = Repo.parse("acme/one")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HEAD = AuditHead("machine-1", 12, Sha256("a" * 64))


@dataclass
class Place:
    """A target as put_refs knows it."""

    store: Store
    seal: Seal
    refs_lock: RepoLocks = field(default_factory=RepoLocks)


class Failing(WrappedStore):
    """A store that answers no call for keys with this word in them."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.at = "nothing fails"

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        self._ask(key)
        super().put(key, body, digest)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self._ask(key)
        return super().read(key, start, stop)

    def _ask(self, key: str) -> None:
        if self.at in key:
            raise StoreUnavailable(f"no answer for {key}")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys("mirror", ssh_key(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> Failing:
    return Failing(DirectoryStore(tmp_path / "mirror"))


def machine(store: Store, keys: SigningKeys, audit: AuditHead | None = None) -> Place:
    return Place(store, StatementSeal(keys, lambda: NOW, lambda: audit))


def refs_of(digit: str) -> Refs:
    commit = CommitId(digit * 40)
    return Refs((Ref("branches", "main", "refs/heads/main", commit),), {commit: Sha256(digit * 64)})


def stated(store: Store) -> Statement:
    return Statement.decode(read_document(store, read_refs(store, REPO).attachments[STATEMENT], MAX_REFS))


def proved(store: Store, keys: SigningKeys, since: bytes | None = None) -> Proof:
    signers = AllowedSigners().with_key("mirror", keys.public)
    return Prover(StoreEvidence(store), signers, NOW).prove(Asked(REPO, since=since))


def test_a_statement_has_the_names_the_commits_the_roots_and_the_head_of_the_audit_chain(
    store: Failing, keys: SigningKeys
) -> None:
    put_refs(machine(store, keys, HEAD), REPO, refs_of("1"))
    found = stated(store)
    assert (found.repo, found.serial, found.issued) == ("acme/one", int(NOW.timestamp()), "2026-11-29T12:00:00Z")
    assert found.agrees(read_refs(store, REPO))
    assert (found.names, found.audit) == ({"refs/heads/main": "1" * 40}, HEAD)


def test_a_crash_between_a_statement_and_its_refs_json_leaves_what_was_before_and_the_next_try_works(
    store: Failing, keys: SigningKeys
) -> None:
    place = machine(store, keys)
    put_refs(place, REPO, refs_of("1"))
    before = read_refs(store, REPO)
    store.at = "hub/models/acme--one/refs.json"
    with pytest.raises(StoreUnavailable):
        put_refs(place, REPO, refs_of("2").with_attachments(before.attachments))
    store.at = "nothing fails"
    assert read_refs(store, REPO) == before
    assert stated(store).agrees(before)
    put_refs(place, REPO, refs_of("2").with_attachments(before.attachments))
    assert stated(store).serial == int(NOW.timestamp()) + 1


def test_a_statement_that_cannot_be_read_now_stops_the_publication_and_one_that_is_gone_begins_anew(
    store: Failing, keys: SigningKeys
) -> None:
    place = machine(store, keys)
    first = put_refs(place, REPO, refs_of("1"))
    store.at = str(first.attachments[STATEMENT])
    with pytest.raises(StoreUnavailable):
        put_refs(place, REPO, refs_of("2").with_attachments(first.attachments))
    store.at = "nothing fails"
    assert read_refs(store, REPO) == first
    later = Place(store, StatementSeal(keys, lambda: NOW.replace(hour=13), lambda: None))
    put_refs(later, REPO, refs_of("2"))  # of what stood there nothing is known: as after a withdrawal
    assert stated(store).serial > int(NOW.timestamp())


def test_serials_count_on_over_a_take_down_a_restore_and_a_withdrawal_also_within_a_second(
    store: Failing, keys: SigningKeys
) -> None:
    place, tombstone = machine(store, keys), Sha256("b" * 64)
    put_refs(place, REPO, refs_of("1"))
    changes: tuple[Callable[[Refs], Refs], ...] = (
        lambda refs: refs.with_tombstone(tombstone, Sha256("c" * 64)),
        lambda refs: refs.with_tombstone(tombstone),
        lambda refs: refs.withdrawn(None),  # as a restore does
        lambda refs: refs.with_snapshot(CommitId("2" * 40), Sha256("2" * 64), None),
        lambda refs: refs.withdrawn(None),
    )
    for change in changes:
        before = stated(store)
        put_refs(place, REPO, change(read_refs(store, REPO)))
        assert stated(store).serial == before.serial + 1
        assert stated(store).agrees(read_refs(store, REPO))


def test_two_machines_that_write_at_once_give_two_statements_of_one_serial_and_who_kept_the_other_is_told(
    store: Failing, keys: SigningKeys
) -> None:
    one, other = machine(store, keys), machine(store, keys)
    first = put_refs(one, REPO, refs_of("1"))
    put_refs(one, REPO, refs_of("2").with_attachments(first.attachments))
    kept = stated(store).encode()
    put_refs(other, REPO, refs_of("3").with_attachments(first.attachments))
    (problem,) = proved(store, keys, kept).problems
    assert problem.startswith(f"there are two statements of serial {stated(store).serial}: ")
    put_refs(one, REPO, refs_of("4").with_attachments(read_refs(store, REPO).attachments))
    (problem,) = proved(store, keys, kept).problems
    assert "is not signed: it has no SHA256SUMS" in problem, "it is newer now; its root alone was never there"


def test_the_mirrors_key_is_listed_once_beside_others_that_stay(store: Failing, keys: SigningKeys) -> None:
    body = b"# of another machine\nother ssh-rsa AAAA\n"
    store.put("trust/allowed_signers", body, Sha256.of(body))
    for _ in range(2):
        put_refs(machine(store, keys), REPO, refs_of("1"))
    with store.read("trust/allowed_signers") as stream:
        found = bytearray(4096)
        text = bytes(found[: stream.readinto(memoryview(found))])
    assert text == body + f'mirror namespaces="mirror-sync" ssh-ed25519 {keys.public.wire}\n'.encode()


def line_of(name: str, keys: SigningKeys) -> AllowedSigners:
    """A file that names this one key."""
    return AllowedSigners().with_key(name, keys.public)


def test_two_machines_that_begin_at_once_with_different_keys_are_both_listed(
    signed: SignedMirror, tmp_path: Path
) -> None:
    """The other has read the file before our line stood there, and writes over it."""
    (tmp_path / "other").mkdir()
    ours, theirs = (SigningKeys(name, ssh_key(tmp_path / at, "k")) for name, at in (("a", "."), ("b", "other")))
    store, written = signed.store, list[int]()

    def meanwhile() -> None:
        if not written:
            body = line_of("b", theirs).encode()
            store.put(ALLOWED_SIGNERS, body, Sha256.of(body))
        written.append(1)

    assert edit_signers(store, lambda known: known.with_key("a", ours.public), meanwhile)
    assert {one.principals for one in read_signers(store).signers} == {("a",), ("b",)}
    assert not edit_signers(store, lambda known: known.with_key("a", ours.public), meanwhile)


def test_a_line_that_is_written_over_later_stands_again_with_the_next_statement(
    store: Failing, keys: SigningKeys
) -> None:
    place = machine(store, keys)
    put_refs(place, REPO, refs_of("1"))
    store.delete([ALLOWED_SIGNERS])
    put_refs(place, REPO, refs_of("2"))
    assert read_signers(store).signers == line_of("mirror", keys).signers


def test_who_is_written_over_again_and_again_says_so(store: Failing, keys: SigningKeys) -> None:
    with pytest.raises(StoreUnavailable, match="other machines write over it"):
        edit_signers(
            store,
            lambda known: known.with_key("mirror", keys.public),
            lambda: store.delete([ALLOWED_SIGNERS]),
        )
