"""What is asked of a front, as clients and browsers ask it: what stands before it is looked at, too."""

from __future__ import annotations

import json
import re
import ssl
from datetime import UTC

from mirror_sync.app.looking.checkup import Health, Saying
from mirror_sync.app.looking.local_doubts import ending
from mirror_sync.app.looking.patient import SOON, Patient, ask
from mirror_sync.domain.url import Url
from mirror_sync.errors import UpstreamError

HARNESSES = b'{"standardEnvVars":[],"harnesses":{}}'
_ORIGIN = "https://pages.example.org"  # of a page that no configuration names
_NOBODY = "mirror-sync/doctor--asks"  # no id of a repo: no front takes it for a wish
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')
_OK, _NOT_FOUND, _FAILED = 200, 404, 500
_SHUT = (401, 403, _NOT_FOUND)  # of lists: nobody without a token may see any, or none is published
_LISTS = ("models", "datasets")


def fronts(patient: Patient) -> list[str]:
    """The address that was given, or that jobs.yaml says; none where nobody says."""
    said = patient.front
    if said is None and patient.settings is not None:
        said = patient.settings.front.url
    if said is None and patient.settings is None:
        front = patient.raw.get("front")
        url = front.get("url") if isinstance(front, dict) else None
        said = url if isinstance(url, str) and "${" not in url else None
    return [] if not said else [said.rstrip("/")]


def secure_fronts(patient: Patient) -> list[str]:
    """Those that are reached by TLS."""
    return [url for url in fronts(patient) if url.startswith("https:")]


def look_at_front(_: Patient, url: str) -> Saying:
    """A small document that every client asks for, whoever it is."""
    advice, command = "see that it runs, and what stands before it passes requests on", "systemctl status mirror-front"
    try:
        reply = ask(f"{url}/api/agent-harnesses")
    except UpstreamError as error:
        yield Health.FAULT, str(error), advice, command
        return
    if reply.status >= _FAILED:
        yield Health.FAULT, f"it answers {reply.status}", advice, command
    elif reply.status != _OK or not _same(reply.body, HARNESSES):
        said = f"it answers {reply.status} to /api/agent-harnesses, with other words than a front of ours"
        yield Health.FAULT, said, "name the address at which clients find the mirror, its path included", ""
    else:
        yield Health.OK, "it answers as a front of ours"


def _same(body: bytes, wanted: bytes) -> bool:
    try:
        return bool(json.loads(body) == json.loads(wanted))
    except (ValueError, RecursionError):
        return False


def look_at_unknown(_: Patient, url: str) -> Saying:
    """What is not there: clients go by the header, and take any other 404 for a broken server."""
    reply = ask(f"{url}/api/models/{_NOBODY}")
    code = reply.headers.get("X-Error-Code")
    if reply.status == _NOT_FOUND and code == "RepoNotFound":
        yield Health.OK, "an unknown repo is 404, RepoNotFound"
        return
    said = f"an unknown repo is {reply.status} with X-Error-Code {code or 'left out'}, not 404 with RepoNotFound"
    yield Health.FAULT, said, "what stands before it must pass statuses and headers on as they are", ""


def look_at_cors(patient: Patient, url: str) -> Saying:
    """What a browser is told before it reads, beside what jobs.yaml says."""
    named = ("*",) if patient.settings is None else patient.settings.front.cors
    allowed = named[0] if named and named != ("*",) else _ORIGIN
    asked = {"origin": allowed, "access-control-request-method": "GET", "access-control-request-headers": "range"}
    told = ask(f"{url}/api/models", asked, method="OPTIONS").headers.get("Access-Control-Allow-Origin")
    wanted = "*" if named == ("*",) else named[0] if named else None
    if told == wanted:
        whose = "no page of another origin" if told is None else "any page" if told == "*" else f"pages of {allowed}"
        yield Health.OK, f"{whose} may read, as jobs.yaml says"
    elif patient.settings is None:
        yield Health.SKIPPED, f"it allows {told or 'no origin'}; what jobs.yaml says is not known"
    else:
        said = f"it allows {told or 'no origin'} where front.cors says {wanted or 'off'}"
        yield Health.FAULT, said, "what stands before it must pass OPTIONS on, and add no CORS headers of its own", ""


def look_at_pages(_: Patient, url: str) -> Saying:
    """Whether the next page of a list is found where it is said to be: other software reads all by that."""
    for kinds in _LISTS:
        two = ask(f"{url}/api/{kinds}?limit=2")
        items = _items(two.body)
        if two.status in _SHUT:
            yield Health.SKIPPED, f"the list of {kinds} is answered by {two.status} to who brings no token"
            return
        if two.status != _OK or items is None:
            yield Health.FAULT, f"the list of {kinds} is answered by {two.status}, and no list", "", ""
            return
        if len(items) > 2:  # noqa: PLR2004  as asked above
            yield Health.FAULT, f"the list of {kinds} has {len(items)} entries where 2 were asked for", "", ""
            return
        if len(items) == 2:  # noqa: PLR2004
            yield from _turned(url, kinds)
            return
    yield Health.SKIPPED, "fewer than two repos are listed to who brings no token"


def _turned(url: str, kinds: str) -> Saying:
    first = ask(f"{url}/api/{kinds}?limit=1")
    found = _NEXT.search(first.headers.get("Link", ""))
    advice = "what stands before it must pass Link, Host and X-Forwarded-Proto on; or say front.url"
    if found is None:
        yield Health.FAULT, f"the first of two pages of {kinds} has no Link to the next", advice, ""
        return
    try:
        after = Url.parse(url).join(found[1])
    except ValueError:
        yield Health.FAULT, f"the Link to the next page is no address: {found[1][:100]!a}", advice, ""
        return
    if after.origin != Url.parse(url).origin:
        yield Health.FAULT, f"the Link to the next page leads to {after.scheme}://{after.netloc}, not here", advice, ""
        return
    second = ask(str(after))
    one, other = _items(first.body), _items(second.body)
    if second.status != _OK or not one or not other or len(one) != 1 or one == other:
        yield (
            Health.FAULT,
            f"the next page of {kinds} is answered by {second.status}, and brings no other repo",
            advice,
            "",
        )
    else:
        yield Health.OK, f"lists of {kinds} go on where they say"


def _items(body: bytes) -> list[object] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def look_at_tls(patient: Patient, url: str) -> Saying:
    """When the certificate ends that is shown at the address."""
    from mirror_sync.net.certificate import end_of

    place = Url.parse(url)
    try:
        ends = end_of(ssl.get_server_certificate((place.host, place.port), timeout=SOON.connect))
    except (OSError, ValueError) as error:
        yield Health.SKIPPED, f"its certificate could not be read: {getattr(error, 'strerror', None) or error}"
        return
    if soon := ending(ends, patient.now()):
        health = Health.FAULT if ends <= patient.now() else Health.WARNING
        yield health, f"its certificate {soon}", "", ""
    else:
        yield Health.OK, f"its certificate ends on {ends.astimezone(UTC):%Y-%m-%d}"
