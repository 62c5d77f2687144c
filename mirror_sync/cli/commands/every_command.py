"""All commands, in the order in which help lists them."""

from mirror_sync.cli.commands import mirror_commands, daemon_commands, front_commands  # noqa: F401, I001  each adds its own
from mirror_sync.cli.app import app, front, webhooks

__all__ = ["app"]

app.add_typer(front, name="front")
app.add_typer(webhooks, name="webhooks")
