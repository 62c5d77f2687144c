"""`target promote`: a replica becomes the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command

if TYPE_CHECKING:
    from mirror_sync.app.places.promoting_replica import Promotion


@command
def promote(
    invocation: Invocation,
    replica: Annotated[str, typer.Argument(metavar="REPLICA", help="Its name, or target/name.")],
    without_old: Annotated[
        bool, typer.Option("--without-old", help="The old target is lost: go on with what the replica has.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say whether it could be done; copy and write nothing.")
    ] = False,
) -> None:
    """Let a replica and its target change places.

    It copies what is missing, compares both, changes jobs.yaml in place, and says what is left to do at fronts and in
    DNS. Where the replica has not all, nothing is changed.
    """
    from mirror_sync.config.promoted_target import promote_in_file

    # as the owner of the state folder; jobs.yaml is the operator's, who may be root
    with invocation.mirror("comparing", for_good=False) as mirror:
        done = mirror.promote_replica(replica, without=without_old, dry_run=dry_run)
        path = mirror.settings.path
    if not dry_run:
        promote_in_file(path, done.target, done.replica)
    invocation.print("\n".join(_told(done, str(path))))


def _told(done: Promotion, path: str) -> list[str]:
    from mirror_sync.observe.figures import counted

    new, old = done.replica, done.target
    have = f"{new} is whole: {counted(done.repos, 'repo')}"
    if done.without:
        have += f", with all that {old} had published up to {done.published or 'an unknown time'}"
    if done.dry_run:
        return [f"{have}. It could become the target; nothing was changed."]
    fronted = [f"  5. readers were led to the front of {new}, too: if {old} has one, write its front: beside its name"]
    command = f"mirror-sync replicate --target {new} --replica {old} --anew"
    cold = f"  {5 + done.fronted}. {old} has not what lies in the cold place alone: {command}"
    return [
        f"{have}. In {path} it is the target now, and {old} its replica.",
        "What is left to do:",
        "  1. mirror-sync check, and where the daemon runs: systemctl reload mirror-sync",
        f"  2. on each front of {new}: mirror-sync front nginx --target {new}, and nginx -s reload; or restart serve",
        f"  3. let the name that readers use lead to the front of {new} (DNS: its time to live is how long that takes)",
        "  4. other machines that publish: the same jobs.yaml, before their next run",
        *(fronted if done.fronted else ()),
        *([cold] if done.cold else ()),
        f"The next run publishes into {new}, and copies to {old} as soon as that answers.",
    ]
