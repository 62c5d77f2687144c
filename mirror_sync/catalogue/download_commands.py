"""Commands of a repo's page: those that get it from this mirror by its doors, and those that check what came."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from mirror_sync.catalogue.formats import in_url
from mirror_sync.domain.catalogue.rows import RepoPage
from mirror_sync.domain.doors.ways import DoorCommand, WantedCommit, ways_of
from mirror_sync.domain.repo import Repo

PLACEHOLDER = "https://MIRROR-ADDRESS"
_MAIN = "main"


def commands(page: RepoPage, doors: Collection[str] = ()) -> list[DoorCommand]:
    """Nothing for a repo of which nothing is published; `doors` are those that are open beside the Hub's."""
    wanted = wanted_of(page)
    return [] if wanted is None else ways_of(wanted, doors)


def wanted_of(page: RepoPage) -> WantedCommit | None:
    """The commit that a page shows; None where nothing is published."""
    if page.shown_commit is None:
        return None
    paths = [file.path for file in page.files]
    return WantedCommit(Repo(page.row.kind, page.row.repo), page.shown_commit, _revision(page), paths, page.row.library)


def check_by_hand(page: RepoPage, principal: str) -> DoorCommand | None:
    """The lines by which curl, ssh-keygen and sha256sum prove the shown commit; None where nothing of it is signed.

    They are those of docs/guide/trust.md, with the commit's own address. `principal` is who signs.
    """
    if page.shown_commit is None or not (page.signed and principal):
        return None
    name = shlex.quote(principal)
    at = f"/-/trust/{page.row.kind.plural}/{in_url(page.row.repo)}/{in_url(page.shown_commit)}"
    lines = (
        f'{at}/{{SHA256SUMS,SHA256SUMS.sig}}"',
        f"ssh-keygen -Y verify -f allowed_signers -I {name} -n mirror-sync -s SHA256SUMS.sig < SHA256SUMS",
        f"cd {page.row.kind.value} && sha256sum --strict --quiet -c ../SHA256SUMS",
    )
    return DoorCommand("repo.check", 'curl -fsSO --remote-name-all "', "\n".join(lines))


def _revision(page: RepoPage) -> str:
    """What must be asked for to get the shown snapshot; empty where that is what one gets without asking."""
    shown = next((one for one in page.snapshots if one.commit == page.shown_commit), None)
    if shown is None or _MAIN in shown.names:
        return ""
    return next(iter(shown.names), shown.commit)
