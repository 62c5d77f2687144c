"""The program as typer sees it: all its commands, in the order in which help lists them, each imported when it is
needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any, ClassVar, cast

import typer
import typer.core
from typer.main import get_command

from mirror_sync import __version__
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import command

_COMMANDS = {
    "check": "mirror.check_command:check",
    "doctor": "looking.doctor_command:doctor",
    "plan": "mirror.plan_command:plan",
    "sync": "mirror.sync_command:sync",
    "push": "own.push_command:push",
    "status": "mirror.status_command:status",
    "events": "looking.events_command:events",
    "diff": "mirror.diff_command:diff",
    "holds": "mirror.holds_command:holds",
    "approve": "mirror.approve_reject_command:approve",
    "reject": "mirror.approve_reject_command:reject",
    "verify": "mirror.verify_command:verify",
    "replicate": "places.replicate_command:replicate",
    "rescan": "mirror.rescan_command:rescan",
    "prune": "mirror.prune_command:prune",
    "archive": "places.archive_thaw_command:archive",
    "thaw": "places.archive_thaw_command:thaw",
    "channel": "versions.channel_command:channel",
    "promote": "versions.promote_command:promote",
    "tag": "versions.tag_command:tag",
    "share": "versions.share_command:share",
    "rollback": "versions.rollback_command:rollback",
    "unpin": "versions.rollback_command:unpin",
    "withdraw": "mirror.withdraw_command:withdraw",
    "restore": "mirror.restore_command:restore",
    "audit": "mirror.audit_command:audit",
    "report": "mirror.report_command:report",
    "sign": "mirror.sign_command:sign",
    "prove": "mirror.prove_command:prove",
    "export": "places.export_command:export",
    "import": "places.import_command:import_bundle",
    "inventory": "places.inventory_command:inventory",
    "pull": "reading.pull_command:pull",
    "list": "reading.look_commands:list_repos",
    "search": "reading.look_commands:search",
    "info": "reading.look_commands:info",
    "site": "front.site_command:site",
    "doors": "front.doors_command:doors",
    "traffic": "front.traffic_command:traffic",
    "wishes": "wishes.wishes_command:wishes",
    "grant": "wishes.grant_command:grant",
    "daemon": "daemon.daemon_command:daemon",
    "trigger": "daemon.trigger_pause_resume:trigger",
    "pause": "daemon.trigger_pause_resume:pause",
    "resume": "daemon.trigger_pause_resume:resume",
    "worker": "daemon.worker_command:worker",
    "serve": "front.serve_command:serve",
    "completion": "completion_command:complete",
}
"""Where the function of each command is, below `mirror_sync.cli.commands`."""


class _Imported(dict[str, Any]):
    """Commands by name; one that is only a place is imported when it is read."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = _made(name, found)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401  a dict's own does not ask `__getitem__`

    def values(self) -> Iterable[Any]:  # type: ignore[override]  # nobody changes it meanwhile
        return [self[name] for name in self]

    def items(self) -> Iterable[tuple[str, Any]]:  # type: ignore[override]
        return [(name, self[name]) for name in self]


def _made(name: str, place: str) -> Any:
    module, _, function = place.partition(":")
    called = getattr(import_module(f"mirror_sync.cli.commands.{module}"), function)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name=name, cls=called.command_class)(called)
    return get_command(alone)


class CommandGroup(typer.core.TyperGroup):
    """A group whose commands are imported one by one, when they are needed."""

    places: ClassVar[Mapping[str, str]] = _COMMANDS

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("Any", _Imported({**self.places, **self.commands}))


class _FrontGroup(CommandGroup):
    places: ClassVar[Mapping[str, str]] = {"nginx": "front.nginx_command:nginx"}


class _TargetGroup(CommandGroup):
    places: ClassVar[Mapping[str, str]] = {"promote": "places.target_command:promote"}


class _WebhooksGroup(CommandGroup):
    places: ClassVar[Mapping[str, str]] = {
        "create": "daemon.webhooks_command:create",
        "list": "daemon.webhooks_command:show",
    }


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mirror-sync {__version__}")
        raise typer.Exit


class _TokenGroup(CommandGroup):
    places: ClassVar[Mapping[str, str]] = {
        "new": "front.token_command:new",
        "list": "front.token_command:show",
        "revoke": "front.token_command:revoke",
    }


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]


@command
def start(invocation: Invocation, version: Version = False) -> None:
    """Keep your own copy of AI models and datasets, proved by SHA-256."""


app = typer.Typer(
    cls=CommandGroup,
    help="Keep your own copy of AI models and datasets, proved by SHA-256.",
    epilog="Exit codes: 0 complete, 1 something failed, 2 bad usage or configuration.",
    add_completion=False,  # two options in every help text for something that is done once
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(start)
tokens = typer.Typer(
    cls=_TokenGroup,
    help="Say who may read the mirror beside what everybody may.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(tokens, name="token")
front = typer.Typer(
    cls=_FrontGroup,
    help="Write what a web server needs to serve the mirror.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(front, name="front")
targets = typer.Typer(
    cls=_TargetGroup,
    help="Say which place of a mirror is the target.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(targets, name="target")
webhooks = typer.Typer(
    cls=_WebhooksGroup,
    help="Let the hub say when a repo changes.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(webhooks, name="webhooks")
