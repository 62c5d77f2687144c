"""Whose a file is, who we are, and what keeps us from writing, in words: `Permission denied` alone names none of them.

One command of root in the wrong place leaves a file that the daemon's own user can never write again; and a folder that
others write, too, may hold a link of theirs where we write.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from mirror_sync.errors import UsageError

PRIVATE = 0o700  # what is local is for nobody else: it names what is mirrored, and from where
EVERYBODY = "everybody"
_FILE = 0o666  # less the umask: what keeps others out is the folder
_OTHERS = 0o007
_SQLITE = ("", "-wal", "-shm", ".lock")  # what a database writes


def become_owner(folder: Path) -> None:
    """Where root looks after somebody else's folder: be that user from here on, so that nothing of root's stays in it.

    UsageError where that cannot be, as in a container without the privilege, for somebody else's link, and for a folder
    of root's own that everybody may write into: a link there would have root overwrite any file.
    """
    if os.geteuid() != 0 or not is_there(folder):
        return
    if folder.is_symlink() and folder.lstat().st_uid != 0:  # it may lead anywhere, and root would write there
        raise UsageError(f"{whose(folder)}, and is a link, which root does not follow: name the folder itself")
    if (found := folder.stat()).st_uid == 0:
        if who_else_writes(folder) == EVERYBODY:
            raise UsageError(f"{EVERYBODY} may write into it, and root does not: {whose(folder)}; chmod 0700 {folder}")
        return
    try:
        user = pwd.getpwuid(found.st_uid)
        groups, group, home = os.getgrouplist(user.pw_name, user.pw_gid), user.pw_gid, user.pw_dir
    except KeyError:  # as in a container: a number without a name
        groups, group, home = [found.st_gid], found.st_gid, str(folder)
    try:
        os.setgroups(groups)
        os.setresgid(group, group, group)
        os.setresuid(found.st_uid, found.st_uid, found.st_uid)
    except OSError as error:
        owner = _user(found.st_uid)
        said = f"{whose(folder)}, and root cannot become {owner} here ({error.strerror}): run it as {owner}"
        raise UsageError(said) from error
    os.environ["HOME"] = home


def whose(path: Path) -> str:
    """/var/lib/mirror-sync belongs to root (mode 0755). OSError where it is not there."""
    found = path.lstat()
    return f"{path} belongs to {_user(found.st_uid)} (mode {stat.S_IMODE(found.st_mode):04o})"


def hindrance(*paths: Path) -> str:
    """What keeps us from writing the first of these paths that we may not; empty when nothing does.

    A path that is not there is written in the nearest folder that is.
    """
    for path in paths:
        barred = _barrier(path.absolute())
        if barred is not None:
            return f"{whose(barred)}, and this runs as {_user(os.geteuid())}"
    return ""


def with_hindrance(said: str, *paths: Path) -> str:
    """What went wrong, and whose file it is where that is why."""
    why = hindrance(*paths)
    return f"{said}; {why}" if why else said


def database_hindrance(path: Path) -> str:
    """What keeps us from writing a SQLite file; empty when nothing does."""
    return hindrance(*_files_of(path))


def reading_uri(path: Path) -> str:
    """What opens a SQLite file for reading without leaving anything beside it.

    While a writer is at it, its journal is there, and shared; where there is none, the file stands still for us.
    https://www.sqlite.org/wal.html#readonly
    """
    journal = path.with_name(f"{path.name}-wal")
    still = not is_there(journal) or not journal.stat().st_size
    return f"{path.absolute().as_uri()}?{'immutable=1' if still else 'mode=ro'}"


def state_hindrance(folder: Path) -> str:
    """What keeps us from writing in a state folder: itself, or a file in it; empty when nothing does."""
    return hindrance(*chain([folder], _inside(folder)))


def is_there(path: Path) -> bool:
    """Whether something is there, links followed. OSError where nobody can tell.

    `Path.exists`, `is_file` and the like say no then, from Python 3.14 on: what may not be looked at would be missing.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_open(folder: Path) -> bool:
    """Whether a folder is there, and others than its owner and group may look into it."""
    try:
        return bool(folder.stat().st_mode & _OTHERS)
    except OSError:
        return False


def who_else_writes(folder: Path) -> str:
    """Who else than its owner may put files into a folder in the place of ours: EVERYBODY, or its group; else empty.

    With the sticky bit they cannot: what is ours stays, and what is new is made by us or not at all. A group that has
    its owner's name, and nobody else in it, is nobody else.
    """
    try:
        found = folder.stat()
    except OSError:
        return ""
    if found.st_mode & stat.S_ISVTX:
        return ""
    if found.st_mode & stat.S_IWOTH:
        return EVERYBODY
    if not found.st_mode & stat.S_IWGRP:
        return ""
    owner = _user(found.st_uid)
    try:
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return f"the group {found.st_gid}"
    return "" if group.gr_name == owner and set(group.gr_mem) <= {owner} else f"the group {group.gr_name}"


def write_anew(path: Path, text: str, *, synced: bool = True) -> None:
    """Replace a file of the state folder in one step, and make the folder; on the disk then if `synced`. OSError.

    What is written first has a name that nobody can know before, and is made by us or not at all: no link is followed.
    """
    path.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
    young = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        young.replace(path)
    except BaseException:
        young.unlink(missing_ok=True)
        raise


def refuse_links(database: Path) -> None:
    """OSError where somebody else's link stands in the place of a SQLite file that we are about to write."""
    for path in _files_of(database):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in {0, os.geteuid()}:
            raise OSError(f"{whose(path)}, and is a link, which is not followed")


def _files_of(database: Path) -> Iterator[Path]:
    return (database.with_name(database.name + suffix) for suffix in _SQLITE)


def _inside(folder: Path) -> Iterator[Path]:
    """Files and folders, two levels deep; sockets are not written."""
    for path in _sorted(folder):
        kind = stat.S_IFMT(_mode(path))
        if kind == stat.S_IFSOCK:
            continue
        yield path
        if kind == stat.S_IFDIR:
            yield from _sorted(path)


def _mode(path: Path) -> int:
    """0 where it is gone meanwhile, or cannot be looked at."""
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _sorted(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()


def _barrier(path: Path) -> Path | None:
    for above in reversed(path.parents):
        if not _may(above, os.F_OK):
            break  # it is made in the last that is there
        if not _may(above, os.X_OK):
            return above
    near = next(place for place in (path, *path.parents) if _may(place, os.F_OK))
    return None if _may(near, os.W_OK) else near


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
