"""The webhooks of the token's account, and who is an organisation."""

from __future__ import annotations

import json

from .access import caller
from .answer import Answer, Request, as_json, error
from .world import World


def webhooks(world: World, request: Request) -> Answer:
    """``GET`` or ``POST /api/settings/webhooks``. There is one account."""
    if caller(world, request) is None:
        raise error(401, "Invalid username or password.")
    if request.method == "GET":
        return as_json([{**webhook, "secret": None} for webhook in world.webhooks])
    asked = json.loads(request.body)
    webhook = {
        "id": f"{len(world.webhooks):024x}",
        "url": asked["url"],
        "watched": asked["watched"],
        "domains": asked["domains"],
        "secret": asked.get("secret"),
        "disabled": False,
    }
    world.webhooks.append(webhook)
    return as_json({"webhook": webhook})


def organization(world: World, _: Request, owner: str) -> Answer:
    """``GET /api/organizations/{owner}/overview``."""
    if owner not in world.orgs:
        raise error(404, "This organization does not exist")
    return as_json({"name": owner, "fullname": owner, "avatarUrl": "", "type": "org"})
