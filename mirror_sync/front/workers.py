"""Who runs nginx's workers when root starts it, and whether they can reach what they need.

The folders that workers write to are made, and given to them, by nginx itself. Their parents stay root's: what root
opens must not lie where a worker could put a link (CVE-2016-1247).
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ORDINARY = ("www-data", "nobody")  # whom a web server's workers run as, the first that there is
_ENTER = 0o1


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
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.groups else 0
        return self.uid == 0 or bool(status.st_mode >> shift & _ENTER)


def workers(folder: Path, user: str | None) -> Workers | None:
    """The user that was named, else the owner of `folder`, else an ordinary one in place of root.

    None for whoever starts nginx: only root has a choice. ValueError for a user that this machine does not have.
    """
    if user is not None:
        return _named(user)
    return _owner(folder) or _ordinary() if os.geteuid() == 0 else None


def barrier(place: Path, of: Workers) -> Path | None:
    """The first folder on the way to `place`, or that itself, which the workers may not enter."""
    return next((folder for folder in (*reversed(place.parents), place) if not of.may_enter(folder)), None)


def drop_foreign(caches: Path, of: Workers) -> None:
    """Remove the caches of other users: nginx gives a cache to its workers, but not what is in it already. OSError."""
    for cache in caches.iterdir():
        if cache.stat(follow_symlinks=False).st_uid != of.uid:
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


def _owner(folder: Path) -> Workers | None:
    """None for root, for a user without a name, and for a folder that is not there yet, which will be root's."""
    with suppress(FileNotFoundError, KeyError):
        uid = folder.stat().st_uid
        return _of(pwd.getpwuid(uid)) if uid != 0 else None
    return None


def _ordinary() -> Workers:
    for name in _ORDINARY:
        with suppress(ValueError):
            return _named(name)
    raise ValueError(f"this machine has neither of the users {' and '.join(_ORDINARY)}: name one for nginx's workers")
