"""What is asked of targets and upstreams: whether they answer, take and give what they should, and know the time."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mirror_sync.app.looking.checkup import Health, Saying
from mirror_sync.app.looking.patient import COLD, Bucket, Patient, Reply, ask, clock_said, token_place
from mirror_sync.domain.content.keys import BLOBS, COLD_BEGUN, COLD_MARK, HUB, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.domain.job.upstreams import (
    DirectoryUpstream,
    HubUpstream,
    MirrorUpstream,
    ModelScopeUpstream,
    OwnUpstream,
    Upstream,
)
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.errors import (
    KeyMissing,
    NoSuchCall,
    StoreDenied,
    StoreError,
    StoreFull,
    TokenRejected,
    Unreachable,
    UpstreamError,
)
from mirror_sync.observe.figures import counted, in_time
from mirror_sync.owners import is_there, whose
from mirror_sync.ports.store import Store, read_all

_LOOKED = 1000  # keys that are listed
_PROBE = 4096  # bytes of a probe, at most
_LOW = 10  # one part in so many of a quota, below which it is said
_LIMITED, _REFUSED, _FAILED = 429, (401, 403), 500


def target_names(patient: Patient) -> list[str]:
    """Those that are looked at."""
    return [*patient.targets]


def place_names(patient: Patient) -> list[str]:
    """The same, and their cold places."""
    return [*patient.places]


def buckets(patient: Patient) -> list[str]:
    """Those that are reached by a network."""
    return [name for name, target in patient.places.items() if isinstance(target, S3Target)]


def look_at_target(patient: Patient, name: str) -> Saying:
    """Whether it can be listed, and has what is remembered to be there; a cold place what it was begun with."""
    target = patient.places[name]
    yield from _look_at_cold(patient, name, target) if name not in patient.targets else _look_at_warm(patient, name)


def _look_at_warm(patient: Patient, name: str) -> Saying:
    target = patient.places[name]
    published = len(patient.published(name))
    if isinstance(target, DirectoryTarget) and not is_there(target.root):
        if published:
            said = f"{target.root} is not there, and {counted(published, 'repo')} were published in it"
            yield Health.FAULT, said, "mount its disk", f"findmnt -T {target.root}"
        elif _leases(patient, name):
            said = f"{target.root} is not there, and the lease of ha makes no folder: the daemon does not start"
            yield Health.FAULT, said, "mount its disk, or make it where the target is new", f"findmnt -T {target.root}"
        else:
            yield Health.SKIPPED, f"{target.root} is not there yet: the first sync makes it"
        return
    try:
        found = sum(1 for _ in islice(patient.ways.store(target).list(HUB), _LOOKED))
    except StoreError as error:
        yield _silent(name, target, error)
        return
    if published and not found:
        said = f"it is empty, and {counted(published, 'repo')} were published in it"
        yield Health.FAULT, said, "see that it is the right one; a sync fills another anew", "mirror-sync verify"
    else:
        yield Health.OK, _listed(found)


def _listed(found: int) -> str:
    """No more than _LOOKED of them are counted."""
    return f"listed: {'at least ' if found == _LOOKED else ''}{counted(found, 'object')} of repos"


def _look_at_cold(patient: Patient, name: str, target: Target) -> Saying:
    """An empty folder where a disk is to be mounted lacks the mark of the place that blobs went to."""
    try:
        begun = patient.ways.store(patient.places[name.removesuffix(COLD)]).stat(COLD_BEGUN) is not None
    except StoreError:
        yield Health.SKIPPED, "its target does not say whether anything went there"
        return
    right = "see that it is mounted, and the right one: what went there is not given meanwhile"
    command = f"findmnt -T {target.root}" if isinstance(target, DirectoryTarget) else "mirror-sync check"
    if isinstance(target, DirectoryTarget) and not is_there(target.root):
        if begun:
            yield Health.FAULT, f"{target.root} is not there, and files went to it", right, command
        else:
            yield Health.SKIPPED, f"{target.root} is not there yet: the first file that goes cold makes it"
        return
    store = patient.ways.store(target)
    try:
        marked = store.stat(COLD_MARK) is not None
        found = sum(1 for _ in islice(store.list(BLOBS), _LOOKED))
    except StoreError as error:
        yield _silent(name, target, error)
        return
    if begun and not marked:
        yield Health.FAULT, f"it lacks {COLD_MARK}, which was put there with the first file", right, command
    else:
        yield Health.OK, f"listed: {found:,}{'+' if found == _LOOKED else ''} blobs"


def _silent(name: str, target: Target, error: StoreError) -> tuple[Health, str, str, str]:
    """A place that does not let itself be listed."""
    if isinstance(error, StoreDenied):
        return Health.FAULT, str(error), _keys_advice(name), "mirror-sync check"
    where = target.root if isinstance(target, DirectoryTarget) else target.server
    again = f"mirror-sync doctor --target {name.removesuffix(COLD)}"
    return Health.FAULT, str(error), f"see that {where} answers from this machine", again


def _leases(patient: Patient, name: str) -> bool:
    """Whether two daemons hold their lease in it."""
    return patient.settings is not None and patient.settings.leased == name


def _keys_advice(name: str) -> str:
    place = f"{name.removesuffix(COLD)}.tiers.cold.target" if name.endswith(COLD) else name
    return f"see that the keys of targets.{place} are right, and may list, get, put and delete in all of it"


def look_at_writing(patient: Patient, name: str) -> Saying:
    """Put an object of ours, find, read and remove it. It is a blob that nothing names: the next prune removes what an
    end of ours in the midst of this leaves.
    """
    target = patient.places[name]
    if patient.unfit:
        yield Health.SKIPPED, "not tried: nothing is to be left there that belongs to root"
        return
    if isinstance(target, DirectoryTarget) and not is_there(target.root):
        yield Health.SKIPPED, "there is nothing to write into yet"
        return
    store = patient.ways.store(target)
    body = f"mirror-sync doctor {secrets.token_hex(16)}\n".encode()
    key = blob_key(Sha256.of(body))
    try:
        yield from _written(store, key, body, target)
        bucket = patient.ways.bucket(target)
        if bucket is not None:
            signed = not isinstance(target, S3Target) or target.sign != "never"
            yield from _of_a_bucket(bucket, key, leased=_leases(patient, name), signed=signed)
    except StoreFull as error:
        yield Health.FAULT, str(error), "let old snapshots go, or give it more room", "mirror-sync prune"
    except StoreDenied as error:
        advice = _keys_advice(name)
        if isinstance(target, DirectoryTarget):
            advice = f"{whose(target.root)}: run it as that user, or give it to this one"
        yield Health.FAULT, str(error), advice, "mirror-sync check"
    finally:
        yield from _removed(store, key)


def _written(store: Store, key: str, body: bytes, target: DirectoryTarget | S3Target) -> Saying:
    store.put(key, body, Sha256.of(body))
    listed = [stat for stat in store.list(key) if stat.key == key]  # a directory shows small blobs by then
    stat = store.stat(key)
    try:
        found = read_all(store, key, _PROBE)
    except KeyMissing:
        found = None
    if stat is None or found is None:
        said = f"what was put under {key} is not there"
        yield Health.FAULT, said, "this is no store that keeps what it confirms: use another", ""
    elif found != body:
        yield Health.FAULT, f"{key} holds other bytes than were put", "do not use this store", ""
    elif not listed:
        yield Health.FAULT, f"{key} was put and is not listed", "prune and catalogue need lists that are true", ""
    else:
        yield Health.OK, "an object was put, listed and read"
        if isinstance(target, DirectoryTarget) and _away(behind := time.time() - stat.modified):
            yield from clock_said(behind, "the disk's server")


def _away(behind: float) -> bool:
    return abs(behind) > 60  # noqa: PLR2004  as `clock_said`


def _of_a_bucket(bucket: Bucket, key: str, *, leased: bool, signed: bool) -> Saying:
    if not signed:
        yield Health.OK, "no body is signed (sign: never): what is changed on its way is found by verify alone"
    elif bucket.takes_other_bytes(key):
        said = "it takes a body that is not the one whose SHA-256 was signed"
        yield Health.WARNING, said, "what is changed on its way is found by verify alone: have it run often", ""
    else:
        yield Health.OK, "a body with another SHA-256 than was signed is refused"
    condition = bucket.condition(key)
    if leased and condition != "kept":
        advice = "another server for ha.target, or the way without: docs/guide/two-daemons.md"
        yield Health.FAULT, f"conditional writes are {condition}, and ha needs them: no daemon starts", advice, ""
    else:
        yield Health.OK, f"conditional writes are {condition}; only ha depends on them"


def _removed(store: Store, key: str) -> Saying:
    try:
        store.delete([key])
        left = store.stat(key) is not None
    except StoreError as error:
        said = f"{key}, an object of ours, could not be removed: {error}"
        yield Health.FAULT, said, "the next prune removes it, once it may", "mirror-sync prune"
    else:
        if left:
            yield Health.FAULT, f"{key} was removed and is still there", "prune cannot free room in this store", ""


def look_at_bucket_clock(patient: Patient, name: str) -> Saying:
    """By the Date of any answer: a signature is refused where the clocks are far apart."""
    target = patient.places[name]
    if not isinstance(target, S3Target):
        yield Health.SKIPPED, f"{name} is no bucket"
        return
    address = target.server if target.endpoint_url or target.region else "https://s3.amazonaws.com"
    with suppress(Unreachable):  # which the target's own check says
        yield from clock_said(ask(f"{address.rstrip('/')}/").behind, address)
        return
    yield Health.SKIPPED, f"{address} does not answer"


def upstream_names(patient: Patient) -> list[str]:
    """Each endpoint of each, by its number behind the name where it has several."""
    return [f"{name} {endpoint}".strip() for name, one in patient.upstreams.items() for endpoint in _endpoints(one)]


def asked_upstreams(patient: Patient) -> list[str]:
    """Those that are reached by a network."""
    return [subject for subject in upstream_names(patient) if "://" in subject]


def upstreams_with_token(patient: Patient) -> list[str]:
    """Those of them that are asked as somebody."""
    return [subject for subject in asked_upstreams(patient) if _token(*_of(patient, subject))]


def _endpoints(upstream: Upstream) -> tuple[str, ...]:
    match upstream:
        case HubUpstream():
            return upstream.endpoints
        case ModelScopeUpstream():
            return (upstream.url,)
        case MirrorUpstream(target=None):
            return (upstream.url,)
        case _:
            return ("",)


def _of(patient: Patient, subject: str) -> tuple[Upstream, str]:
    name, _, endpoint = subject.partition(" ")
    return patient.upstreams[name], endpoint


def _token(upstream: Upstream, endpoint: str) -> str | None:
    match upstream:
        case HubUpstream():
            return upstream.token_for(endpoint)
        case ModelScopeUpstream() | MirrorUpstream():
            return upstream.token
        case _:
            return None


def look_at_upstream(patient: Patient, subject: str) -> Saying:
    """Whether it answers at all: what, the other checks say."""
    upstream, endpoint = _of(patient, subject)
    if not endpoint:
        yield from _local(patient, upstream)
        return
    # mirrors of the Hub know this list, and ModelScope's sites answer whatever is asked
    token = _token(upstream, endpoint)
    path = "/" if isinstance(upstream, ModelScopeUpstream) else "/api/models?limit=1"
    again = "see that it is up and reached from here (proxy, firewall, DNS); what failed is then brought by"
    try:
        reply = ask(f"{endpoint}{path}", {"authorization": f"Bearer {token}"} if token else {})
    except UpstreamError as error:
        yield Health.FAULT, str(error), again, "mirror-sync sync"
        return
    patient.replies[subject] = reply
    if reply.status >= _FAILED:
        yield Health.FAULT, f"it answers {reply.status}", again, "mirror-sync sync"
    elif reply.status == _LIMITED:
        wait = reply.headers.get("Retry-After", "")
        said = f"it answers 429: too many calls{f', wait {wait} s' if wait.isdecimal() else ''}"
        yield (
            Health.WARNING,
            said,
            "fewer jobs at once, or a token of its own (its limits are higher)",
            "mirror-sync status",
        )
    else:
        yield Health.OK, f"it answers ({reply.status})"


def _local(patient: Patient, upstream: Upstream) -> Saying:
    match upstream:
        case DirectoryUpstream(root=root):
            if not is_there(root):
                yield Health.FAULT, f"{root} is not there", "mount its disk, or mend its url", f"findmnt -T {root}"
                return
            found = sum(1 for _ in islice(Path(root).iterdir(), _LOOKED))
            more = "at least " if found == _LOOKED else ""
            yield Health.OK, f"{root}: {more}{counted(found, 'entry', 'entries')}"
        case OwnUpstream(target=target) | MirrorUpstream(target=DirectoryTarget() | S3Target() as target):
            if isinstance(target, DirectoryTarget) and not is_there(target.root):
                yield Health.SKIPPED, f"{target.root} is not there yet"
                return
            found = sum(1 for _ in islice(patient.ways.store(target).list(HUB), _LOOKED))
            yield Health.OK, _listed(found)
        case _:
            yield Health.SKIPPED, "it is asked by no network"


def _kept(patient: Patient, subject: str) -> Reply:
    return patient.replies[subject]


def look_at_upstream_clock(patient: Patient, subject: str) -> Saying:
    """By the Date of its answer."""
    yield from clock_said(_kept(patient, subject).behind, "the upstream")


def look_at_token(patient: Patient, subject: str) -> Saying:
    """Whether an upstream knows our token."""
    upstream, endpoint = _of(patient, subject)
    name = subject.partition(" ")[0]
    try:
        status = patient.ways.source(upstream, endpoint).prove()
    except TokenRejected as error:
        advice = f"put a new token into {token_place(patient, name)}, then"
        yield Health.FAULT, str(error), advice, "mirror-sync sync"
        return
    except NoSuchCall:
        status = TokenStatus.UNPROVEN
    if status is TokenStatus.PROVED:
        yield Health.OK, "it is known there"
    else:
        yield Health.SKIPPED, "this upstream has nothing by which a token is proved"


def look_at_budget(patient: Patient, subject: str) -> Saying:
    """What is left of its rate limit, as its answer said."""
    found = patient.ways.budget(_kept(patient, subject).headers)
    if not found:
        yield Health.SKIPPED, "it says nothing of a rate limit"
    for kind, one in found.items():
        said = f"{one.remaining:,} of {one.quota:,} {kind} calls left, all again in {in_time(one.resets_in)}"
        if one.remaining * _LOW < one.quota:
            yield Health.WARNING, said, "runs wait for the next window; a token has a larger one", "mirror-sync status"
        else:
            yield Health.OK, said
