"""The one table of routes. `serve` matches with it, and the njs module is rendered from it, so both have the same.

Paths are matched raw, still percent-encoded: `%2F` inside a revision or a folder is not a separator. Patterns are
written in what Python's `re` and JavaScript share. Source: huggingface_hub, file_download.hf_hub_url and hf_api.HfApi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

GET = ("GET", "HEAD")
POST = ("POST",)

_PART = r"[A-Za-z0-9_.\-]+"
_SLASH = "(?:/|%2[fF])"

FIELDS = {
    "place": "(?:(?:datasets|spaces)/)?",  # models have no word of their own in front of their id
    "kinds": "models|datasets|spaces",
    "id": f"(?:{_PART}/)?{_PART}",
    # clients quote a revision whole; people do not quote the Hub's own refs
    "rev": f"refs{_SLASH}(?:pr|convert){_SLASH}[^/]+|[^/]+",
    "path": ".+",
    "folder": "(?:/.*)?",
    "shelf": "[0-9a-f]{2}",
    "digest": "[0-9a-f]{64}",
    "page": f"(?:(?:list|models|datasets|assets)/{_PART}|[a-z]+\\.(?:html|json))?",
}

# A part of a path that is "." or "..", in any spelling.
DOTS = f"(?:^|{_SLASH})(?:\\.|%2[eE]){{1,2}}(?:{_SLASH}|$)"


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is the function that answers, in both languages; `template` names FIELDS in braces."""

    name: str
    methods: tuple[str, ...]
    template: str

    def pattern(self, group: str = "?P<") -> str:
        """A regular expression over a whole raw path; `group` opens a named group in the language it is for.

        Leading slashes count as one: an endpoint that is written with a final slash makes them.
        """
        body = re.sub(r"\{([a-z]+)\}", lambda field: f"({group}{field[1]}>{FIELDS[field[1]]})", self.template)
        return f"^/+{body.removeprefix('/')}$"


# The first that matches answers: what ends in a known word is never taken for a repo id.
ROUTES = (
    Route("healthz", GET, "/healthz"),
    Route("root", GET, "/"),
    Route("site", GET, "/-/{page}"),
    Route("blob", GET, "/blobs/sha256/{shelf}/{digest}"),
    Route("refs", GET, "/api/{kinds}/{id}/refs/?"),
    Route("auth_check", GET, "/api/{kinds}/{id}/auth-check/?"),
    Route("revision", GET, "/api/{kinds}/{id}/revision/{rev}/?"),
    Route("commits", GET, "/api/{kinds}/{id}/commits/{rev}/?"),
    Route("tree", GET, "/api/{kinds}/{id}/tree/{rev}{folder}"),
    Route("paths_info", POST, "/api/{kinds}/{id}/paths-info/{rev}/?"),
    Route("harnesses", GET, "/api/agent-harnesses/?"),
    Route("listed", GET, "/api/{kinds}/?"),
    Route("repo", GET, "/api/{kinds}/{id}/?"),
    Route("file", GET, "/{place}{id}/resolve/{rev}/{path}"),
    Route("raw", GET, "/{place}{id}/raw/{rev}/{path}"),
    Route("page", GET, "/(?!api/|blobs/|hub/|-/){place}{id}"),
)


_ID = f"/(?:(?:datasets|spaces)/)?{FIELDS['id']}"


class NotOffered(NamedTuple):
    """What this mirror does not do, by the raw path of who asks for it: clients show the words, and no others."""

    pattern: str
    message: str
    form: str = "json"


# The first that matches speaks, of all that is no route and writes nothing.
LACKS = (
    NotOffered(
        f"^/+{_ID.removeprefix('/')}(?:\\.git)?/info/lfs/.*$",
        "This mirror has no git: download with hf download, or by the address of a file (/ID/resolve/main/PATH)",
        "lfs",
    ),
    NotOffered(
        f"^/+{_ID.removeprefix('/')}(?:\\.git)?/(?:info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)$",
        "This mirror has no git: download with hf download, or by the address of a file (/ID/resolve/main/PATH)",
        "text",
    ),
    NotOffered(
        "^/+(?:api/)?(?:spaces|kernels|buckets)(?:/.*)?$", "Only models and datasets are mirrored here, nothing else"
    ),
    NotOffered(
        "^/+(?:api/whoami.*|oauth/.*|login.*|join.*)$",
        "This mirror has no accounts: it asks for no token, and knows none",
    ),
    NotOffered(
        "^/+api/(?:organizations|users|collections|papers|daily_papers|trending|quicksearch|jobs|settings)(?:[/?].*)?$",
        "This mirror knows models and datasets alone: no people, organizations, collections, papers or jobs",
    ),
    NotOffered(
        "^/+api/[a-z]+/.*/discussions.*$", "This mirror has no discussions and no pull requests: see them upstream"
    ),
)


class Match(NamedTuple):
    """A route and what stands in its fields, still percent-encoded."""

    route: Route
    fields: dict[str, str]


_COMPILED = tuple((route, re.compile(route.pattern(), re.ASCII)) for route in ROUTES)
_LACKS = tuple((lack, re.compile(lack.pattern, re.ASCII)) for lack in LACKS)
_DOTS = re.compile(DOTS)


def match(raw_path: str) -> Match | None:
    """The route of a raw path, None when nothing is there."""
    for route, pattern in _COMPILED:
        found = pattern.fullmatch(raw_path)
        if found is not None:
            return Match(route, found.groupdict())
    return None


def lack(raw_path: str) -> NotOffered | None:
    """What is asked for at a raw path that is no route, where that is a thing of the Hub."""
    return next((lack for lack, pattern in _LACKS if pattern.fullmatch(raw_path)), None)


def has_dots(raw_path: str) -> bool:
    """Whether a raw path tries to climb."""
    return _DOTS.search(raw_path) is not None
