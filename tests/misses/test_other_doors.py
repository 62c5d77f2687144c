"""What is not here is not here at every door and over every target: each says so in its words, and it is noted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.job.targets import S3Target
from tests.front.guarded import TOKENS, bearer, signed
from tests.front.mirrors import Reply
from tests.misses.world import BIG, World, desk_of, front_of
from tests.standin import Hub
from tests.waiting import until

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

DOORS = {
    "oci": ("/v2/{}/manifests/main", "NAME_UNKNOWN"),
    "modelscope": ("/api/v1/models/{}/repo/files?Revision=main", "10010205001"),
    "s3": ("/models/{}/main/README.md", "NoSuchKey"),
    "get.sh": ("/-/snapshots/models/{}/main/root.json", "RepoNotFound"),
    "torrent": ("/-/torrents/models/{}/main.torrent", "RepoNotFound"),
    "metalink": ("/-/metalink/models/{}/main/README.md.meta4", "RepoNotFound"),
}


def asked(world: World, door: str, name: str, method: str = "GET") -> Reply:
    """By a developer, as the clients of that door send a token."""
    token = TOKENS["developers"]
    return world.front.ask(method, DOORS[door][0].format(name), signed(token) if door == "s3" else bearer(token))


def code(reply: Reply, door: str) -> bool:
    """Whether it is the door's own word."""
    said = DOORS[door][1]
    return said in (reply.header("X-Error-Code"), "") or said.encode() in reply.body


@pytest.mark.parametrize("door", DOORS)
def test_another_door_says_not_found_in_its_own_words_in_every_mode_and_is_never_redirected(
    redirects: World, notes: World, fetches: World, door: str, kind: str
) -> None:
    for world in (redirects, notes, fetches):
        name = f"far/{kind}-{door.replace('.', '-')}"
        for method in ("GET", "HEAD"):
            reply = asked(world, door, name, method)
            assert (reply.status, reply.header("Location"), reply.header("Retry-After")) == (404, None, None)
            assert reply.header("X-Mirror-Leaves") is None
        assert code(asked(world, door, name), door), door
        assert (name in world.desk.wishes) == (world is not redirects), "as the Hub's door notes it"
    said = asked(notes, door, f"far/{kind}-again").header("X-Error-Message") or ""
    assert "is noted; ask ml-platform@example.org" in said


def test_what_another_door_asks_for_is_brought_too_and_given_when_it_is_there(fetches: World, kind: str) -> None:
    name = "team/wanted" if kind == "serve" else "team/other"
    if kind == "nginx":
        fetches.hub.model(name, license="apache-2.0").commit({"README.md": b"---\nlicense: apache-2.0\n---\n"})
    first = asked(fetches, "get.sh", name)
    assert (first.status, "it is being brought: ask again" in str(first.header("X-Error-Message"))) == (404, True)
    until(lambda: asked(fetches, "get.sh", name).status == 200)


@pytest.mark.parametrize("mode", ["redirect", "ask", "fetch"])
def test_the_modes_hold_over_a_bucket(hub: Hub, moto: S3Server, tmp_path: Path, kind: str, mode: str) -> None:
    bucket = S3Target(
        moto.make_bucket(), endpoint_url=moto.endpoint_url, access_key=moto.access_key, secret_key=moto.secret_key
    )
    place = (
        f'url: "s3://{bucket.bucket}", endpoint_url: "{bucket.endpoint_url}", addressing: path, '
        f"access_key: {bucket.access_key}, secret_key: {bucket.secret_key}"
    )
    with desk_of(hub, tmp_path, mode, place=place) as desk:
        desk.program.sync(BY_DAEMON, ["here"])
        with front_of(kind, tmp_path, desk.options(mode), desk.settings.access_to("disk"), bucket) as front:
            world = World(hub, desk, front, tmp_path)
            assert front.get("/pub/here/resolve/main/config.json").body == b"{}"
            reply = front.get("/pub/wanted/resolve/main/big.bin")
            hidden, unknown = (front.get(f"/{name}/resolve/main/x") for name in ("pub/gatedone", "pub/gatednot"))
            assert hidden.error == unknown.error == (404, "RepoNotFound")
            assert asked(world, "oci", "far/none").status == 404
            if mode == "redirect":
                assert (reply.status, reply.header("X-Mirror-Leaves")) == (307, hub.url)
                return
            assert {"far/none", "pub/gatednot"} <= desk.wishes.keys()
            if mode == "ask":
                assert reply.error == (404, "RepoNotFound")
                assert "pub/wanted" in desk.wishes
                return
            assert (reply.status, reply.header("Retry-After")) == (503, "10")
            until(lambda: front.get("/pub/wanted/resolve/main/big.bin").status == 200)
            assert front.get("/pub/wanted/resolve/main/big.bin").body == BIG
