"""Torrents are a function of the snapshot, made once of what is stored; clients fetch whole ones from the mirror, and
share them; one wrong byte costs one piece.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from hashlib import sha1
from itertools import count
from pathlib import Path
from urllib.request import urlopen

import pytest

from mirror_sync.app.trust.signing_repos import SignReport
from mirror_sync.domain.access.reader_limits import ReaderLimits
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.doors.torrent_metainfo import (
    FACTS,
    INFO,
    LEAST_PIECE,
    TorrentFacts,
    TorrentFiles,
    TorrentInfo,
    TorrentOptions,
    info_of,
    piece_length,
)
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.engine.doors.torrent_pieces import torrent_documents
from mirror_sync.engine.published import read_root
from mirror_sync.engine.upkeep.verify import Scope
from mirror_sync.errors import DocumentError
from mirror_sync.front.nginx.nginx_files import NginxOptions
from tests.doors.torrent_clients import LibtorrentPeer, by_aria2, by_libtorrent, by_transmission, opentracker
from tests.front.mirrors import OPENED, by_either, by_nginx
from tests.parts import program
from tests.requirements import need
from tests.servers.ports import free_port
from tests.signing.mirrors import CARD, REPO, SignedMirror
from tests.waiting import PATIENCE

DOORS = {"torrents": True, "url": "https://models.example.org"}
TEXT = "".join(f"{number:015}\n" for number in range(LEAST_PIECE // 8))  # two pieces, and no line twice
FILES = {
    "weights.bin": TEXT * 2 + "the end",
    "sub/a b+c;d'e[1]&f=g,h@i!(j)~$k.bin": TEXT[:1000],
    "vorlage/gr\u00f6\u00dfe.txt": "x",
}
SIZE = sum(map(len, FILES.values())) + len(CARD)


@pytest.fixture
def torrents(opened: SignedMirror) -> SignedMirror:
    """A mirror that makes torrents; it has synced nothing yet."""
    return ready(opened)


@pytest.fixture
def at_home(tmp_path: Path) -> SignedMirror:
    """The same in a directory."""
    return ready(SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()}))


def ready(made: SignedMirror) -> SignedMirror:
    made.trust, made.front = {}, dict(DOORS)
    (made.folder / "upstream" / REPO / "odd \\ name\nof two lines").unlink()
    for path in ("weights.bin", "sub/more.txt", ".gitattributes"):
        (made.folder / "upstream" / REPO / path).unlink()
    made.add(REPO, FILES)
    return made


def facts(mirror: SignedMirror) -> TorrentFacts:
    return TorrentFacts.decode(mirror.attachment(FACTS))


def test_a_sync_makes_a_torrent_of_what_is_stored_and_the_next_one_changes_nothing(torrents: SignedMirror) -> None:
    torrents.sync()
    refs, info = torrents.refs(), torrents.attachment(INFO)
    known = TorrentInfo.decode(info)
    assert known.sizes == {path: len(body.encode()) for path, body in sorted({"README.md": CARD, **FILES}.items())}
    whole = b"".join(body.encode() for _, body in sorted({"README.md": CARD, **FILES}.items()))
    pieces = [sha1(whole[at : at + LEAST_PIECE]).digest() for at in range(0, len(whole), LEAST_PIECE)]
    assert known.hashes == b"".join(pieces)
    assert facts(torrents).infohash == sha1(info).hexdigest()
    assert b"7:privatei1ee" not in info
    torrents.sync()
    assert torrents.refs() == refs


def test_what_was_published_before_is_made_by_one_command_which_says_what_has_none(torrents: SignedMirror) -> None:
    torrents.add("acme/odd", {"what?.bin": "x"})
    torrents.front = {}
    torrents.sync()
    torrents.front = dict(DOORS)
    with closing(torrents.mirror()) as running:
        report: SignReport = running.open_doors(BY_DAEMON)
        told = {one.repo.id: (one.snapshots, len(one.without)) for one in report.repos}
        assert told == {"acme/one": (1, 0), "acme/odd": (1, 1)}
        (why,) = [line for one in report.repos for line in one.without]
        assert "what?.bin has '?' in its name" in why
        again = running.open_doors(BY_DAEMON)
        assert [(one.snapshots, len(one.without)) for one in again.repos] == [(0, 1), (0, 0)]
        assert running.verify(BY_DAEMON).ok
    assert facts(torrents).infohash


@pytest.mark.parametrize(
    ("size", "length"),
    [(1, 1 << 20), (1 << 30, 1 << 20), ((1 << 30) + 1, 2 << 20), (10**11, 16 << 20), (10**13, 16 << 20)],
)
def test_the_length_of_pieces_is_a_function_of_the_size_for_ever(size: int, length: int) -> None:
    assert piece_length(size) == length


def test_an_infohash_is_frozen() -> None:
    files = TorrentFiles.of(_file(name, b"a torrent of " + name.encode()) for name in ("b/c.bin", "a.bin"))
    info = info_of(CommitId("0" * 40), files.files, b"h" * 20)
    assert TorrentFacts.of_info(info).infohash == "70152e0b794ff71c58f9502617ced697ad568c3c"
    assert TorrentInfo.decode(info).sizes == {"a.bin": 18, "b/c.bin": 20}


def _file(path: str, body: bytes) -> MirroredFile:
    return MirroredFile(path, len(body), GitOid.of_blob(body), Sha256.of(body))


@pytest.mark.parametrize("cut", [0, 1, 9, 30, -1, -2, -21])
def test_what_is_no_info_of_a_torrent_is_refused(cut: int) -> None:
    files = TorrentFiles.of([_file("a", b"a")])
    info = info_of(CommitId("0" * 40), files.files, b"h" * 20)
    for broken in (info[:cut], info[:cut] + b"i1e", info + b"e", b"d5:filesl" + b"d6:lengthi1e4:pathl99999999:"):
        with pytest.raises(DocumentError):
            TorrentInfo.decode(broken)


def test_a_million_files_have_no_torrent_and_are_not_all_looked_at() -> None:
    digest, oid = Sha256.of(b""), GitOid.of_blob(b"")
    asked = count()
    files = (MirroredFile(f"{next(asked):07}/a-file.bin", 1, oid, digest) for _ in range(1_000_000))
    found = TorrentFiles.of(files)
    assert (found.files, "more files than one torrent can name" in found.why) == ((), True)
    assert next(asked) < 110_000, "no more of them are looked at, and held, than one torrent can name"


class CountedStore:
    """A store of which is noted which blobs are read from, from which byte on."""

    def __init__(self, mirror: SignedMirror) -> None:
        self._store = mirror.store
        self.reads: list[tuple[str, int]] = []

    def read(self, key: str, start: int = 0, stop: int | None = None) -> object:
        self.reads.append((key, start))
        return self._store.read(key, start, stop)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_each_file_is_read_once_and_nothing_that_was_hashed_before(at_home: SignedMirror) -> None:
    at_home.sync()
    base = read_root(at_home.store, next(iter(at_home.refs().snapshots.values())))
    before = [_file(path, body.encode()) for path, body in {"README.md": CARD, **FILES}.items()]
    keys = {blob_key(file.sha256): file.path for file in before}

    def read_of(files: Iterable[MirroredFile], root: object = None) -> list[tuple[str, int]]:
        store = CountedStore(at_home)
        made = torrent_documents(store, base.commit, TorrentFiles.of(files), root, lambda: None)  # type: ignore[arg-type]
        assert made[INFO] == at_home.attachment(INFO) or root is not None
        return [(keys[key], start) for key, start in store.reads if key in keys]

    assert read_of(before) == [(path, 0) for path in sorted({"README.md", *FILES})]
    assert read_of(before, base) == [], "the same files have the same pieces"
    new = _file("zz.bin", b"new")
    (place := at_home.folder / "mirror" / blob_key(new.sha256)).parent.mkdir(exist_ok=True)
    place.write_bytes(b"new")
    keys[blob_key(new.sha256)] = new.path
    from_last = SIZE // LEAST_PIECE * LEAST_PIECE - (SIZE - len(FILES["weights.bin"]))
    assert read_of([*before, new], base) == [("weights.bin", from_last), ("zz.bin", 0)]


def test_no_piece_is_made_of_what_has_rotted(at_home: SignedMirror) -> None:
    at_home.front = {}
    at_home.sync()
    digest = Sha256.of(FILES["weights.bin"].encode())
    at_home.overwrite(digest, FILES["weights.bin"].replace("1", "2").encode())
    at_home.front = dict(DOORS)
    with closing(at_home.mirror()) as running:
        (one,) = running.open_doors(BY_DAEMON).repos
    assert (one.snapshots, "holds other bytes" in one.problem) == (0, True)


def fetched(mirror: SignedMirror, url: str, folder: Path, by: Callable[[Path, Path], None]) -> None:
    """Fetch the torrent by one client, and compare all that came."""
    commit = mirror.root().commit
    folder.mkdir()
    torrent = torrent_at(mirror, url, folder / "one.torrent")
    by(torrent, folder / "files")
    came = {
        str(path.relative_to(folder / "files" / commit)): path.read_bytes()
        for path in (folder / "files" / commit).rglob("*")
        if path.is_file()
    }
    assert came == {path: body.encode() for path, body in {"README.md": CARD, **FILES}.items()}


def torrent_at(mirror: SignedMirror, url: str, path: Path) -> Path:
    with urlopen(f"{url}/-/torrents/models/{REPO}/{mirror.root().commit}.torrent") as answer:
        path.write_bytes(answer.read())
    return path


def test_the_page_of_a_repo_has_a_command_that_fetches_all_of_it(at_home: SignedMirror, tmp_path: Path) -> None:
    need("aria2")
    at_home.catalogue = True
    at_home.add("acme/odd", {"what?.bin": "x"})
    at_home.sync()
    page = (tmp_path / "mirror/site/models/acme--one.html").read_text(encoding="utf-8")
    (at,) = re.findall(rf"/-/torrents/models/acme/one/{at_home.root().commit}.torrent", page)[:1]
    assert "aria2c --seed-time=0 " in page
    with by_either("serve", DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as running:
        command = [program("aria2c"), "--seed-time=0", f"{running.url}{at}"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, cwd=tmp_path)
    weights = tmp_path / at_home.root().commit / "weights.bin"
    assert weights.read_text(encoding="utf-8") == FILES["weights.bin"]
    odd = (tmp_path / "mirror/site/models/acme--odd.html").read_text(encoding="utf-8")
    assert ("not all clients take" in odd, "/-/torrents/" in odd) == (True, False)
    at_home.front = {}
    at_home.sync()
    shut = (tmp_path / "mirror/site/models/acme--one.html").read_text(encoding="utf-8")
    assert ("/-/torrents/" in shut, (tmp_path / "mirror/site/torrents.txt").exists()) == (False, False)


def test_the_list_for_trackers_has_what_everybody_may_read_alone(at_home: SignedMirror, tmp_path: Path) -> None:
    at_home.catalogue = True
    at_home.add("acme/inner", {"inner.bin": "x"})
    at_home.access = {"anonymous": ["acme/one"], "roles": {"staff": {"read": ["*"]}}}
    at_home.sync()
    listed = (tmp_path / "mirror/site/torrents.txt").read_text(encoding="utf-8")
    known = facts(at_home)
    assert listed == f"{known.infohash} {known.private} model acme/one\n"
    (tmp_path / "mirror/hub/models/acme--one/refs.json").write_text("broken")
    with closing(at_home.mirror()) as running:
        assert not running.sync(BY_DAEMON).ok
    assert (tmp_path / "mirror/site/torrents.txt").read_text(encoding="utf-8") == listed, "unreadable is not gone"


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_clients_fetch_whole_snapshots_by_web_seed(front: str, at_home: SignedMirror, tmp_path: Path) -> None:
    need("aria2", "torrents")
    at_home.sync()
    with by_either(front, DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as running:
        for name, by in {"aria2": by_aria2, "libtorrent": by_libtorrent, "transmission": by_transmission}.items():
            fetched(at_home, running.url, tmp_path / name, by)


def test_two_peers_meet_at_a_tracker_that_knows_the_list_of_the_mirror_and_share(
    at_home: SignedMirror, tmp_path: Path
) -> None:
    need("nginx", "torrents")
    at_home.catalogue = True
    at_home.add(REPO, {"large.bin": TEXT * 6})
    at_home.sync()
    port, target = free_port(), DirectoryTarget(tmp_path / "mirror")
    (lists := tmp_path / "tracker").mkdir()
    announce = f"http://127.0.0.1:{port}/announce"
    options = NginxOptions(target, access=OPENED, doors=frozenset({"torrents"}), torrents=TorrentOptions((announce,)))
    slow = replace(options, limits=ReaderLimits(bandwidth=500_000))
    with ExitStack() as stack:
        fast = stack.enter_context(by_nginx(at_home.store, options, tmp_path / "fast"))
        listed = fast.get("/-/torrents/whitelist").body
        assert listed.decode().split() == ["0" * 40, facts(at_home).infohash]
        (lists / "whitelist.txt").write_bytes(listed)
        stack.enter_context(opentracker(lists / "whitelist.txt", port))
        first = LibtorrentPeer(torrent_at(at_home, fast.url, tmp_path / "first.torrent"), tmp_path / "first")
        first.wait()
        slowed = stack.enter_context(by_nginx(at_home.store, slow, tmp_path / "slow"))
        second = LibtorrentPeer(torrent_at(at_home, slowed.url, tmp_path / "second.torrent"), tmp_path / "second")
        second.wait()
        assert second.torrent.status().total_payload_download >= len(TEXT) * 8
        assert first.torrent.status().total_payload_upload > 0.4 * len(TEXT) * 8
    log = (tmp_path / "slow" / "logs" / "access.log").read_text()
    from_seed = sum(json.loads(line)["bytes"] for line in log.splitlines() if "/resolve/" in line)
    assert from_seed < 0.6 * len(TEXT) * 8, f"{from_seed} bytes of the second peer came from the mirror"


def spoilt(mirror: SignedMirror, path: str, *places: int) -> Sha256:
    """Other bytes at these places of a file of the mirror."""
    body = bytearray({"README.md": CARD, **FILES}[path].encode())
    digest = Sha256.of(bytes(body))
    for place in places:
        body[place] ^= 1
    mirror.overwrite(digest, bytes(body))
    return digest


def repaired(mirror: SignedMirror) -> list[str]:
    with closing(mirror.mirror()) as running:
        report = running.verify(BY_DAEMON, Scope(repair=True))
        assert report.ok, report
        assert running.verify(BY_DAEMON).ok
    return [one.repair for one in report.repaired]


def said_of(count: int) -> str:
    return f"repaired: {count:,} bytes came from upstream"


def test_one_wrong_byte_costs_one_piece(torrents: SignedMirror) -> None:
    torrents.sync()
    spoilt(torrents, "weights.bin", 2 * LEAST_PIECE + 5)
    (said,) = repaired(torrents)
    assert said == said_of(LEAST_PIECE)


def test_a_piece_that_crosses_files_is_mended_with_what_is_right_of_it(torrents: SignedMirror) -> None:
    torrents.sync()
    spoilt(torrents, "weights.bin", 0)
    (said,) = repaired(torrents)
    begins = SIZE - len(FILES["weights.bin"])  # among all bytes: it is the last one
    assert said == said_of(LEAST_PIECE - begins)


@pytest.mark.parametrize("harm", ["much", "shorter", "neighbour", "no torrent", "changed upstream"])
def test_where_pieces_do_not_help_a_file_comes_whole_or_is_left(at_home: SignedMirror, harm: str) -> None:
    if harm == "no torrent":
        at_home.front = {}
    at_home.sync()
    if harm == "much":
        spoilt(at_home, "weights.bin", *range(0, len(FILES["weights.bin"]), LEAST_PIECE // 2))
    elif harm == "shorter":
        at_home.overwrite(Sha256.of(FILES["weights.bin"].encode()), b"short")
    else:
        spoilt(at_home, "weights.bin", 5)
    if harm == "neighbour":
        spoilt(at_home, "README.md", 0)
    if harm == "changed upstream":
        at_home.add(REPO, {"weights.bin": FILES["weights.bin"].replace("7", "8")})
        with closing(at_home.mirror()) as running:
            assert not running.verify(BY_DAEMON, Scope(repair=True)).ok
        return
    whole = (
        {"repaired"} if harm != "neighbour" else {"repaired", said_of(LEAST_PIECE - (SIZE - len(FILES["weights.bin"])))}
    )
    assert set(repaired(at_home)) == whole, "what lies before it is brought first"
