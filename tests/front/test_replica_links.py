"""Whole files, Metalinks and torrents name the replicas that are known to have them, and no other."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen
from xml.etree import ElementTree

import libtorrent
import pytest

from mirror_sync.domain.content.keys import blob_key, replica_key
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.replicas import ReplicaFront, encode_held
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.access_log import Logged
from mirror_sync.front.serve.asgi import ServeOptions, make_app
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, dataset, model
from tests.front.guarded import ACCESS, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import DOORS, PATIENCE, REPLICAS, Mirror, Reply, by_nginx, by_serve
from tests.parts import program
from tests.requirements import need

FILES = {"README.md": b"# a", "a b+c;d'e[1]&f=g(2).bin": b"odd" * 900, "vorlage/gr\u00f6\u00dfe.txt": b"x"}
NAMESPACE = "{urn:ietf:params:xml:ns:metalink}"


def hold(repo: Published, replica: str, *commits: CommitId) -> None:
    """As a pass over the replica writes it, which has brought these."""
    roots = [repo.refs.snapshots[commit] for commit in commits]
    put(repo, replica, encode_held(roots))


def put(repo: Published, replica: str, body: bytes) -> None:
    repo.store.put(replica_key(replica, repo.repo), body, Sha256.of(body))


def duplicates(reply: Reply) -> list[str]:
    return [link for link in reply.headers.get_all("Link") or [] if "rel=duplicate" in link]


def until(mirror: Mirror, address: str, many: int) -> Reply:
    limit = time.monotonic() + PATIENCE
    while len(duplicates(reply := mirror.get(address))) != many:
        assert time.monotonic() < limit, reply.headers.items()
        time.sleep(0.1)
    return reply


def test_a_whole_file_names_the_replicas_that_have_its_commit_each_in_a_header_of_its_own(mirror: Mirror) -> None:
    for repo, place in ((model(mirror.store), ""), (dataset(mirror.store), "datasets/")):
        old = repo.publish(FILES)
        commit = repo.publish({**FILES, "more": b"1"})
        hold(repo, "far", old, commit)
        hold(repo, "near", old)
        for path in FILES:
            escaped = quote(path)
            at = f"{place}{repo.repo.id}/resolve"
            canonical = quote(path, safe="/()'!*~")
            wanted = f"<https://far.example.org/hub/{at}/{commit}/{canonical}>; rel=duplicate; pri=1"
            for reply in (
                until(mirror, f"/{at}/{commit}/{escaped}", 1),
                mirror.head(f"/{at}/{commit}/{escaped}"),
                mirror.get(f"/{at}/main/{escaped}"),
                mirror.get(f"/{at}/{commit}/{escaped}", Range="bytes=0-0"),
            ):
                assert duplicates(reply) == [wanted], (reply.status, path)
                assert sum("rel=describedby" in link for link in reply.headers.get_all("Link") or []) == 1
            both = mirror.get(f"/{at}/{old}/{escaped}")
            assert [link.partition("://")[2].partition("/")[0] for link in duplicates(both)] == [
                "far.example.org",
                "near.example.org:8080",
            ]
            assert [link.rpartition("=")[2] for link in duplicates(both)] == ["1", "2"]
        for reply in (
            mirror.head(f"/{at}/main/README.md"),
            mirror.get(f"/{at}/{commit}/none"),
            mirror.get(f"{repo.api}/tree/{commit}"),
        ):
            assert duplicates(reply) == []


def test_what_a_replica_is_not_known_to_have_is_promised_of_none(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish(FILES)
    address = f"{repo.at}/resolve/{commit}/README.md"
    assert duplicates(mirror.get(address)) == []
    hold(repo, "far", commit)
    until(mirror, address, 1)
    hold(repo, "far")
    until(mirror, address, 0)
    for odd in (b"{", b"[]", b'{"format":2,"roots":[]}', b'{"format":1,"roots":{}}', b"<html>"):
        repo = model(mirror.store)  # of which no front has read a record yet
        address = f"{repo.at}/resolve/{repo.publish(FILES)}/README.md"
        put(repo, "far", odd)
        assert (mirror.get(address).status, duplicates(mirror.get(address))) == (200, []), odd


def test_metalinks_and_torrents_list_replicas_and_the_infohash_stays(mirror: Mirror) -> None:
    repo = dataset(mirror.store)
    commit = repo.publish(FILES, registry=True)
    at = f"/-/torrents/datasets/{repo.repo.id}/{commit}.torrent"
    alone = libtorrent.torrent_info(mirror.get(at).body)
    hold(repo, "far", commit)
    hold(repo, "near", commit)
    until(mirror, f"{repo.at}/resolve/{commit}/README.md", 2)
    beside = libtorrent.torrent_info(mirror.get(at).body)
    assert str(beside.info_hashes().v1) == str(alone.info_hashes().v1)
    places = [mirror.url, *(one.url for one in REPLICAS)]
    assert [one["url"] for one in beside.web_seeds()] == [f"{at}/datasets/{repo.repo.id}/resolve/" for at in places]
    path = quote("a b+c;d'e[1]&f=g(2).bin", safe="'()")
    told = mirror.get(f"/-/metalink/datasets/{repo.repo.id}/{commit}/{path}.meta4")
    urls = ElementTree.fromstring(told.body).findall(f"{NAMESPACE}file/{NAMESPACE}url")
    assert [(one.get("priority"), one.text) for one in urls] == [
        (str(number), f"{at}/datasets/{repo.repo.id}/resolve/{commit}/{path}") for number, at in enumerate(places, 1)
    ]
    assert told.header("ETag") == mirror.get(f"/-/metalink/datasets/{repo.repo.id}/main/{path}.meta4").header("ETag")


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_who_may_not_read_a_repo_learns_of_no_replica(front: str, tmp_path: Path) -> None:
    target, tokens = DirectoryTarget(tmp_path / "bucket"), write_tokens(tmp_path / "tokens.yaml")
    target.root.mkdir()
    store = DirectoryStore(target.root)
    repo = Guarded.filled(store).repos["team/inner"]
    (commit,) = repo.refs.snapshots
    hold(repo, "far", commit)
    files = f"{repo.at}/resolve/{commit}"
    with ExitStack() as stack:
        if front == "serve":
            mirror = stack.enter_context(by_serve(store, access=ACCESS, tokens=tokens, replicas=REPLICAS))
        else:
            need("nginx")
            options = NginxOptions(target, access=ACCESS, tokens=tokens, doors=DOORS, replicas=REPLICAS)
            mirror = stack.enter_context(by_nginx(store, options, tmp_path / "front"))
        for address in (f"{files}/README.md", f"/-/metalink/models/{repo.repo.id}/{commit}/README.md.meta4"):
            hidden = mirror.get(address)
            assert (hidden.status, b"far.example" in hidden.body, duplicates(hidden)) == (404, False, [])
        shown = mirror.ask("GET", f"{files}/README.md", bearer(TOKENS["admins"]))
        assert (shown.status, len(duplicates(shown))) == (200, 1), shown


def test_aria2_uses_both_and_the_replica_alone_when_the_main_front_is_dead(tmp_path: Path) -> None:
    need("aria2")
    main, far = DirectoryStore(tmp_path / "main"), DirectoryStore(tmp_path / "far")
    body = bytes(range(256)) * 40_000
    repo = model(main)
    commit = repo.publish({"big one.bin": body})
    copy = Published(far, repo.repo)
    copy.publish({"big one.bin": body}, commit=commit)
    at_main, at_far = list[str](), list[str]()
    with serving(Logged(make_app(far), at_far.append)) as there:
        replica = ReplicaFront("far", there.replace("127.0.0.1", "localhost"))  # aria2 counts connections by the name
        hold(repo, "far", commit)
        with serving(Logged(make_app(main, ServeOptions(replicas=(replica,))), at_main.append)) as here:
            file = f"{here}{repo.at}/resolve/{commit}/big%20one.bin"
            described = f"{here}/-/metalink/models/{repo.repo.id}/{commit}/big%20one.bin.meta4"
            kept = tmp_path / "kept.meta4"
            kept.write_bytes(urlopen(described, timeout=PATIENCE).read())
            for number, words in enumerate(([file], ["-M", str(kept)])):
                at_main.clear()
                at_far.clear()
                aria2(tmp_path / str(number), "-x1", "-s2", "-k1M", *words)
                assert (tmp_path / str(number) / "big one.bin").read_bytes() == body
                assert [len(given(lines)) > 0 for lines in (at_main, at_far)] == [True, True], words
        aria2(tmp_path / "dead", "-M", str(kept))
        assert (tmp_path / "dead" / "big one.bin").read_bytes() == body
        (path := tmp_path / "far" / blob_key(Sha256.of(body))).chmod(0o644)
        path.write_bytes(body[:-1] + b"?")
        with pytest.raises(subprocess.CalledProcessError) as failed:
            aria2(tmp_path / "wrong", "-M", str(kept))
        assert failed.value.returncode == 32, "checksum error, as aria2c(1) lists it"


def given(lines: list[str]) -> list[str]:
    """What was answered with bytes of the file."""
    return [line for line in lines if '"/-/' not in line and json.loads(line)["bytes"] > 0]


def aria2(target: Path, *words: str) -> None:
    command = [program("aria2c"), "-d", str(target), "--no-conf", "--max-tries=2", "--summary-interval=0", *words]
    subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
