"""What `front nginx` writes."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.access.reader_limits import ReaderLimits
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.front.hub.hub_lists import Lists
from mirror_sync.front.hub.served import Served
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.front.misses.daemon_desk import DeskOptions
from mirror_sync.front.nginx.nginx_files import NginxOptions, Variable, write_nginx
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.guarded import ACCESS, write_tokens
from tests.front.mirrors import by_nginx
from tests.parts import program
from tests.requirements import need

PRIVATE = S3Target("models", "https://s3.example.org:9443", access_key="THEKEY", secret_key="thesecret")
AT_START = NginxOptions(PRIVATE, resolvers=())
NAMED = ("127.0.0.53",)  # who is asked for a name when nginx is asked, not when it starts


def checked(configuration: Path) -> str:
    """What nginx says about a configuration that it accepts."""
    need("nginx")
    outcome = subprocess.run(
        [program("nginx"), "-t", "-c", configuration, "-e", configuration.with_name("test.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stderr


def test_keys_stand_in_a_file_of_their_own_that_only_its_owner_reads(tmp_path: Path) -> None:
    write_nginx(tmp_path, AT_START)
    credentials = tmp_path / "s3-credentials.json"
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert json.loads(credentials.read_text()) == {"access_key": "THEKEY", "secret_key": "thesecret"}
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != credentials:
            assert "thesecret" not in file.read_text()
            assert "THEKEY" not in file.read_text()


@pytest.mark.parametrize("target", [PRIVATE, DirectoryTarget(Path("/srv/mirror"))])
@pytest.mark.parametrize("miss", ["404", "redirect", "ask", "fetch"])
def test_all_that_can_be_opened_stands_in_one_configuration_that_nginx_takes(
    tmp_path: Path, target: Target, miss: str
) -> None:
    doors = frozenset(one.door for one in PROTOCOLS if one.door) | {"images"}
    assert {"ask", "oci", "s3", "torrents"} < doors
    options = NginxOptions(
        target,
        by_digest=True,
        doors=doors,
        desk=DeskOptions(miss, "disk", "127.0.0.1", 9464, "front-secret-1234"),
        layers="http://127.0.0.1:9465",
        s3_listen=("127.0.0.1", 9466),
        kernel_publishers=frozenset({"acme"}),
        access=ACCESS,
        tokens=write_tokens(tmp_path / "tokens.yaml"),
        limits=ReaderLimits(100, 8, 1_000_000),
        resolvers=("127.0.0.53",),
    )
    checked(write_nginx(tmp_path / "front", options))


def test_what_nginx_asks_of_itself_is_answered_to_nobody_else(tmp_path: Path) -> None:
    need("nginx")
    bucket = DirectoryTarget(tmp_path / "bucket")
    published = model(DirectoryStore(bucket.root))
    commit = published.publish({"a": b"some"})
    with by_nginx(published.store, NginxOptions(bucket), tmp_path / "front") as mirror:
        path = f"{published.at}/resolve/{commit}/a"
        assert mirror.get(path).body == b"some"
        stranger = mirror.get(path, Host="pointers.invalid")
        assert (stranger.body, stranger.headers["X-Blob-Digest"]) == (b"some", None)
        first = (tmp_path / "front/nginx.conf").read_text()
    write_nginx(tmp_path / "front", NginxOptions(bucket))
    names = [re.findall(r"server_name (\S+);", text) for text in (first, (tmp_path / "front/nginx.conf").read_text())]
    assert len(names[0]) == len(names[1]) == 1
    assert names[0] != names[1]


def test_an_older_credentials_file_never_lends_its_mode(tmp_path: Path) -> None:
    write_nginx(tmp_path, AT_START)
    (tmp_path / "s3-credentials.json").write_text("{}")
    (tmp_path / "s3-credentials.json").chmod(0o644)
    write_nginx(tmp_path, AT_START)
    assert (tmp_path / "s3-credentials.json").stat().st_mode & 0o777 == 0o600


def test_a_target_without_keys_leaves_no_keys_behind(tmp_path: Path) -> None:
    write_nginx(tmp_path, AT_START)
    write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path / "bucket")))
    assert not (tmp_path / "s3-credentials.json").exists()


def test_options_do_not_show_the_secret() -> None:
    assert "thesecret" not in repr(AT_START)


@pytest.mark.parametrize(
    ("target", "resolvers"),
    [
        (PRIVATE, NAMED),
        (replace(PRIVATE, addressing="virtual"), NAMED),
        (PRIVATE, (*NAMED, "::1")),
        (replace(PRIVATE, endpoint_url=None, region="eu-central-1"), NAMED),
        (replace(PRIVATE, access_key=None, secret_key=None), NAMED),
        (replace(PRIVATE, endpoint_url="http://[::1]:9000"), ()),
        (replace(PRIVATE, endpoint_url="http://127.0.0.1:9000", prefix='a $b/\u00e9 "c"'), ()),
        (DirectoryTarget(Path('/srv/a mirror/with "quotes" and \\')), None),
    ],
    ids=lambda value: repr(value)[:120],
)
def test_nginx_accepts_what_is_written_without_a_complaint(
    target: Target, resolvers: tuple[str, ...] | None, tmp_path: Path
) -> None:
    for host in ("127.0.0.1", "0.0.0.0", "::1", "*"):
        options = NginxOptions(target, host=host, port=18080, resolvers=resolvers)
        said = checked(write_nginx(tmp_path / "a folder", options))
        assert not re.search("warn|emerg|alert", said), said


def test_tls_to_the_bucket_is_verified_by_name(tmp_path: Path) -> None:
    text = write_nginx(tmp_path, replace(AT_START, target=replace(PRIVATE, addressing="virtual"))).read_text()
    for directive in (
        "proxy_ssl_verify on;",
        "proxy_ssl_server_name on;",
        "proxy_ssl_name models.s3.example.org;",
        'proxy_ssl_trusted_certificate "/etc/ssl/certs/ca-certificates.crt";',
        "proxy_set_header Host models.s3.example.org:9443;",
    ):
        assert directive in text


def test_a_host_name_is_looked_up_again_and_an_address_is_not(tmp_path: Path) -> None:
    named = write_nginx(tmp_path, NginxOptions(PRIVATE, resolvers=("192.0.2.1",))).read_text()
    assert "resolver 192.0.2.1;" in named
    literal = replace(PRIVATE, endpoint_url="http://192.0.2.7:9000")
    text = write_nginx(tmp_path, NginxOptions(literal)).read_text()
    assert "resolver" not in text
    assert "server 192.0.2.7:9000;" in text


@pytest.mark.parametrize(
    "target",
    [
        replace(PRIVATE, secret_key=None),
        replace(PRIVATE, endpoint_url="s3.example.org"),
        replace(PRIVATE, endpoint_url="ftp://s3.example.org"),
        replace(PRIVATE, endpoint_url="https://s3.example.org/path"),
        replace(PRIVATE, endpoint_url="https://s3.example.org;}"),
        replace(PRIVATE, bucket="models;x"),
        DirectoryTarget(Path("/srv/$mirror")),
    ],
    ids=lambda target: repr(target)[:100],
)
def test_options_that_cannot_be_written_are_refused(target: Target, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        write_nginx(tmp_path, NginxOptions(target))
    assert not (tmp_path / "nginx.conf").exists()


@pytest.mark.parametrize(
    "url", ["models.example.org", "https://a b", 'https://x">', "https://x/", "https://x?y", "https://u:p@x", ""]
)
def test_a_public_url_that_is_no_origin_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="public_url"):
        write_nginx(tmp_path, replace(AT_START, public_url=url))


def test_both_fronts_answer_every_route_of_every_protocol(tmp_path: Path) -> None:
    write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path)))
    served = Served(store := DirectoryStore(tmp_path), Snapshots(store, 1.0), Lists(store, 1.0))
    names = [route.name for protocol in PROTOCOLS for route in protocol.routes]
    assert len(names) == len(set(names)), "who answers is found by the route's name alone"
    tables = (tmp_path / "tables.js").read_text()
    for protocol in PROTOCOLS:
        mine = sorted(route.name for route in protocol.routes)
        assert sorted(protocol.open(served)) == mine
        table = re.search(r"routes: \{(.*?)\}", (tmp_path / protocol.scripts[0]).read_text(), re.DOTALL)
        assert table is not None, protocol.name
        assert sorted(re.split(r",\s*", table[1])) == mine
        assert all(f'name: "{name}"' in tables for name in mine)


def test_in_etc_lies_what_a_person_wrote_and_nothing_that_changes_by_itself() -> None:
    system = Variable.beside(Path("/etc/mirror-sync/nginx"))
    assert {str(place) for place in system.places} == {
        "/var/log/mirror-front",
        "/var/cache/mirror-front",
        "/var/cache/mirror-front/temp",
    }
    own = Variable.beside(Path("/srv/front"))
    assert {place.parent for place in own.places} == {Path("/srv/front")}


def test_logs_and_caches_lie_where_they_were_said_to(tmp_path: Path) -> None:
    bucket = DirectoryTarget(tmp_path / "bucket")
    published = model(DirectoryStore(bucket.root))
    published.publish({"a": b"some"})
    places = Variable(tmp_path / "log", tmp_path / "cache", tmp_path / "cache/temp")
    with by_nginx(published.store, NginxOptions(bucket, variable=places), tmp_path / "front") as mirror:
        assert mirror.get(published.api).status == 200
    assert published.api in (tmp_path / "log/access.log").read_text()
    assert any((tmp_path / "cache/answers").rglob("*"))
    assert not {"logs", "cache", "temp"} & {place.name for place in (tmp_path / "front").iterdir()}
