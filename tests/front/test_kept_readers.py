"""Where nginx asks itself, it is still the reader who asks: in their arm of a grey release, and by their headers."""

from __future__ import annotations

from pathlib import Path

from mirror_sync.domain.access.rights import AccessRules, RepoSet
from mirror_sync.domain.content.share import ReaderShare, reader_key
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.mirrors import by_nginx
from tests.front.test_grey_release import ADDRESSES, arm, released
from tests.requirements import need

_ITSELF = 'proxy_set_header Connection "";'


def test_a_front_that_finds_itself_by_an_address_of_its_own_leads_each_reader_into_one_arm(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root))
    old, new = released(repo, 50)

    def from_elsewhere(text: str) -> str:
        """As where `front.host` is an address of a network: nginx's own requests come from that one."""
        return text.replace(_ITSELF, f"{_ITSELF} proxy_bind 127.0.0.9;")

    with by_nginx(repo.store, NginxOptions(target), tmp_path / "front", from_elsewhere) as mirror:
        for address in ADDRESSES[:12]:
            taken = ReaderShare("candidate", 5000).takes(repo.repo, reader_key("", address))
            assert arm(mirror, repo, address) == (new if taken else old)


def test_headers_that_look_the_same_in_a_row_are_others(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root))
    repo.publish({f"data/{number:04}.txt": b"1" for number in range(1500)})
    with by_nginx(repo.store, NginxOptions(target, refs_seconds=600), tmp_path / "front") as mirror:
        for forwarded, scheme, wanted in (("a, b", "https", "<https://a/"), ("a,", "b https", "<http://a/")):
            sent = {"Host": "m.example.org", "X-Forwarded-Host": forwarded, "X-Forwarded-Proto": scheme}
            for _ in range(2):
                reply = mirror.ask("GET", f"{repo.api}/tree/main?recursive=true", sent)
                assert wanted in (reply.header("Link") or ""), reply.headers


def test_what_was_kept_under_other_rules_is_given_to_nobody_after_them(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root), "acme/x")
    commit = repo.publish({"a.txt": b"a"})
    for named, status in (("acme/*", 200), ("other/*", 404)):
        access = AccessRules(anonymous=(RepoSet.parse(named),))
        options = NginxOptions(target, refs_seconds=600, access=access)
        with by_nginx(repo.store, options, tmp_path / "front") as mirror:
            for path in (repo.api, f"{repo.at}/resolve/{commit}/a.txt"):
                assert mirror.get(path, Host="m.example.org").status == status, (named, path)
