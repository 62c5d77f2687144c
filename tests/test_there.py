"""What may not be looked at is not what is not there, also where pathlib says so (from Python 3.14 on)."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.front.nginx.nginx_bucket import _resolvers
from mirror_sync.front.nginx.workers import Workers, drop_foreign
from mirror_sync.owners import is_there, reading_uri, refuse_links
from mirror_sync.state.history_file import copied
from mirror_sync.state.tries import write_tries
from mirror_sync.stores.directory.directory_store import DirectoryStore, _expect_end
from mirror_sync.stores.directory.file_system import Folders
from mirror_sync.stores.directory.staging import Staging
from tests.stores.places import in_child
from tests.unprivileged import NOBODY, become_nobody, forget_errors, give_to_nobody

KEY = blob_key(Sha256.of(b"x"))

CALLS: dict[str, Callable[[Path], object]] = {
    "anything": is_there,
    "the history": lambda closed: copied(closed / "history.db"),
    "a journal": lambda closed: reading_uri(closed / "history.db"),
    "a link where a database is written": lambda closed: refuse_links(closed / "history.db"),
    "what is tried again": lambda closed: write_tries(closed, []),
    "the name servers": lambda closed: _resolvers("example.org", closed / "resolv.conf"),
    "a cache of other workers": lambda closed: drop_foreign(closed, Workers("nobody", NOBODY, "", frozenset())),
    "the room of a target": lambda closed: DirectoryStore(closed / "mirror").free(),
    "a link that may lead nowhere": lambda closed: _expect_end(str(closed / "mirror")),
    "a name that was given": lambda closed: Staging(closed, Folders(closed)).is_published(KEY),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_may_not_be_looked_at_is_an_error_and_no_absence(tmp_path: Path, call: str) -> None:
    (tmp_path / "in/closed").mkdir(parents=True)
    give_to_nobody(tmp_path)
    assert in_child(_ask, tmp_path / "in", call) in {"PermissionError", "StoreDenied"}


def _ask(answers: Connection, root: Path, call: str) -> None:
    """The path is relative: the folders above the test's may be closed to others."""
    os.chdir(root)
    become_nobody()
    forget_errors()
    Path("closed").chmod(0)
    try:
        said = repr(CALLS[call](Path("closed" if call != "anything" else "closed/x")))
    except (OSError, StoreError) as error:
        said = type(error).__name__
    Path("closed").chmod(0o700)
    answers.send(said)


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nothing")
    assert is_there(tmp_path / "file")
    assert not any(is_there(tmp_path / name) for name in ("nothing", "file/below", "link"))


def test_the_room_of_a_target_behind_a_link_is_never_that_of_another_disk(tmp_path: Path) -> None:
    (tmp_path / "mirror").symlink_to(tmp_path / "disk")
    with pytest.raises(StoreError, match="is its disk mounted"):
        DirectoryStore(tmp_path / "mirror").free()
    (tmp_path / "disk").mkdir()
    assert DirectoryStore(tmp_path / "mirror").free() > 0
