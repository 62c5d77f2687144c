"""Where nginx asks itself, it is still the reader who asks: with their rights, their headers, in their grey release."""

from __future__ import annotations

from pathlib import Path

from mirror_sync.domain.access.rights import AccessRules, RepoSet
from mirror_sync.domain.content.share import ReaderShare, reader_key
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.guarded import ACCESS, READS, SEES, STRANGE, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import by_nginx
from tests.front.test_grey_release import ADDRESSES, arm, released
from tests.requirements import need
from tests.waiting import next_second

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


def test_what_is_kept_for_those_of_one_role_is_given_to_no_other_whoever_asked_first(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    guarded, tokens = Guarded.filled(DirectoryStore(target.root)), write_tokens(tmp_path / "tokens.yaml")
    options = NginxOptions(target, refs_seconds=600, access=ACCESS, tokens=tokens)
    everybody = [("", ""), ("", STRANGE), *TOKENS.items()]
    with by_nginx(guarded.store, options, tmp_path / "front") as mirror:
        for readers in (everybody, everybody[::-1], everybody):
            for name, one in guarded.repos.items():
                for role, token in readers:
                    told = mirror.ask("GET", one.api, bearer(token))
                    # whether a stranger is asked for another token depends on the name alone
                    hidden = 401 if token == STRANGE and not name.removeprefix("dataset:").startswith("pub/") else 404
                    assert told.status == (200 if name in SEES[role] else hidden), (role, name, token == STRANGE)
                    assert (one.repo.id in told.body.decode()) is (told.status == 200)
                    file = f"{one.at}/resolve/{guarded.commits[name]}/README.md"
                    assert (mirror.ask("GET", file, bearer(token)).body == guarded.secrets[name]) is (
                        name in READS[role]
                    )


def test_a_token_that_ends_is_given_nothing_of_what_was_kept_for_it(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    guarded, tokens = Guarded.filled(DirectoryStore(target.root)), write_tokens(tmp_path / "tokens.yaml")
    options = NginxOptions(target, refs_seconds=600, access=ACCESS, tokens=tokens)
    asked, sent = guarded.repos["team/inner"].api, bearer(TOKENS["developers"])
    with by_nginx(guarded.store, options, tmp_path / "front") as mirror:
        kept = [mirror.ask("GET", asked, sent) for _ in range(3)]
        assert {one.status for one in kept} == {200}
        assert {one.header("Cache-Control") for one in kept} == {"private, max-age=2"}
        text = tokens.read_text("ascii")
        tokens.write_text(text.replace("the-developers, role: developers", "the-developers, role: nothings"), "ascii")
        next_second()
        assert mirror.ask("GET", asked, sent).status == 404
        tokens.unlink()
        next_second()
        assert mirror.ask("GET", asked, sent).status == 401


def test_nobody_says_who_they_are_by_a_header_that_nginx_sends_itself(tmp_path: Path) -> None:
    need("nginx")
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    guarded, tokens = Guarded.filled(DirectoryStore(target.root)), write_tokens(tmp_path / "tokens.yaml")
    options = NginxOptions(target, access=ACCESS, tokens=tokens)
    with by_nginx(guarded.store, options, tmp_path / "front") as mirror:
        for name, one in guarded.repos.items():
            for path in (
                one.api,
                f"{one.at}/resolve/{guarded.commits[name]}/README.md",
                f"{one.at}/resolve/main/README.md",
            ):
                for sent in ("held admins the-admins .", "held admins the-admins  ."):
                    reply = mirror.ask("GET", path, {"X-Reader": sent})
                    assert reply.status == (200 if name in READS[""] else 404), (path, sent)
