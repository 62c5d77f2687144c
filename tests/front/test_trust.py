"""What a stranger proves a snapshot with is beside it at addresses of its own, the same on every front and target."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.domain.content.alias import encode
from mirror_sync.domain.content.keys import ALLOWED_SIGNERS, alias_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from tests.front.bucket import commit_id, dataset, model
from tests.front.mirrors import Mirror, by_either

SUMS = "0a1b  README.md\n0c2d  größe.txt\n".encode()
ARMOR = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
ATTACHED = {
    "SHA256SUMS": SUMS,
    "SHA256SUMS.sig": ARMOR,
    "model.sig": b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
    "bom.cdx.json": b'{"bomFormat":"CycloneDX"}',
    "bom.spdx3.json": b'{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}',
}
TEXT, JSON = "text/plain; charset=utf-8", "application/json"


@pytest.mark.parametrize("name", ATTACHED)
def test_an_attachment_of_a_snapshot_is_given_by_its_commit_and_by_its_name(mirror: Mirror, name: str) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish({"f": b"proved"}, attached=ATTACHED)
    for revision, caching in ((commit, "public, max-age=60"), ("main", "public, max-age=2")):
        reply = mirror.get(f"/-/trust/datasets/{repo.repo.id}/{revision}/{name}")
        assert (reply.status, reply.body) == (200, ATTACHED[name])
        assert reply.header("Content-Type") == (TEXT if "SHA256SUMS" in name else JSON)
        assert reply.header("ETag") == f'"{Sha256.of(ATTACHED[name])}"'
        assert reply.header("Cache-Control") == caching
        assert reply.header("X-Repo-Commit") == commit
        assert reply.header("X-Content-Type-Options") == "nosniff"


def test_an_attachment_answers_conditions_ranges_and_head(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"proved"}, attached=ATTACHED)
    address = f"/-/trust/models/{repo.repo.id}/{commit}/SHA256SUMS"
    head = mirror.head(address)
    assert (head.status, head.header("Content-Length"), head.body) == (200, str(len(SUMS)), b"")
    part = mirror.get(address, Range="bytes=6-14")
    assert (part.status, part.body) == (206, SUMS[6:15])
    assert mirror.get(address, Range="bytes=9999-").status == 416
    assert mirror.get(address, If_None_Match=head.header("ETag") or "").status == 304
    assert mirror.ask("POST", address).status == 405


def test_verdicts_are_those_of_the_root(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"judged"})
    address = f"/-/trust/models/{repo.repo.id}/{commit}/verdicts.json"
    reply = mirror.get(address)
    said = {"rule": "licence", "outcome": "allowed", "reason": "apache-2.0 is allowed"}
    assert reply.json == {"repo": repo.repo.id, "commit": commit, "verdicts": [said]}
    assert reply.header("ETag") == f'"{repo.root(commit)}-verdicts"'
    again = mirror.get(
        f"/-/trust/models/{repo.repo.id}/{commit}/verdicts.json", If_None_Match=reply.header("ETag") or ""
    )
    assert again.status == 304


def test_verdicts_of_a_held_commit_are_given_also_where_nothing_is_published(mirror: Mirror) -> None:
    repo, held = model(mirror.store), commit_id()
    repo.attach(f"held.{held}", b'{"verdicts":[]}')
    assert mirror.get(f"/-/trust/models/{repo.repo.id}/{held}/verdicts.json").json == {"verdicts": []}
    for address in (f"/-/trust/models/{repo.repo.id}/{held}/SHA256SUMS", repo.api, f"{repo.at}/resolve/{held}/f"):
        assert mirror.get(address).error == (404, "RepoNotFound"), address
    other = mirror.get(f"/-/trust/models/{repo.repo.id}/{commit_id()}/verdicts.json")
    assert other.error == (404, "RepoNotFound")


def test_what_the_mirror_states_of_a_repo_as_a_whole_is_given_with_its_signature(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"stated"})
    repo.attach("statement", b'{"serial":1}')
    repo.attach("statement.sig", ARMOR)
    for name, body, kind in (("statement.json", b'{"serial":1}', JSON), ("statement.json.sig", ARMOR, TEXT)):
        reply = mirror.get(f"/-/trust/models/{repo.repo.id}/{name}")
        assert (reply.status, reply.body, reply.header("Content-Type")) == (200, body, kind)
        assert reply.header("ETag") == f'"{Sha256.of(body)}"'
        assert reply.header("Cache-Control") == "public, max-age=2"


def test_what_was_not_made_is_said_in_a_line_with_the_key_that_makes_it(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"bare"})
    makes = "in jobs.yaml makes it for what is published from then on"
    for name, how in {
        "SHA256SUMS": f"trust: {{key: FILE}} {makes}",
        "SHA256SUMS.sig": f"trust: {{key: FILE}} {makes}",
        "model.sig": f"trust: {{model_signing: {{key: FILE}}}} {makes}",
        "bom.cdx.json": f"trust: {{bom: [cyclonedx]}} {makes}",
        "bom.spdx3.json": f"trust: {{bom: [spdx3]}} {makes}",
    }.items():
        reply = mirror.get(f"/-/trust/models/{repo.repo.id}/main/{name}")
        assert reply.error == (404, "EntryNotFound")
        assert reply.header("Content-Type") == TEXT
        assert reply.body.decode() == f"{name} of {repo.repo.id} at {commit} is not here: {how}\n"
    assert b"statement.json of" in mirror.get(f"/-/trust/models/{repo.repo.id}/statement.json").body


def test_a_revision_a_repo_or_a_document_that_is_none_is_refused_as_elsewhere(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"asked"}, attached=ATTACHED)
    at = f"/-/trust/models/{repo.repo.id}"
    assert mirror.get(f"{at}/none/SHA256SUMS").error == (404, "RevisionNotFound")
    assert mirror.get("/-/trust/models/acme/nobody/main/SHA256SUMS").error == (404, "RepoNotFound")
    assert mirror.get(f"{at}/main/README.md").error == (404, None)
    assert mirror.get(f"/-/trust/spaces/{repo.repo.id}/main/SHA256SUMS").status == 404
    assert mirror.get(f"{at}/../main/SHA256SUMS").status == 400


def test_another_name_of_a_repo_leads_to_its_own(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"named"}, attached=ATTACHED)
    former = Repo(Kind.MODEL, f"{repo.repo.id}-before")
    body = encode(repo.repo)
    mirror.store.put(alias_key(former), body, Sha256.of(body))
    for path in ("main/SHA256SUMS", "statement.json.sig"):
        reply = mirror.get(f"/-/trust/models/{former.id}/{path}?x=1")
        assert (reply.status, reply.header("Location")) == (307, f"/-/trust/models/{repo.repo.id}/{path}?x=1")


def test_no_listing_shows_what_is_attached(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"f": b"listed"}, attached=ATTACHED)
    assert mirror.listed(f"{repo.api}/tree/{commit}?recursive=true") == ["f"]
    assert mirror.get(f"{repo.at}/resolve/{commit}/SHA256SUMS").error == (404, "EntryNotFound")


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_the_signers_are_given_as_soon_as_there_are_some(front: str, tmp_path: Path) -> None:
    with by_either(front, DirectoryTarget(tmp_path / "bucket"), tmp_path / "front") as mirror:
        reply = mirror.get("/-/trust/allowed_signers")
        assert (reply.status, reply.header("Content-Type")) == (404, TEXT)
        assert "trust: {key: FILE}" in reply.body.decode()
        line = b'models.example.org namespaces="mirror-sync" ssh-ed25519 AAAA\n'
        mirror.store.put(ALLOWED_SIGNERS, line, Sha256.of(line))
        mirror.get_until("/-/trust/allowed_signers", line)
        assert mirror.get("/-/trust/allowed_signers").header("ETag") == f'"{Sha256.of(line)}"'


def test_the_signers_come_out_of_every_target(mirror: Mirror) -> None:
    line = b'models.example.org namespaces="mirror-sync" ssh-ed25519 AAAA\n'
    mirror.store.put(ALLOWED_SIGNERS, line, Sha256.of(line))
    mirror.get_until("/-/trust/allowed_signers", line)
    reply = mirror.get("/-/trust/allowed_signers")
    assert (reply.header("Content-Type"), reply.header("Cache-Control")) == (TEXT, "public, max-age=2")
    assert mirror.get("/-/trust/allowed_signers", If_None_Match=reply.header("ETag") or "").status == 304
