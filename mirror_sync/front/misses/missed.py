"""What becomes of a refusal because a repo is not here, or not here for who asks: both are the same."""

from __future__ import annotations

from collections.abc import Mapping

from mirror_sync.domain.repo import Repo
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, Refusal
from mirror_sync.front.hub.desk_answer import Asks, DeskAnswer
from mirror_sync.front.hub.front_request import FrontRequest

MODES = ("redirect", "ask", "fetch")  # of front.miss, beside 404
OTHER = "other"  # what is asked for at a door beside the Hub's, whose clients would mistake a redirect and a wait
# What is asked for by a route; what no client needs end to end is a 404 as ever.
KINDS = {
    "file": "file",
    "repo": "info",
    "revision": "info",
    "tree": "info",
    "refs": "info",
    "auth_check": "info",
    "xet_token": "info",
    "page": "page",
    **dict.fromkeys(("oci_manifest", "oci_pinned", "oci_tags", "oci_blob"), OTHER),
    **dict.fromkeys(("ms_info", "ms_open_info", "ms_files", "ms_tree", "ms_file", "ms_revisions"), OTHER),
    **dict.fromkeys(("s3_object", "snapshot_document", "torrent", "metalink"), OTHER),
}
IN_MODES = {"page": ("ask",), OTHER: ("ask", "fetch")}  # what is never redirected: in which modes it is answered
NOBODY = {
    "ask": "",
    "redirect": "; it cannot be told now where else it is: the mirror's daemon does not answer",
    "fetch": "; it cannot be brought now: the mirror's daemon does not answer",
}
_LEAVES, _WAITS = 307, 503
COLD = "This file lies in cold storage, which does not give it at once"
COLD_AGAIN = "3600"  # seconds, where nobody says when it may be there
# Of a repo that is elsewhere: what its upstream has not, either.
NO_LONGER = {
    "EntryNotFound": "Entry not found: neither here nor at the upstream",
    "RevisionNotFound": "Revision not found: neither here nor at the upstream",
}


def missed(mode: str, desk: Asks, route: str, refusal: Refusal, asked: FrontRequest) -> Answer | Refusal:
    """The redirect, or the refusal with what the daemon has to say. `refusal` is of a repo that is not published."""
    what, repo = KINDS.get(route), refusal.repo
    if what is None or repo is None or asked.method not in ("GET", "HEAD") or mode not in IN_MODES.get(what, MODES):
        return refusal
    said = desk(what, f"{repo.kind}:{repo.id}", asked)
    if said is None:
        return _worded(refusal, f"{refusal.message}{NOBODY[mode]}", repo)
    if what == OTHER:  # in the words and with the status of that door
        return _worded(refusal, f"{refusal.message}{'; ' if said.message else ''}{_within(said.message)}", repo)
    return _as_the_hub(said, refusal, repo)


def _as_the_hub(said: DeskAnswer, refusal: Refusal, repo: Repo) -> Answer | Refusal:
    if said.status == _LEAVES and "Location" in said.headers:
        return Answer(_LEAVES, {**said.headers, "Cache-Control": answers.NEVER})
    if said.code:
        return Refusal(said.status, NO_LONGER.get(said.code, refusal.message), said.code, **_named(said.headers))
    if said.status == _WAITS:
        waits = Refusal(_WAITS, said.message)
        waits.headers["Retry-After"] = said.headers.get("Retry-After", "10")
        return waits
    return _worded(refusal, f"{refusal.message}{'; ' if said.message else ''}{said.message}", repo)


def frozen(desk: Asks | None, repo: Repo | None, asked: FrontRequest, whom: str) -> Refusal:
    """What is said of a file that is published, and lies where it is not given at once; the daemon has it brought back.

    `whom` readers may ask.
    """
    said = None if desk is None or repo is None else desk("thaw", f"{repo.kind}:{repo.id}", asked)
    told = f"{COLD}; ask {whom} to have it brought back"
    again = COLD_AGAIN
    if said is not None and said.status == _WAITS:
        told, again = said.message, said.headers.get("Retry-After", again)
    waits = Refusal(_WAITS, told)
    waits.headers["Retry-After"] = again
    return waits


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {"X_Repo_Commit": headers["X-Repo-Commit"]} if "X-Repo-Commit" in headers else {}


def _within(sentence: str) -> str:
    """As a part of another sentence."""
    return sentence[:1].lower() + sentence[1:]


def _worded(refusal: Refusal, message: str, repo: Repo) -> Refusal:
    told = Refusal(refusal.status, message, refusal.code, form=refusal.form)
    told.headers, told.repo = refusal.headers, repo
    return told
