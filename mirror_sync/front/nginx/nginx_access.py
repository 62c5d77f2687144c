"""Who may read what, as nginx's script is told: doorkeeper.py and access.js go by the same values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mirror_sync.domain.access.access_tokens import LARGEST_FILE, OTHER_LINE, TOKEN_LINE, Badge
from mirror_sync.domain.access.rights import Access, Role
from mirror_sync.domain.catalogue.rows import WHOLE
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.doorkeeper import UNREAD
from mirror_sync.front.nginx.nginx_bucket import plain


def access_tables(access: Access, tokens: Path | None) -> dict[str, Any]:
    """What `tables.js` is rendered from. ValueError for a path that nginx cannot use."""
    return {
        "plain": {
            "allow": access.allow,
            "all_opened": access.all_opened,
            "tokens": "" if tokens is None else plain(tokens.absolute()),
            "largest": LARGEST_FILE,
            "chooses": tokens is not None or bool(access.allow),
            "badges": [badge.value for badge in Badge],
            "barred": answers.BARRED,
            "challenge": answers.CHALLENGE,
            "unread": UNREAD,
            "whom": access.whom_to_ask,
        },
        "anonymous": [one.encode() for one in access.anonymous],
        "roles": {name: _role(role) for name, role in access.roles.items()},
        "opened": [one.encode() for one in access.opened],
        "token_line": TOKEN_LINE,
        "other_line": OTHER_LINE,
        "whole": WHOLE,
        "whoami": answers.WHOAMI,
    }


def _role(role: Role) -> dict[str, Any]:
    return {"read": [one.encode() for one in role.read], "see": [one.encode() for one in role.see]}
