"""nginx started by root: its workers are somebody else, who reach all they need and none of what is root's."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from mirror_sync.domain.job.targets import DirectoryTarget, S3Target
from mirror_sync.front.nginx.nginx_files import CREDENTIALS, NginxOptions, write_nginx
from mirror_sync.front.nginx.workers import CACHES, Workers, barrier, workers
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, model
from tests.front.mirrors import by_nginx, s3_store
from tests.requirements import need

if TYPE_CHECKING:
    from tests.servers.bucket import S3Server

NAMELESS = 54321  # a user id that no machine gives a name
LARGE = bytes(range(256)) * 8000
FILES = {"README.md": b"# card", "sub/big.bin": LARGE}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts nginx for others")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="front-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def users(configuration: Path) -> list[str]:
    lines = configuration.read_text().splitlines()
    return [line.removeprefix("user ").removesuffix(";") for line in lines if line.startswith("user ")]


def ordinary() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("www-data", "nobody") if name in names)


@as_root
def test_in_place_of_root_an_ordinary_user_runs_the_workers(open_folder: Path) -> None:
    (user,) = users(write_nginx(open_folder / "new", NginxOptions(DirectoryTarget(open_folder))))
    assert user.split()[0] == ordinary()
    assert users(write_nginx(open_folder / "new", NginxOptions(DirectoryTarget(open_folder)))) == [user]


@as_root
@pytest.mark.parametrize(("place", "mode"), [(".", 0o700), ("logs", 0o700), (".", 0o757)])
def test_what_root_opens_is_not_written_where_the_workers_could_replace_it(
    place: str, mode: int, open_folder: Path
) -> None:
    folder = open_folder / "front"
    options = NginxOptions(DirectoryTarget(open_folder), user="nobody")
    written = write_nginx(folder, options).read_bytes()
    if mode == 0o700:
        os.chown(folder / place, pwd.getpwnam("nobody").pw_uid, -1)
    (folder / place).chmod(mode)
    with pytest.raises(ValueError, match=f"who may replace files in {folder / place}"):
        write_nginx(folder, replace(options, port=81))
    assert (folder / "nginx.conf").read_bytes() == written


@as_root
def test_the_owner_of_a_folder_does_not_run_its_workers(open_folder: Path) -> None:
    os.chown(open_folder, NAMELESS, NAMELESS)
    (user,) = users(write_nginx(open_folder, NginxOptions(DirectoryTarget(open_folder))))
    assert user.split()[0] == ordinary()


@pytest.mark.parametrize("theirs", ["nginx.conf", "cache/theirs", "notes.txt"])
def test_a_folder_with_what_is_not_ours_is_refused_and_stays_as_it_is(theirs: str, tmp_path: Path) -> None:
    (tmp_path / theirs).parent.mkdir(exist_ok=True)
    (tmp_path / theirs).write_text("theirs")
    with pytest.raises(ValueError, match=f"holds what is not ours .*choose a folder of its own, say {tmp_path}/"):
        write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path)))
    assert [place for place in tmp_path.rglob("*") if place.is_file()] == [tmp_path / theirs]
    assert (tmp_path / theirs).read_text() == "theirs"


def test_a_folder_that_was_written_before_there_was_a_mark_is_ours(tmp_path: Path) -> None:
    write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path)))
    (tmp_path / ".mirror-sync-front").unlink()
    write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path)))


@as_root
def test_of_the_caches_in_our_folder_only_ours_are_removed(open_folder: Path) -> None:
    write_nginx(open_folder, NginxOptions(DirectoryTarget(open_folder)))
    for name in ("pointers", "theirs"):
        (open_folder / "cache" / name).mkdir()
        (open_folder / "cache" / name / "kept").write_text("by root")
    write_nginx(open_folder, NginxOptions(DirectoryTarget(open_folder)))
    assert [place.name for place in (open_folder / "cache").iterdir()] == ["theirs"]
    assert (open_folder / "cache/theirs/kept").is_file()


def test_every_cache_of_the_configuration_is_known_as_ours(tmp_path: Path) -> None:
    target = S3Target("b", endpoint_url="http://127.0.0.1:9", prefix="", region="r", addressing="path")
    text = write_nginx(tmp_path, NginxOptions(target)).read_text()
    assert set(re.findall(r"^\s*proxy_cache_path .*/cache/([a-z]+)", text, re.MULTILINE)) == set(CACHES)


def test_a_user_that_was_named_runs_the_workers_in_its_own_group(tmp_path: Path) -> None:
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    assert users(write_nginx(tmp_path, NginxOptions(DirectoryTarget(tmp_path), user="nobody"))) == [f"nobody {group}"]


@pytest.mark.parametrize("user", ["nobody; daemon off", "no such user", ""])
def test_a_user_that_the_machine_does_not_have_is_refused(user: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no user"):
        write_nginx(tmp_path / "new", NginxOptions(DirectoryTarget(tmp_path), user=user))
    assert not (tmp_path / "new").exists()


@as_root
def test_what_root_opens_does_not_lie_where_a_worker_could_put_a_link(open_folder: Path) -> None:
    write_nginx(open_folder, NginxOptions(DirectoryTarget(open_folder)))
    for place in [open_folder, *open_folder.iterdir()]:
        assert place.stat().st_uid == 0, place
        assert place.stat().st_mode & 0o022 == 0, place


@as_root
def test_folders_can_be_entered_whatever_the_umask(open_folder: Path) -> None:
    before = os.umask(0o077)
    try:
        write_nginx(open_folder / "new", NginxOptions(DirectoryTarget(open_folder)))
    finally:
        os.umask(before)
    for name in ("", "logs", "temp", "cache"):
        assert (open_folder / "new" / name).stat().st_mode & 0o777 == 0o755


@as_root
@pytest.mark.parametrize("closed", ["front", "target"])
def test_what_the_workers_cannot_reach_is_told(closed: str, open_folder: Path) -> None:
    for name in ("front", "target"):
        (open_folder / name).mkdir()
    options = NginxOptions(DirectoryTarget(open_folder / "target" / "mirror"))
    with capture_logs() as told:
        write_nginx(open_folder / "front" / "nginx", options)
        assert told == []
        (open_folder / closed).chmod(0o700)
        write_nginx(open_folder / "front" / "nginx", options)
    (warning,) = told
    assert (warning["event"], warning["folder"]) == ("front.closed", str(open_folder / closed))
    assert f"chmod o+x {open_folder / closed}" in warning["reason"]


def test_whoever_owns_a_folder_or_is_in_its_group_may_enter_as_its_mode_says(tmp_path: Path) -> None:
    status = tmp_path.stat()
    for mode, owner, member, other in (
        (0o700, True, False, False),
        (0o710, True, True, False),
        (0o071, False, True, True),
    ):
        tmp_path.chmod(mode)
        for uid, groups, expected in (
            (status.st_uid or NAMELESS, frozenset[int](), owner if status.st_uid else other),
            (NAMELESS, frozenset({status.st_gid}), member),
            (NAMELESS, frozenset[int](), other),
        ):
            assert Workers("x", uid, "x", groups).may_enter(tmp_path) is expected
    tmp_path.chmod(0o700)
    assert barrier(tmp_path / "a" / "b", Workers("x", NAMELESS, "x", frozenset())) is not None


def test_who_is_not_root_runs_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NAMELESS)
    assert workers(None) is None


def _reads_everything(repo: Published, options: NginxOptions, folder: Path) -> None:
    """Twice, with another user at first: what that one has cached must not be in the way."""
    commit = repo.publish(FILES)
    for user in ("root", ordinary()):
        write_nginx(folder, NginxOptions(options.target))
        with by_nginx(repo.store, NginxOptions(options.target, user=user), folder) as mirror:
            for _ in range(2):
                assert mirror.listed(f"{repo.api}/tree/main?recursive=true")
                assert mirror.ask("POST", f"{repo.api}/paths-info/main", {}, b"paths=" + b"x" * 50_000).status == 200
                for path, body in FILES.items():
                    assert mirror.get(f"{repo.at}/resolve/{commit}/{path}").body == body
                    assert mirror.head(f"{repo.at}/resolve/{commit}/{path}").status == 200
    errors = (folder / "logs/error.log").read_text()
    assert "denied" not in errors, errors
    owners = {place.owner() for place in (folder / "cache").rglob("*")}
    assert owners == {ordinary()}


@as_root
def test_ordinary_workers_serve_a_directory(open_folder: Path) -> None:
    need("nginx")
    bucket = open_folder / "bucket"
    _reads_everything(model(DirectoryStore(bucket)), NginxOptions(DirectoryTarget(bucket)), open_folder / "front")


@as_root
def test_ordinary_workers_serve_a_private_bucket_whose_keys_only_root_can_read(
    open_folder: Path, radosgw: S3Server
) -> None:
    need("nginx")
    bucket = S3Target(
        radosgw.make_bucket(),
        endpoint_url=radosgw.endpoint_url,
        region=radosgw.region,
        access_key=radosgw.access_key,
        secret_key=radosgw.secret_key,
    )
    _reads_everything(model(s3_store(bucket)), NginxOptions(bucket), open_folder / "front")
    credentials = (open_folder / "front" / CREDENTIALS).stat()
    assert (credentials.st_uid, credentials.st_mode & 0o777) == (0, 0o600)
