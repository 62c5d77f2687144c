"""Who runs nginx's workers when root starts it, and whether they can reach what they need.

The folders that workers write to are made, and given to them, by nginx itself. Their parents stay root's: what root
opens must not lie where a worker could put a link (CVE-2016-1247). So the workers are never whoever owns the folder.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ORDINARY = ("www-data", "nobody")  # whom a web server's workers run as, the first that there is
_ENTER, _WRITE, _READ = 0o1, 0o2, 0o4
# the folders of proxy_cache_path in the templates
CACHES = ("pointers", "answers", "documents", "refs", "blobs", "slices")


@dataclass(frozen=True, slots=True)
class Workers:
    """A user of this machine; `groups` are the ids of all of its groups."""

    user: str
    uid: int
    group: str
    groups: frozenset[int]

    @property
    def directive(self) -> str:
        """The value of nginx's `user`, which takes for granted that a group is called like its user."""
        return f"{self.user} {self.group}".strip()

    def may_enter(self, folder: Path) -> bool:
        """By its owner, group and mode; a folder that is not there will be made by somebody."""
        try:
            status = folder.stat()
        except OSError:
            return True
        return self._may(_ENTER, status)

    def may_read(self, file: Path) -> bool:
        """By its owner, group and mode; a file that is not there will be made by somebody."""
        try:
            status = file.stat()
        except OSError:
            return True
        return self._may(_READ, status)

    def may_replace_in(self, folder: Path) -> bool:
        """Whether they could put something else in the place of what lies there; root may anyway."""
        try:
            status = folder.stat()
        except OSError:
            return False
        if self.uid == 0:
            return False
        if status.st_uid == self.uid:
            return True  # by a chmod, if need be
        return not status.st_mode & stat.S_ISVTX and self._may(_WRITE, status)

    def _may(self, what: int, status: os.stat_result) -> bool:
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.groups else 0
        return self.uid == 0 or bool(status.st_mode >> shift & what)


def workers(user: str | None) -> Workers | None:
    """The user that was named, else an ordinary one in place of root.

    None for whoever starts nginx: only root has a choice. ValueError for a user that this machine does not have.
    """
    if user is not None:
        return _named(user)
    return ordinary() if os.geteuid() == 0 else None


def barrier(place: Path, of: Workers) -> Path | None:
    """The first folder on the way to `place`, or that itself, which the workers may not enter."""
    return next((folder for folder in (*reversed(place.parents), place) if not of.may_enter(folder)), None)


def snare(place: Path, of: Workers) -> Path | None:
    """The first folder on the way to `place`, or that itself, in which the workers could replace what root opens."""
    return next((folder for folder in (*reversed(place.parents), place) if of.may_replace_in(folder)), None)


def drop_foreign(caches: Path, of: Workers) -> None:
    """Remove our caches of other users: nginx gives a cache to its workers, but not what is in it already. OSError.

    Whatever else lies there is somebody's.
    """
    for cache in (caches / name for name in CACHES):
        try:
            found = cache.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid != of.uid:
            shutil.rmtree(cache)


def _named(user: str) -> Workers:
    try:
        return _of(pwd.getpwnam(user))
    except KeyError:
        raise ValueError(f"this machine has no user {user!r} who could run nginx's workers") from None


def _of(entry: pwd.struct_passwd) -> Workers:
    group = ""
    with suppress(KeyError):  # a group without a name cannot be written down
        group = grp.getgrgid(entry.pw_gid).gr_name
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Workers(entry.pw_name, entry.pw_uid, group, groups)


def ordinary() -> Workers:
    """Whom nginx takes when root starts it and nobody was named. ValueError when this machine has nobody for it."""
    for name in _ORDINARY:
        with suppress(ValueError):
            return _named(name)
    raise ValueError(f"this machine has neither of the users {' and '.join(_ORDINARY)}: name one for nginx's workers")
