"""A small mirror with repos of all kinds of secrecy, readers of all roles, and what each of them may find there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mirror_sync.domain.access.access_tokens import AccessToken, AccessTokens, SecureLink, digest_of
from mirror_sync.domain.access.rights import AccessRules, RepoSet, Role
from mirror_sync.domain.catalogue.page_data import ATOM, place_of
from mirror_sync.domain.catalogue.published_lists import encode_index, encode_page
from mirror_sync.domain.catalogue.rows import ListPage, RepoRow, page_key, whole_key
from mirror_sync.domain.content.alias import encode as encode_alias
from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.keys import alias_key, blob_key, site_key
from mirror_sync.domain.content.refs import CLOSED
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.oci_documents import MANIFEST
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.ports.store import Store, read_document
from tests.front.bucket import Published, put_parts

CATALOGUE = (
    "index.html",
    "mirror.html",
    "status.json",
    "feed.atom",
    "changes.json",
    "relations.json",
    "repos.json",
    "tunasync.json",
    "wanted.html",
    "list/one.html",
    "list/one.json",
)
"""What the catalogue has of all repos that are seen."""
PUBLIC = {"private": False, "gated": False}
SECRECY: Mapping[str, Mapping[str, object]] = {
    "pub/plain": PUBLIC,
    "pub/gatedone": {"private": False, "gated": "auto"},
    "team/privateone": {"private": True, "gated": False},
    "team/inner": PUBLIC,
    "far/unsaid": {"private": False},
    "pub/closedsince": PUBLIC,
}
CLOSED_SINCE = {"pub/closedsince"}
"""What its upstream has closed without a commit."""
DATASETS = {"pub/tables": PUBLIC, "team/ledger": {"private": True, "gated": False}}

ACCESS = AccessRules(
    anonymous=(RepoSet.parse("pub/*"), RepoSet.parse("dataset:pub/*")),
    roles={
        "developers": Role(read=(RepoSet.parse("team/*"), RepoSet.parse("pub/gatedone"))),
        "auditors": Role(see=(RepoSet.parse("*"),)),
        "admins": Role(read=(RepoSet.parse("*"),)),
        "nothings": Role(),
    },
    contact="ml-platform@example.org",
)
OPEN_NAMES = {"pub/plain", "dataset:pub/tables"}
READS = {
    "": OPEN_NAMES,
    "nothings": OPEN_NAMES,
    "auditors": OPEN_NAMES,
    "developers": OPEN_NAMES | {"pub/gatedone", "team/privateone", "team/inner"},
    "admins": {*SECRECY, *(f"dataset:{name}" for name in DATASETS)},
}
SEES = READS | {"auditors": READS["admins"]}
"""What each role finds, written down by hand: no function of the program had a part in it."""

TOKENS = {role: f"hf_{role}".ljust(40, "x") for role in ("developers", "auditors", "admins", "nothings")}
STRANGE, EXPIRED, REVOKED, ROLELESS, AWAY = (
    f"hf_{word}".ljust(40, "y") for word in ("strange", "old", "gone", "no", "far")
)
LONG_AGO = "2020-01-01T00:00:00Z"
BARRED = {EXPIRED: "expired", REVOKED: "revoked", ROLELESS: "role", AWAY: "not good from"}


def made(name: str, role: str, token: str) -> AccessToken:
    """As `mirror-sync token new` writes it down: nginx knows it by itself."""
    return AccessToken(name, role, digest_of(token), link=SecureLink.of(token))


def write_tokens(path: Path) -> Path:
    """The file of all these tokens."""
    every = [made(f"the-{role}", role, token) for role, token in TOKENS.items()]
    every += [
        replace(made("the-old", "admins", EXPIRED), expires=LONG_AGO),
        replace(made("the-gone", "admins", REVOKED), revoked=LONG_AGO),
        made("the-no", "nobody-knows", ROLELESS),
        replace(made("the-far", "admins", AWAY), networks=("192.0.2.0/24", "2001:db8::/32")),
    ]
    path.write_text(AccessTokens(tuple(every)).encode(), encoding="ascii")
    return path


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def basic(token: str, user: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def signed(token: str) -> dict[str, str]:
    """As clients of S3 send a token: as the access key of a signature, which nobody can check."""
    scope = f"{token}/20261120/us-east-1/s3/aws4_request"
    said = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {"Authorization": said, "X-Amz-Date": "20261120T080000Z"}


@dataclass
class Guarded:
    """What is in the store: each repo by its name in jobs.yaml, its commit, and its secret content."""

    store: Store
    repos: dict[str, Published] = field(default_factory=dict)
    commits: dict[str, CommitId] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    signs: dict[str, bytes] = field(default_factory=dict)
    """What stands in its page and its proofs."""

    @classmethod
    def filled(cls, store: Store) -> Guarded:
        made = cls(store)
        for kind, names in ((Kind.MODEL, SECRECY), (Kind.DATASET, DATASETS)):
            for name, said in names.items():
                made.add(Repo(kind, name), said)
        made._catalogue()
        return made

    def add(self, repo: Repo, said: Mapping[str, object]) -> None:
        """Publish a repo of which the upstream says this; its file holds a secret, its proof a sign."""
        name = str(repo)
        self.repos[name] = published = Published(self.store, repo)
        self.secrets[name] = f"the secret of {name.replace('/', ' at ')}".encode()
        self.signs[name] = f"the sign of {name.replace('/', ' at ')}".encode()
        small = {"README.md": self.secrets[name], "data/part.bin": self.secrets[name] * 100}
        described = dict(said) if "gated" in said else {**said, "gated": None}
        self.commits[name] = published.publish(
            small, described=described, attached={"SHA256SUMS": self.signs[name]}, registry=True
        )
        if name in CLOSED_SINCE:
            self._put(blob_key(CLOSED_MARK.digest), CLOSED_MARK.body)
            published.refs = published.refs.with_attachments({CLOSED: CLOSED_MARK.digest})
            published.write_refs(published.refs.encode())
        key = alias_key(Repo(repo.kind, f"former/{repo.id.replace('/', '-')}"))
        body = encode_alias(repo)
        self.store.put(key, body, Sha256.of(body))

    def _catalogue(self) -> None:
        """As it is published: what is for everybody, and beside it all there is."""
        for volume, names in (("", OPEN_NAMES), ("all/", set(self.repos))):
            rows = sorted((self._row(name) for name in names), key=lambda row: (row.repo.lower(), row.kind.value))
            page = ListPage("one", rows[0].repo, rows[-1].repo, tuple(rows))
            listing = "".join(f"<li>{row.repo}</li>" for row in rows).encode()
            said = {name: json.dumps(listing.decode()).encode() for name in CATALOGUE if place_of(name) is not None}
            for name in set(CATALOGUE) - said.keys():
                self._put(site_key(f"{volume}{name}"), listing)
            put_parts(self.store, {**said, ATOM: listing, "list/one.json": encode_page(rows)}, volume, listing)
            self._put(site_key(f"{volume}missing.html"), b"nothing @up/-/")
            self._put(site_key(f"{volume}lists.json"), encode_index([page]))
        for name, published in self.repos.items():
            body = self.signs[name]
            key = page_key(published.repo)
            self._put(key if name in OPEN_NAMES else whole_key(key.removeprefix("site/")), body)
        self._put(site_key("assets/style.css"), b"body {}")

    def _row(self, name: str) -> RepoRow:
        repo = self.repos[name].repo
        item = f'{{"id":"{repo.id}","private":false,"gated":{"false" if name in OPEN_NAMES else "true"}}}'
        return RepoRow(repo.kind, repo.id, RepoState.PUBLISHED, commit=self.commits[name], item=item)

    def _put(self, key: str, body: bytes) -> None:
        self.store.put(key, body, Sha256.of(body))

    def registry_digest(self, name: str, route: str) -> Sha256:
        """What a route of registries asks for: a manifest's digest, or that of the secret file."""
        if route == "oci_blob":
            return Sha256.of(self.secrets[name])
        root = Root.decode(read_document(self.store, self.repos[name].root(self.commits[name])))
        return root.attachments[MANIFEST]

    def digest_address(self, name: str) -> str:
        return f"/{blob_key(Sha256.of(self.secrets[name]))}"
