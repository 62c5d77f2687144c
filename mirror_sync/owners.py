"""Whose a file is, who we are, and what keeps us from writing, in words: `Permission denied` alone names none of them.

One command of root in the wrong place leaves a file that the daemon's own user can never write again; and a folder that
others write, too, may hold a link of theirs where we write.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import shlex
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from mirror_sync.errors import UsageError

PRIVATE = 0o700  # what is local is for nobody else: it names what is mirrored, and from where
EVERYBODY = "everybody"
_FILE = 0o666  # less the umask: what keeps others out is the folder
_OTHERS = 0o007
_MIRRORED = ("blobs", "hub")  # what a target has at its top
_DAY = 86400  # seconds
_NOT_IMPORTED_YET = ("colorsys", "apscheduler", "mirror_sync.daemon")  # Python's (used nowhere), a library's, ours
_SQLITE = ("", "-wal", "-shm", ".lock")  # what a database writes
_SHARED = re.compile(  # the machine's folders: nobody gives them to a single user
    "/((boot|dev|etc|home|lib|media|mnt|opt|proc|root|run|srv|sys|tmp|usr(/local)?|var(/(cache|lib|log|opt|spool|tmp))?))?"
)


def become_owner(folder: Path, targets: Iterable[Path] = (), *, reading: bool = False, for_good: bool = True) -> None:
    """Where root looks after somebody else's state folder: be that user from here on, so that nothing of root's stays.

    Before it is there, the owner is that of a directory target, else of the nearest folder above; root goes on where
    the folders in the target are another's, which its owner may be shut out of. It is made then where that user could
    not, unless only `reading`. `for_good`: nothing leads back, else `become_root_again` does. UsageError where root
    cannot become the owner, as in a container without the privilege, for somebody else's link, and for a state folder
    of root's own that everybody may write into: a link there would have root overwrite any file.
    """
    if os.geteuid() != 0:
        return
    standing = _standing(folder, targets)
    for path in (folder, standing or folder):
        if path.is_symlink() and path.lstat().st_uid != 0:  # it may lead anywhere, and root would write there
            raise UsageError(f"{whose(path)}, and is a link, which root does not follow: name the folder itself")
    if standing is None:
        return
    if (found := standing.stat()).st_uid == 0:
        if standing == folder and who_else_writes(folder) == EVERYBODY:
            raise UsageError(f"{EVERYBODY} may write into it, and root does not: {whose(folder)}; chmod 0700 {folder}")
        return
    try:
        user = pwd.getpwuid(found.st_uid)
        groups, group, home = os.getgrouplist(user.pw_name, user.pw_gid), user.pw_gid, user.pw_dir
    except KeyError:  # as in a container: a number without a name
        groups, group, home = [found.st_gid], found.st_gid, str(standing)
    try:
        if not reading:
            _make_for(folder, found.st_uid, group)
        os.setgroups(groups)
        os.setresgid(group, group, group)
        os.setresuid(found.st_uid, found.st_uid, found.st_uid if for_good else 0)
    except OSError as error:
        owner = _user(found.st_uid)
        said = f"{whose(standing)}, and root cannot become {owner} here ({error.strerror}): run it as {owner}"
        raise UsageError(said) from error
    os.environ["HOME"] = home


def become_root_again() -> None:
    """After `become_owner`, where that was not for good; else nothing changes. No thread may be at work."""
    if 0 in os.getresuid():
        os.seteuid(0)


def bar_to_program() -> str:
    """What keeps whom we run as from reading the program itself, as where it lies in root's home; empty for nothing.

    What a command imports later is not found then, and Python names the module and no cause.
    """
    if all(find_spec(name) is not None for name in _NOT_IMPORTED_YET):
        return ""
    places = map(Path, filter(None, (os.__file__, __file__, *sys.path)))
    barred = next(filter(None, (_barrier(place.absolute(), os.R_OK) for place in places)), None)
    return "" if barred is None else _told(barred, os.R_OK)


def _standing(folder: Path, targets: Iterable[Path]) -> Path | None:
    """What says whose a state folder is, or will be: of several targets, one that is not root's.

    None where targets are there, and each of them is one owner's with folders of another in it.
    """
    if is_there(folder):
        return folder
    made = [target for target in targets if is_there(target)]
    if not made:
        return _nearest(folder)
    whole = [target for target in made if _is_of_one(target)]
    return next((target for target in whole if target.stat().st_uid != 0), whole[0] if whole else None)


def _is_of_one(target: Path) -> bool:
    """Whether the folders that a mirror makes in a target are, where they are there, its owner's. OSError."""
    owner = target.stat().st_uid
    for name in _MIRRORED:
        try:
            if (target / name).lstat().st_uid != owner:  # a link to elsewhere says nothing of who may write there
                return False
        except (FileNotFoundError, NotADirectoryError):
            continue
    return True


def _nearest(folder: Path) -> Path:
    return next(above for above in folder.absolute().parents if is_there(above))


def _make_for(folder: Path, uid: int, gid: int) -> None:
    """Make somebody's state folder where only root may; in any other folder its owner makes it, or is told. OSError."""
    if is_there(folder) or _nearest(folder).stat().st_uid != 0:
        return
    folder.mkdir(PRIVATE, parents=True)
    try:
        os.chown(folder, uid, gid, follow_symlinks=False)
    except OSError:
        folder.rmdir()
        raise


def whose(path: Path) -> str:
    """/var/lib/mirror-sync belongs to root (mode 0755). OSError where it is not there."""
    found = path.lstat()
    return f"{path} belongs to {_user(found.st_uid)} (mode {stat.S_IMODE(found.st_mode):04o})"


def hindrance(*paths: Path) -> str:
    """What keeps us from writing the first of these paths that we may not, and what to do; empty when nothing does.

    A path that is not there is written in the nearest folder that is.
    """
    barred = _first_barred(paths)
    return "" if barred is None else _told(barred, os.W_OK)


def with_hindrance(said: str, *paths: Path) -> str:
    """What went wrong, and whose file it is where that is why."""
    why = hindrance(*paths)
    return f"{said}; {why}" if why else said


def cause(error: Exception, *paths: Path) -> str:
    """Why something went wrong, without the system's number for it, and whose file it is where that is why."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return with_hindrance(said, *paths)


def database_cause(said: str, path: Path) -> str:
    """Why a SQLite file cannot be used, in the system's words where we may not write it: SQLite's name no cause."""
    barred = _first_barred(_files_of(path))
    if barred is None:
        return said
    refused = errno.EROFS if _is_read_only(barred) else errno.EACCES
    return f"{os.strerror(refused)}; {_told(barred, os.W_OK)}"


def unread_cause(error: OSError, path: Path) -> str:
    """Why a file cannot be read, and whose it is where that is why."""
    said = error.strerror or str(error)
    barred = _barrier(path.absolute(), os.R_OK) if isinstance(error, PermissionError) else None
    return said if barred is None else f"{said}; {_told(barred, os.R_OK)}"


def reading_uri(path: Path) -> str:
    """What opens a SQLite file for reading without leaving anything beside it.

    While a writer is at it, its journal is there, and shared; where there is none, the file stands still for us.
    https://www.sqlite.org/wal.html#readonly
    """
    journal = path.with_name(f"{path.name}-wal")
    still = not is_there(journal) or not journal.stat().st_size
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"


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
    _sweep(path)
    young = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
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


def _sweep(path: Path) -> None:
    """Remove what killed writers of a file have left beside it: ours, and older than a day, so that none is at it."""
    left = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{16}")
    for young in filter(lambda beside: left.fullmatch(beside.name), _sorted(path.parent)):
        with suppress(OSError):
            found = young.lstat()
            is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
            if is_ours and found.st_mtime < time.time() - _DAY:
                young.unlink()


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


def _first_barred(paths: Iterable[Path]) -> Path | None:
    return next((barred for path in paths if (barred := _barrier(path.absolute(), os.W_OK)) is not None), None)


def _told(barred: Path, mode: int) -> str:
    if mode == os.W_OK and _is_read_only(barred):
        return f"{barred} is on a disk that is mounted read-only"
    said = f"{whose(barred)}, and this runs as {_user(os.geteuid())}"
    remedy = _remedy(barred, mode)
    return f"{said}; {remedy}" if remedy else said


def _remedy(barred: Path, mode: int) -> str:
    """What makes a file or folder ours to read or write; empty where we do not know.

    A folder that is the machine's, or somebody's home, is for nobody else to take.
    """
    found, me = barred.lstat(), _name(os.geteuid())
    owner = _name(found.st_uid)
    if found.st_uid == os.geteuid():
        wanted = "r" if mode == os.R_OK else "rw"
        return "" if found.st_mode & stat.S_IRWXU == stat.S_IRWXU else f"chmod u+{wanted}X {_quoted(barred)}"
    if os.geteuid() == 0:
        return ""
    is_folder = stat.S_ISDIR(found.st_mode)
    if mode == os.R_OK and is_folder:
        return f"put it where {me} may read it"
    kept = barred if is_folder or mode == os.R_OK else barred.parent
    if _SHARED.fullmatch(str(kept)) or kept == _home(found.st_uid):
        return f"name another folder, or run it as {owner}"
    given = f"chown {'' if mode == os.R_OK else '-R '}{me} {_quoted(kept)}"
    return f"as root: {given}" if found.st_uid == 0 else f"run it as {owner}, or as root: {given}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _barrier(path: Path, mode: int) -> Path | None:
    for above in reversed(path.parents):
        if not _may(above, os.F_OK):
            break  # it is made in the last that is there
        if not _may(above, os.X_OK):
            return above
    near = next(place for place in (path, *path.parents) if _may(place, os.F_OK))
    return None if _may(near, mode) else near


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _home(uid: int) -> Path | None:
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None


def _name(uid: int) -> str:
    """As commands take it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
