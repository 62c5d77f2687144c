"""The S3 door: what is listed and given there by both fronts over both targets, to clients of S3 and to whoever sends
them something else.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mirror_sync.domain.catalogue.published_lists import encode_index, encode_page
from mirror_sync.domain.catalogue.rows import ListPage, RepoRow
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.serve.asgi import ServeOptions, make_app
from mirror_sync.front.serve.uvicorn_server import ServeAt, serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, dataset, model
from tests.front.guarded import ACCESS, STRANGE, TOKENS, Guarded, write_tokens
from tests.front.mirrors import OPENED, Mirror, Reply, by_either, by_nginx
from tests.requirements import need
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

FILES = {
    "README.md": b"# a model",
    "config.json": b"{}",
    "empty": b"",
    "weights/model-1.safetensors": b"w" * 5000,
    "weights/größe & <x> 'y'.bin": b"umlaut",
    "weights.bin": b"0123456789" * 300,
    "a+b %41/c.txt": b"odd",
}
SIGNED = {"x-amz-date": "20261120T080000Z"}
DEEP = "/".join(["d"] * 1000)


def client(url: str, key: str = "any", secret: str = "any") -> Any:
    made: Any = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    return made


def keys(s3: Any, bucket: str, prefix: str, size: int = 1000, **more: Any) -> list[str]:
    """All keys and common prefixes of a listing, over all its pages."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": size}, **more
    )
    return [
        *(one.get("Key") or one["Prefix"] for page in pages for one in (*page.get("Contents", ()), *_cut(page))),
    ]


def _cut(page: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.get("CommonPrefixes", [])
    return found


def code_of(reply: Reply) -> tuple[int, str]:
    return reply.status, ElementTree.fromstring(reply.body).findtext("Code") or ""


def listed(repos: list[Published], size: int = 2) -> None:
    """The catalogue's lists of these repos, pages of `size`: by themselves, as a program of before has put them."""
    store = repos[0].store
    rows = sorted((_row(one) for one in repos), key=lambda row: row.repo.lower())
    pages = []
    for number, at in enumerate(range(0, len(rows), size)):
        some = tuple(rows[at : at + size])
        pages.append(ListPage(f"p{number}", some[0].repo, some[-1].repo, some))
        body = encode_page(some)
        store.put(site_key(f"list/p{number}.json"), body, Sha256.of(body))
    body = encode_index(pages)
    store.put(site_key("lists.json"), body, Sha256.of(body))


def _row(one: Published) -> RepoRow:
    item = json.dumps({"id": one.repo.id, "private": False, "gated": False}, separators=(",", ":"))
    return RepoRow(one.repo.kind, one.repo.id, RepoState.PUBLISHED, commit=next(iter(one.refs.snapshots)), item=item)


def test_boto3_lists_heads_and_gets_what_is_mirrored_and_proves_each_whole_object_by_its_checksum(
    mirror: Mirror, tmp_path: Path
) -> None:
    one, s3 = model(mirror.store), client(mirror.url)
    commit = one.publish(FILES)
    one.tag("v1", commit)
    base = f"{one.repo.id}/main/"
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["models", "datasets"]
    assert s3.get_bucket_location(Bucket="models")["LocationConstraint"] is None
    assert keys(s3, "models", f"{one.repo.id}/", Delimiter="/") == [base, f"{one.repo.id}/v1/"]
    for size in (1000, 2):
        assert sorted(keys(s3, "models", base, size)) == sorted(base + path for path in FILES)
    both = {f"{one.repo.id}/{name}/{path}" for name in ("main", "v1") for path in FILES}
    assert set(keys(s3, "models", f"{one.repo.id}/", 3)) == both
    assert set(keys(s3, "models", base, Delimiter="/")) == {
        *(base + path for path in FILES if "/" not in path),
        base + "a+b %41/",
        base + "weights/",
    }
    assert len(keys(s3, "models", f"{one.repo.id}/{commit}/weights", 1)) == 3
    for path, body in FILES.items():
        head = s3.head_object(Bucket="models", Key=base + path)
        got = s3.get_object(Bucket="models", Key=base + path, ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ETag"]) == (len(body), f'"{Sha256.of(body)}-1"')
        assert got["ChecksumSHA256"] == base64.b64encode(bytes.fromhex(Sha256.of(body))).decode()
        assert got["Body"].read() == body  # which boto3 has compared with the checksum
    place = tmp_path / "downloaded"
    s3.download_file("models", base + "weights.bin", str(place))
    assert place.read_bytes() == FILES["weights.bin"]


def test_large_objects_come_in_ranges_and_on_conditions(mirror: Mirror) -> None:
    one, s3, body = model(mirror.store), client(mirror.url), bytes(range(256)) * 20_000
    one.publish({"large.bin": body, "small.txt": b"small"})
    key = f"{one.repo.id}/main/large.bin"
    etag = s3.head_object(Bucket="models", Key=key)["ETag"]
    for first, last in ((0, 9), (4_999_990, 5_119_999), (5_119_000, 9_999_999)):
        got = s3.get_object(Bucket="models", Key=key, Range=f"bytes={first}-{last}", ChecksumMode="ENABLED")
        assert got["Body"].read() == body[first : last + 1]
    for path, whole in (("large.bin", body), ("small.txt", b"small")):
        at = f"{one.repo.id}/main/{path}"
        tag = s3.head_object(Bucket="models", Key=at)["ETag"]
        assert s3.get_object(Bucket="models", Key=at, IfMatch=tag)["Body"].read() == whole
        assert s3.get_object(Bucket="models", Key=at, IfMatch=tag, Range="bytes=1-3")["Body"].read() == whole[1:4]
        head = s3.head_object(Bucket="models", Key=at, IfMatch=tag)
        assert (head["ContentLength"], head["ETag"].strip('"')) == (len(whole), tag.strip('"'))
    for conditions, status in (({"IfMatch": '"another"'}, 412), ({"IfNoneMatch": etag}, 304)):
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket="models", Key=key, **conditions)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert code_of(mirror.get(f"/models/{key}", Range="bytes=9999999-", **SIGNED)) == (416, "InvalidRange")


def test_what_is_not_there_is_told_as_s3_tells_it_and_a_listing_of_it_is_empty(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish(FILES)
    at = f"/models/{one.repo.id}"
    for target in (
        f"{at}/main/none",
        f"{at}/none/README.md",
        "/models/no/body/main/x",
        "/models/x",
        f"{at}/main/weights",
    ):
        assert code_of(mirror.get(target, **SIGNED)) == (404, "NoSuchKey"), target
        assert mirror.head(target, **SIGNED).status == 404
    for target in ("/nothing", "/nothing/a/b/main/x", "/spaces?list-type=2"):
        assert code_of(mirror.get(target, **SIGNED)) == (404, "NoSuchBucket"), target
    s3 = client(mirror.url)
    for prefix in (
        "no/body/main/",
        "no/body/",
        f"{one.repo.id}/none/",
        "a b/c/",
    ):
        assert keys(s3, "models", prefix) == [], prefix
    assert keys(s3, "datasets", f"{one.repo.id}/main/") == []


def test_nothing_is_written_through_it(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish(FILES)
    target = f"/models/{one.repo.id}/main/README.md"
    for method, asked in (
        ("PUT", target),
        ("DELETE", target),
        ("POST", f"{target}?uploads"),
        ("POST", "/models?delete"),
        ("PUT", "/mine"),
        ("PUT", "/"),
    ):
        reply = mirror.ask(method, asked, SIGNED, b"x" * 100)
        assert code_of(reply) == (403, "AccessDenied"), (method, asked)
        assert b"read-only" in reply.body
    with pytest.raises(ClientError, match="read-only"):
        client(mirror.url).put_object(Bucket="models", Key="a/b/main/c", Body=b"x" * 3_000_000)


def test_only_who_speaks_s3_meets_the_door_at_the_fronts_own_address(mirror: Mirror) -> None:
    one = model(mirror.store)
    commit = one.publish({"main/README.md": b"the Hub's", "README.md": b"S3's"})
    assert mirror.get("/healthz", **SIGNED).status == 404
    assert mirror.get("/healthz").body == b"ok\n"
    assert mirror.get(f"{one.at}/resolve/{commit}/README.md").body == b"S3's"
    assert mirror.get(f"/models/{one.repo.id}/main/README.md").header("X-Error-Code") != "NoSuchKey"
    marked = ({"Authorization": "AWS4-HMAC-SHA256 x"}, {"amz-sdk-request": "attempt=1"}, SIGNED)
    for headers in marked:
        reply = mirror.ask("GET", f"/models/{one.repo.id}/{commit}/README.md", headers)
        assert (reply.status, reply.body) == (200, b"S3's"), headers
        assert "private" in (reply.header("Cache-Control") or ""), "a cache does not know by what it was chosen"
    assert mirror.ask("GET", f"{one.at}/resolve/{commit}/README.md", SIGNED).status == 404


def test_what_no_client_would_send_is_refused_in_words(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish(FILES | {f"{DEEP[:1999]}/f": b"deep"})
    base = f"{one.repo.id}/main/"

    def asked(query: str) -> Reply:
        return mirror.get(f"/models?list-type=2&prefix={quote(base)}&{query}")

    for query in ("max-keys=-1", "max-keys=1e3", "max-keys=99999999999", "max-keys=2147483648", "max-keys=1%0A"):
        assert code_of(asked(query)) == (400, "InvalidArgument"), query
    assert asked("max-keys=2147483647").status == 200
    assert asked("max-keys=0").body.count(b"<Key>") == 0
    tokens = [
        "",
        "x",
        "!!!!",
        "bnVsbA==",
        base64.urlsafe_b64encode(b'["a",2,""]').decode(),
        "W" * 8000,
    ]
    for token in tokens:
        assert code_of(asked(f"continuation-token={quote(token)}")) == (400, "InvalidArgument"), token[:20]
    assert asked("continuation-token=WyJcdWQ4MDAiLDAsIiJd").status in (200, 400)  # half a character
    assert code_of(asked("delimiter=-")) == (501, "NotImplemented")
    assert code_of(asked("encoding-type=gzip")) == (400, "InvalidArgument")
    for sent in ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=", "AWS4-HMAC-SHA256 Credential=/////, Signature=zz"):
        assert mirror.get(f"/models/{base}README.md", Authorization=sent).status == 200, sent
    for deep in (DEEP, f"{base}{DEEP}", "d/" * 1000, "%2F" * 1000):
        assert mirror.get(f"/models?list-type=2&prefix={deep}").status == 200
        assert mirror.get(f"/models?list-type=2&delimiter=/&prefix={deep}").status == 200
    assert mirror.get(f"/models/{base}{'d/' * 9000}", **SIGNED).status == 400
    for target in (f"/models/{base}../README.md", f"/models/{base}%2e%2e/x", f"/models?list-type=2&prefix={base}../x"):
        assert code_of(mirror.get(target, **SIGNED)) == (400, "InvalidArgument"), target


def test_a_line_of_a_request_cannot_name_an_address_of_the_doors_own(mirror: Mirror) -> None:
    parts = urlsplit(mirror.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE) as raw:
        raw.sendall(b"GET / s3/buckets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 400 " in raw.makefile("rb").readline()
    assert mirror.get("/%20s3/buckets").status == 404


def test_a_request_may_name_the_whole_address_as_the_crt_of_aws_does(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish(FILES)
    target = f"{mirror.url}/models/{one.repo.id}/main/README.md"
    assert mirror.get(target, **SIGNED).body == FILES["README.md"]


def test_a_bucket_is_listed_over_all_its_repos_page_after_page(tmp_path: Path) -> None:
    place = DirectoryTarget(tmp_path / "bucket")
    store = DirectoryStore(place.root)
    names = ["acme/one", "acme/one-b", "acme/one.c", "acme/Two", "acme-b/x", "Zeta/last", "beta/only", "gpt2"]
    repos = [Published(store, Repo(Kind.MODEL, name)) for name in names]
    for one in repos:
        one.publish({"a.txt": b"a", "b/c.txt": b"c"})
    listed(repos)
    every = {f"{name}/main/{path}" for name in names if "/" in name for path in ("a.txt", "b/c.txt")}
    four = [f"acme/{one}/" for one in ("one", "one-b", "one.c", "Two")]
    need("nginx")
    for front in ("serve", "nginx"):
        with by_either(front, place, tmp_path / front) as mirror:
            s3 = client(mirror.url)
            for size in (1, 3, 1000):
                found = keys(s3, "models", "", size)
                assert (set(found), len(found)) == (every, len(every)), (front, size)
                assert keys(s3, "models", "", size, Delimiter="/") == ["acme-b/", "acme/", "beta/", "Zeta/"]
                assert keys(s3, "models", "acme/", size, Delimiter="/") == four
            assert keys(s3, "models", "ac", Delimiter="/") == ["acme-b/", "acme/"]
            assert set(keys(s3, "models", "acme/T")) == {one for one in every if one.startswith("acme/Two/")}
            after = s3.list_objects_v2(Bucket="models", StartAfter="acme/Two/main/a.txt", MaxKeys=1)
            assert [one["Key"] for one in after["Contents"]] == ["acme/Two/main/b/c.txt"]
            older = s3.get_paginator("list_objects").paginate(Bucket="models", PaginationConfig={"PageSize": 2})
            assert {one["Key"] for page in older for one in page["Contents"]} == every
            assert keys(s3, "datasets", "") == keys(s3, "models", "<&>") == []
        with by_either(front, place, tmp_path / f"{front}-listless", site=False) as mirror:
            assert code_of(mirror.get("/models?list-type=2")) == (501, "NotImplemented")
            assert len(keys(client(mirror.url), "models", "acme/one/main/")) == 2


def test_a_listing_never_mixes_two_commits(mirror: Mirror) -> None:
    one = model(mirror.store)
    one.publish(FILES)
    begun = f"/models?list-type=2&prefix={one.repo.id}/main/&max-keys=2"
    token = ElementTree.fromstring(mirror.get(begun).body).findtext("{*}NextContinuationToken") or ""
    following = f"{begun}&continuation-token={quote(token)}"
    assert mirror.get(following).status == 200
    one.publish(FILES | {"README.md": b"another"})
    mirror.get_until(f"{one.at}/resolve/main/README.md", b"another")
    reply = mirror.get(following)
    assert code_of(reply) == (400, "InvalidArgument")
    assert b"start again" in reply.body


def test_a_token_of_the_mirror_is_the_access_key_and_a_url_with_one_is_refused(tmp_path: Path) -> None:
    place = DirectoryTarget(tmp_path / "bucket")
    guarded = Guarded.filled(DirectoryStore(place.root))
    tokens = write_tokens(tmp_path / "tokens.yaml")
    need("nginx")
    for front in ("serve", "nginx"):
        with by_either(front, place, tmp_path / front, access=ACCESS, tokens=tokens) as mirror:
            own, strange = client(mirror.url, TOKENS["developers"]), client(mirror.url, STRANGE)
            key = "team/inner/main/README.md"
            assert own.get_object(Bucket="models", Key=key)["Body"].read() == guarded.secrets["team/inner"]
            assert "team/" in keys(own, "models", "", Delimiter="/")
            assert {one.split("/")[0] for one in keys(strange, "models", "")} == {"pub"}
            for known in (key, "team/not-here/main/README.md"):
                with pytest.raises(ClientError, match=r"AccessDenied.*none of this mirror"):
                    strange.get_object(Bucket="models", Key=known)
            url = own.generate_presigned_url(
                "get_object", Params={"Bucket": "models", "Key": "pub/plain/main/README.md"}
            )
            parts = urlsplit(url)
            reply = mirror.get(f"{parts.path}?{parts.query}")
            assert code_of(reply) == (403, "AccessDenied"), front
            assert b"has an access key in it" in reply.body
            assert TOKENS["developers"].encode() not in reply.body


@contextmanager
def at_its_port(front: str, place: DirectoryTarget, folder: Path) -> Iterator[str]:
    """The address of the S3 door of a front that gives it a port."""
    port, store = free_port(), DirectoryStore(place.root)
    if front == "nginx":
        need("nginx")
        options = NginxOptions(place, access=OPENED, doors=frozenset({"s3"}), s3_listen=("127.0.0.1", port))
        with by_nginx(store, options, folder):
            yield f"http://127.0.0.1:{port}"
    else:
        app = make_app(store, ServeOptions(access=OPENED, doors=frozenset({"s3"}), s3_port=port))
        with serving(app, port=port) as url:
            yield url


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_at_a_port_of_its_own_all_that_is_asked_is_asked_of_s3(front: str, tmp_path: Path) -> None:
    place = DirectoryTarget(tmp_path / "bucket")
    one = dataset(DirectoryStore(place.root))
    one.publish(FILES)
    with at_its_port(front, place, tmp_path / "front") as url:
        plain = Mirror(url, one.store)
        assert plain.get(f"/datasets/{one.repo.id}/main/README.md").body == FILES["README.md"]
        assert b"<Name>datasets</Name>" in plain.get("/").body
        assert code_of(plain.get("/healthz")) == (404, "NoSuchBucket")
        assert code_of(plain.ask("PUT", "/datasets/x/y/main/z", {}, b"x")) == (403, "AccessDenied")
        browser = plain.get("/nothing", Accept="text/html")
        assert code_of(browser) == (404, "NoSuchBucket")


def test_every_process_of_serve_listens_at_both_addresses() -> None:
    at = ServeAt("127.0.0.1", 0, 2, beside=("127.0.0.1", 0))
    with at.listeners() as listeners:
        ports = {tuple(one.getsockname()[1] for one in own) for own in listeners}
        assert (len(listeners), len(ports)) == (2, 1)
        assert len(set(next(iter(ports)))) == 2


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_door_that_is_shut_is_as_if_it_were_not_there(front: str, tmp_path: Path) -> None:
    place = DirectoryTarget(tmp_path / "bucket")
    one = model(DirectoryStore(place.root))
    one.publish(FILES)
    with by_either(front, place, tmp_path / "front", doors=frozenset()) as mirror:
        for target in (f"/models/{one.repo.id}/main/README.md", "/models?list-type=2"):
            told = [(reply.status, reply.body) for reply in (mirror.get(target), mirror.get(target, **SIGNED))]
            assert told[0] == told[1]
            assert told[0][0] == 404
