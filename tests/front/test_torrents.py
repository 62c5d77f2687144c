"""Torrents and Metalinks of what is mirrored, the same on every front and target: what they say, and to whom."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import libtorrent
import pytest

from mirror_sync.domain.catalogue.torrent_list import TORRENT_LIST, ListedTorrent, decode_torrents, encode_torrents
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.torrent_metainfo import LEAST_PIECE, TorrentOptions
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, commit_id, dataset, model
from tests.front.guarded import ACCESS, OPEN_NAMES, READS, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import Mirror, Reply, by_either
from tests.parts import program
from tests.requirements import need
from tests.waiting import PATIENCE

URL = '<url priority="1">'
FILES = {
    "README.md": b"# a model",
    "model.safetensors": bytes(range(256)) * (3 * LEAST_PIECE // 512),
    "sub/a b+c;d'e[1]&f=g.bin": b"odd" * 300,
    "vorlage/gr\u00f6\u00dfe.txt": b"x",
    "empty": b"",
}
TRACKERS = ("http://tracker.example.org:6969/announce", "udp://tracker.example.org:6969")


def info_of(reply: Reply) -> libtorrent.torrent_info:
    assert (reply.status, reply.header("Content-Type")) == (200, "application/x-bittorrent"), reply.body[:200]
    return libtorrent.torrent_info(reply.body)


def test_a_commit_is_a_torrent_whose_files_lie_at_their_own_addresses(mirror: Mirror) -> None:
    for repo, place in ((model(mirror.store), ""), (dataset(mirror.store), "datasets/")):
        commit = repo.publish(FILES, registry=True)
        at = f"/-/torrents/{repo.repo.kind.plural}/{repo.repo.id}"
        reply = mirror.get(f"{at}/{commit}.torrent")
        info = info_of(reply)
        seeds = [seed["url"] for seed in info.web_seeds()]
        assert (info.name(), seeds) == (str(commit), [f"{mirror.url}/{place}{repo.repo.id}/resolve/"])
        paths = [info.files().file_path(number) for number in range(info.num_files())]
        assert paths == [f"{commit}/{path}" for path in sorted(FILES)], "no file is there to fill up pieces"
        assert (info.priv(), list(info.trackers())) == (False, [])
        assert reply.header("X-Repo-Commit") == commit
        named = mirror.get(f"{at}/main.torrent")
        assert (named.body, named.header("ETag")) == (reply.body, reply.header("ETag"))
        assert mirror.head(f"{at}/main.torrent").header("Content-Length") == str(len(reply.body))
        assert mirror.get(f"{at}/main.torrent", If_None_Match=reply.header("ETag") or "").status == 304


@pytest.mark.parametrize("kind", [Kind.SPACE, Kind.KERNEL])
def test_what_is_at_addresses_of_ours_is_there_for_every_kind_of_repo(mirror: Mirror, kind: Kind) -> None:
    repo = Published(mirror.store, Repo(kind, f"acme/any-{kind}-{commit_id()[:12]}"))
    commit = repo.publish(FILES, registry=True)
    info = info_of(mirror.get(f"/-/torrents/{kind.plural}/{repo.repo.id}/main.torrent"))
    assert [seed["url"] for seed in info.web_seeds()] == [f"{mirror.url}/{kind.plural}/{repo.repo.id}/resolve/"]
    file = mirror.get(f"{repo.at}/resolve/{commit}/README.md")
    target = (file.header("Link") or "").partition(">")[0].removeprefix("<").replace("../", "")
    described = mirror.get(f"/{target}")
    assert f'<url priority="1">{mirror.url}{repo.at}/resolve/{commit}/README.md</url>' in described.body.decode()
    root = mirror.get(f"/-/snapshots/{kind.plural}/{repo.repo.id}/main/root.json")
    assert root.json["commit"] == commit
    refs = mirror.get(f"/-/mirror/{kind.plural}/{repo.repo.id}/refs.json")
    assert refs.json["snapshots"][commit] == Sha256.of(root.body)
    at = f"/-/mirror/{kind.plural}/{repo.repo.id}/{commit}/{Sha256.of(root.body)}"
    assert mirror.get(at).body == root.body
    (again,) = decode_torrents(encode_torrents([ListedTorrent("a" * 40, "b" * 40, repo.repo)]))
    assert again.repo == repo.repo, "one that is not read would take the whole list with it"


def test_whoever_makes_a_torrent_of_the_same_files_makes_one_of_the_same_infohash(
    mirror: Mirror, tmp_path: Path
) -> None:
    repo = model(mirror.store)
    commit = repo.publish(FILES, registry=True)
    info = info_of(mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent"))
    storage = libtorrent.file_storage()
    for path, body in sorted(FILES.items()):
        (tmp_path / commit / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / commit / path).write_bytes(body)
        storage.add_file(f"{commit}/{path}", len(body))
    made = libtorrent.create_torrent(storage, LEAST_PIECE, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(made, str(tmp_path))
    theirs = libtorrent.torrent_info(made.generate())
    assert str(theirs.info_hashes().v1) == str(info.info_hashes().v1)


def test_a_public_address_stands_in_torrents_and_metalinks_whatever_a_client_says(public_mirror: Mirror) -> None:
    repo = model(public_mirror.store)
    commit = repo.publish(FILES, registry=True)
    reply = public_mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent", Host="other.example.org")
    assert [seed["url"] for seed in info_of(reply).web_seeds()] == [
        f"https://models.example.org/hub/{repo.repo.id}/resolve/"
    ]
    assert reply.header("Cache-Control") == "public, max-age=60"
    told = public_mirror.get(f"/-/metalink/models/{repo.repo.id}/{commit}/README.md.meta4")
    assert (
        f'<url priority="1">https://models.example.org/hub/{repo.repo.id}/resolve/{commit}/README.md</url>'
        in told.body.decode()
    )


def test_what_has_no_torrent_says_why(mirror: Mirror) -> None:
    for path in ("what?.bin", "a#b", "50%.txt", "two\nlines", "l" * 241, "ends.", " lead"):
        commit = (repo := model(mirror.store)).publish({"README.md": b"r", path: b"x"}, registry=True)
        reply = mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent")
        assert (*reply.error, b"not all clients take" in reply.body) == (404, "EntryNotFound", True), path
    commit = (repo := model(mirror.store)).publish({"empty": b""}, registry=True)
    assert b"it has no byte" in mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent").body
    commit = (repo := model(mirror.store)).publish({"README.md": b"r"})
    assert b"mirror-sync doors makes it" in mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent").body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/-/torrents/models/acme/none/main.torrent", 404),
        ("/-/torrents/models/acme/none/..%2Fmain.torrent", 400),
        ("/-/torrents/models/acme/%2e%2e/main.torrent", 400),
        ("/-/torrents/spaces/acme/none/main.torrent", 404),
        ("/-/torrents/models/acme/none/.torrent", 404),
        ("/-/torrents/models/acme/none/%zz.torrent", 400),
        ("/-/torrents/models/acme/none/%00.torrent", 400),
        ("/-/torrents/", 404),
        ("/-/torrents/torrents.txt", 404),
        ("/-/torrents.txt", 404),
        ("/-/metalink/models/acme/none/main/x.meta4", 404),
        ("/-/metalink/models/acme/none/main/../x.meta4", 400),
        ("/-/metalink/models/acme/none/main/%ff.meta4", 404),
        ("/-/metalink/models/acme/none/main/.meta4", 404),
    ],
)
def test_what_a_stranger_makes_up_is_refused(mirror: Mirror, target: str, status: int) -> None:
    reply = mirror.get(target)
    assert (reply.status, b"Traceback" in reply.body) == (status, False)
    assert mirror.ask("POST", target, {}, b"x").status in (400, 404, 405)


def listed(store: DirectoryStore, repos: dict[str, str]) -> None:
    body = encode_torrents(
        ListedTorrent(infohash, infohash[::-1], Repo.parse(repo)) for repo, infohash in repos.items()
    )
    store.put(TORRENT_LIST, body, Sha256.of(body))


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_what_is_not_for_everybody_is_private_and_named_to_no_tracker(front: str, tmp_path: Path) -> None:
    target, tokens = DirectoryTarget(tmp_path / "bucket"), write_tokens(tmp_path / "tokens.yaml")
    target.root.mkdir()
    store = DirectoryStore(target.root)
    guarded = Guarded.filled(store)
    options = TorrentOptions(TRACKERS)
    with by_either(front, target, tmp_path / "front", access=ACCESS, tokens=tokens, torrents=options) as mirror:
        assert mirror.get("/-/torrents/whitelist").status == 404
        listed(store, {"pub/plain": "a" * 40, "team/inner": "b" * 40})  # as where access was another one
        for name in READS["admins"]:
            published = guarded.repos[name]
            asked = f"/-/torrents/{published.repo.kind.plural}/{published.repo.id}/main.torrent"
            info = info_of(mirror.ask("GET", asked, bearer(TOKENS["admins"])))
            is_open = name in OPEN_NAMES
            assert (info.priv(), {one.url for one in info.trackers()}) == (
                not is_open,
                set(TRACKERS) if is_open else set(),
            )
        mirror.get_until("/-/torrents/whitelist", b"0" * 40 + b"\n" + b"a" * 40 + b"\n")


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_private_tracker_is_asked_alone_and_lists_private_torrents(front: str, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    store = DirectoryStore(target.root)
    commit = (repo := model(store)).publish(FILES, registry=True)
    listed(store, {repo.repo.id: "0" * 39 + "1"})
    options = TorrentOptions(TRACKERS[:1], private=True)
    with by_either(front, target, tmp_path / "front", torrents=options) as mirror:
        info = info_of(mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent"))
        assert (info.priv(), [one.url for one in info.trackers()]) == (True, list(TRACKERS[:1]))
        assert mirror.get("/-/torrents/whitelist").body == b"0" * 40 + b"\n1" + b"0" * 39 + b"\n"


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_shut_door_says_what_opens_it(front: str, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    commit = (repo := model(DirectoryStore(target.root))).publish(FILES, registry=True)
    with by_either(front, target, tmp_path / "front", doors=frozenset()) as mirror:
        reply = mirror.get(f"/-/torrents/models/{repo.repo.id}/{commit}.torrent")
        assert (reply.status, b"front: {torrents: true}" in reply.body) == (404, True)
        assert mirror.get(f"/-/metalink/models/{repo.repo.id}/{commit}/README.md.meta4").status == 200


def proof(body: bytes) -> tuple[str, str]:
    value = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return f"SHA-256={value}", f"sha-256=:{value}:"


def test_every_whole_file_says_its_digest_also_in_a_part_of_it_and_a_redirect_says_none(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(FILES)
    for path in ("README.md", "model.safetensors", "empty", "vorlage/gr%C3%B6%C3%9Fe.txt"):
        body = FILES[path.replace("%C3%B6%C3%9F", "\u00f6\u00df")]
        pinned, moving = f"{repo.at}/resolve/{commit}/{path}", f"{repo.at}/resolve/main/{path}"
        replies = [mirror.get(pinned), mirror.head(pinned), mirror.get(moving), mirror.get(pinned, Range="bytes=0-1")]
        replies.append(mirror.get(pinned, If_None_Match=replies[0].header("ETag") or ""))
        assert [reply.status for reply in replies] == [200, 200, 200, 206 if body else 200, 304]
        for reply in replies:
            assert (reply.header("Digest"), reply.header("Repr-Digest")) == proof(body), (path, reply.status)
        redirect = mirror.head(moving)
        assert (redirect.status, redirect.header("Digest"), redirect.header("Repr-Digest")) == (307, None, None)
    for reply in (
        mirror.get(f"{repo.at}/resolve/{commit}/README.md", Range="bytes=99-"),
        mirror.get(f"{repo.at}/resolve/{commit}/none"),
        mirror.get(f"{repo.api}/tree/{commit}"),
    ):
        assert (reply.header("Digest"), reply.header("Repr-Digest"), reply.header("Link")) == (None, None, None)


def test_a_name_that_looks_like_a_part_of_the_document_is_a_name(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"{size}{digest}": b"abc"})
    told = mirror.get(f"/-/metalink/models/{repo.repo.id}/main/%7Bsize%7D%7Bdigest%7D.meta4").body.decode()
    digest = hashlib.sha256(b"abc").hexdigest()
    wanted = f'<file name="{{size}}{{digest}}"><size>3</size><hash type="sha-256">{digest}</hash>'
    assert wanted in told


def test_a_file_leads_to_its_metalink_which_shadows_no_file(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"a b & c.bin": b"x" * 2000, "a b & c.bin.meta4": b"a file of that name", "sub/d": b"y"})
    for path in ("a%20b%20%26%20c.bin", "sub/d", "a%20b%20%26%20c.bin.meta4"):
        for reply in (
            mirror.get(f"{repo.at}/resolve/{commit}/{path}"),
            mirror.head(f"{repo.at}/resolve/{commit}/{path}"),
        ):
            link = reply.header("Link") or ""
            assert link.endswith('>; rel=describedby; type="application/metalink4+xml"')
            target = link[1:].partition(">")[0]
            up = f"{repo.at}/resolve/{commit}/{path}".count("/") - 1
            assert target.startswith("../" * up + "-/metalink/")
            told = mirror.get("/" + target.removeprefix("../" * up))
            assert told.status == 200
            assert (
                f'<hash type="sha-256">{hashlib.sha256(reply.body).hexdigest()}<' in told.body.decode()
                or not reply.body
            )
            assert f'<url priority="1">{mirror.url}{repo.at}/resolve/{commit}/{path}</url>' in told.body.decode()
    assert (
        b'name="a b &amp; c.bin"'
        in mirror.get(f"/-/metalink/models/{repo.repo.id}/main/a%20b%20%26%20c.bin.meta4").body
    )
    assert mirror.get(f"{repo.at}/resolve/{commit}/a%20b%20%26%20c.bin.meta4").body == b"a file of that name"


def aria2(target: Path, *words: str) -> int:
    command = [program("aria2c"), "-d", str(target), "--no-conf", "--summary-interval=0", "--max-tries=2", *words]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).returncode


def test_aria2_checks_what_it_fetches_by_the_digest_and_by_the_metalink(mirror: Mirror, tmp_path: Path) -> None:
    need("aria2")
    repo = model(mirror.store)
    body = bytes(range(256)) * 30_000
    commit = repo.publish({"good.bin": body})
    address = f"{mirror.url}{repo.at}/resolve/{commit}/good.bin"
    described = f"{mirror.url}/-/metalink/models/{repo.repo.id}/{commit}/good.bin.meta4"
    for number, words in enumerate(([address], ["-x4", "-k1M", address], ["--follow-metalink=mem", described])):
        assert aria2(tmp_path / str(number), "--check-integrity", *words) == 0
        assert (tmp_path / str(number) / "good.bin").read_bytes() == body
    bad = body[::-1]
    commit = (repo := model(mirror.store)).publish({"bad.bin": bad})  # nobody has it in a cache
    digest, wrong = Sha256.of(bad), bad[:-1] + b"?"
    mirror.store.put(blob_key(digest), wrong, Sha256.of(wrong))
    address = f"{mirror.url}{repo.at}/resolve/{commit}/bad.bin"
    described = f"{mirror.url}/-/metalink/models/{repo.repo.id}/{commit}/bad.bin.meta4"
    for name, words in {"digest": [address], "metalink": ["--follow-metalink=mem", described]}.items():
        assert aria2(tmp_path / name, *words) == 32, "checksum error, as aria2c(1) lists it"
