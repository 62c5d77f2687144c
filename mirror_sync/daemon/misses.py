"""GET /miss: what a front shall say to a reader who asked for a repo that is not mirrored, or not for this reader.

Both are the same to whoever asks, and so they are here: what is answered hangs on the name that was asked for, on who
asks, on what jobs.yaml says of both, and on what the upstream gives to everybody; never on what is published. See
docs/design/decisions/0075-what-is-not-here.md, and front/misses/daemon_desk.py for the question and the answer.

Who waits is a reader: no answer takes longer than a moment, and few questions at a time go to an upstream.
"""

from __future__ import annotations

import hmac
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from urllib.parse import urljoin

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mirror_sync.app.wishing import WantedVerdict
from mirror_sync.daemon.requests import RequestState, Started
from mirror_sync.daemon.webhook import TokenBucket
from mirror_sync.domain.access.rights import AccessRules, Sight
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.upstreams import HubUpstream, Timeouts
from mirror_sync.domain.outcome.report import RepoOutcome, RepoState, RepoStatus, RunReport
from mirror_sync.domain.outcome.tier_report import MovedRepo
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.domain.url import Url
from mirror_sync.errors import Disabled, Gated, MirrorError, NotFoundOrPrivate, RevisionNotFound, UsageError
from mirror_sync.front.hub.desk_answer import DeskAnswer
from mirror_sync.front.hub.protocol import FIELDS
from mirror_sync.front.misses.daemon_desk import SECRET
from mirror_sync.front.misses.missed import COLD, COLD_AGAIN, IN_MODES, MODES
from mirror_sync.front.protocols.s3_addresses import PRESIGNED
from mirror_sync.logger import Logger
from mirror_sync.net.transport import Transport
from mirror_sync.state.wishes import Wishes

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.daemon.runs import Came

_PATIENCE = 2.0  # seconds that an upstream is waited for; a reader waits for two answers of it at the most
_AT_ONCE = 8  # questions to upstreams
_ASKERS = 1024  # of whom is remembered how much each has asked
_MOST_ANSWERS = 24  # that are being given; the daemon has 40 threads for all that it is asked
_KNOWN, _FRESH = 1024, 60.0  # repos of which is remembered what an upstream said, and for how many seconds
_REST = 300.0  # seconds until what could not be brought is tried again because somebody asks
_LOST = 3600.0  # seconds after which a run of which no end was told is forgotten
_MOST_FETCHES, _MOST_OF_ONE = 16, 8  # repos that are on their way because somebody asked, and because one did
_SOON_KNOWN = 5.0  # seconds for which is believed what a run of others has decided
_AGAIN, _SOON = "10", "2"  # seconds after which a client asks again
_SOMEWHAT = "60"  # and after which what is copied from a cold place may be there
_CAME = 10.0  # seconds in which a front may not have seen yet what is published
_DAY, _SHARE = 86_400.0, 10  # of what a day's readers have brought back, one has a tenth
_HOPS = 3
_SAID_NOTHING = DeskAnswer(404, "")
_PLAIN = re.compile(r"/[!-~]*")
_COMMIT, _TAG = re.compile(r"[0-9a-f]{40}"), re.compile(r"[!-~]{1,1024}")
_SIZE, _CODE = re.compile(r"[0-9]{1,19}"), re.compile(r"[A-Za-z]{1,64}")
# What an upstream says of a file that readers are told; nothing that a front could not send on.
_TOLD = {"X-Repo-Commit": _COMMIT, "ETag": _TAG, "X-Linked-Size": _SIZE, "X-Linked-Etag": _TAG}
_BLOB = re.compile(
    r"/blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})"
)  # in the place of an address, of which a front is not sure
_PINNABLE = re.compile(rf"(?P<before>/{FIELDS['place']}{FIELDS['id']}/resolve/)(?:{FIELDS['rev']})(?P<path>/.*)")
_PAGE = re.compile(r"https?://[^/]+/+(?:(?P<kinds>datasets|spaces|kernels)/)?(?P<id>[^/?#]+/[^/?#]+)")
_CAME_WITH = (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
_DECIDED = (RepoState.REFUSED, RepoState.HELD, RepoState.GATED, RepoState.GONE)

Key = TypeVar("Key")
Value = TypeVar("Value")
_log = Logger()


class AskedMirror(Protocol):
    """What is asked of a mirror."""

    def status(self) -> Collection[RepoStatus]:
        """What is remembered of every repo. OSError."""
        ...

    def look_at_wanted(self, target: str, repo: Repo) -> WantedVerdict:
        """What an upstream and the rules say of a repo. MirrorError."""
        ...

    def note_asked(self, target: str, repo: Repo) -> None:
        """A reader asks for it: if it was let go of, runs bring it again."""
        ...

    def is_cold(self, target: str, digest: Sha256) -> bool:
        """Whether a blob lies in the cold tier of a target alone. MirrorError."""
        ...

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        """Bring back what lies there of a repo. MirrorError, OSError."""
        ...

    def is_taken_down(self, target: str, repo: Repo) -> bool:
        """Whether somebody has. MirrorError."""
        ...


class AsksRuns(Protocol):
    """Starts runs of a repo in the jobs of a target that name it."""

    def __call__(self, target: str, repo: Repo) -> tuple[Started, ...]: ...


@dataclass(frozen=True, slots=True)
class MissQuestion:
    """What a front asks; `text` is the repo as it was written, `client` the address of who asks."""

    what: str
    target: str
    text: str
    method: str
    at: str
    name: str
    role: str
    client: str

    @classmethod
    def of(cls, said: Mapping[str, str]) -> MissQuestion:
        """ValueError for what no front asks."""
        try:
            return cls(*(said[name] for name in ("what", "target", "repo", "method", "at", "name", "role", "client")))
        except KeyError as error:
            raise ValueError(f"no {error}") from None

    @property
    def repo(self) -> Repo:
        """Also where a person has written the address of its page. ValueError for what is no name."""
        page = _PAGE.match(self.text)
        if page is not None:
            kinds = page["kinds"] or "models"
            return Repo(Kind(kinds.removesuffix("s")), page["id"])
        return Repo.parse(self.text)


class _Remembered(Generic[Key, Value]):
    """A bounded number of values, each for a while. Safe for many threads."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock, self._lock = seconds, clock, threading.Lock()
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            found = self._kept.get(key)
            return None if found is None or self._clock() >= found[0] else found[1]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._kept[key] = self._clock() + self._seconds, value
            self._kept.move_to_end(key)
            while len(self._kept) > _KNOWN:
                self._kept.popitem(last=False)


class _Allowance:
    """Lets each who asks, and all together, have so many a second over time, and so many at once.

    So one who asks for a million names takes little from others; and many who do take a bounded number of an upstream's
    calls, of which syncs need theirs. For one thread.
    """

    def __init__(self, each: tuple[float, int], together: tuple[float, int], clock: Callable[[], float]) -> None:
        self._each, self._clock = each, clock
        self._all = TokenBucket(*together, clock)
        self._askers: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, asker: str) -> bool:
        """Whether one more may be had now; if so, it is counted."""
        mine = self._askers.pop(asker, None) or TokenBucket(*self._each, self._clock)
        self._askers[asker] = mine
        if len(self._askers) > _ASKERS:
            self._askers.popitem(last=False)
        return mine.take() and self._all.take()


@dataclass(slots=True)
class _Bringing:
    """A repo that is brought because somebody asked: the jobs whose runs have not ended, and how the others did."""

    since: float
    by: str
    jobs: set[str]
    ended: float | None = None
    came: bool = False


@dataclass(slots=True)
class MissDesk:
    """Answers fronts. Safe for many threads. `take` gives it the jobs.yaml that holds, `learn` what runs came to."""

    runs: AsksRuns
    count: Counter
    clock: Callable[[], float] = time.monotonic
    patience: float = _PATIENCE
    _current: tuple[Settings, AskedMirror, Wishes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fetches: OrderedDict[tuple[str, Repo], _Bringing] = field(default_factory=OrderedDict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "miss"))
    _free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))
    _transport: Transport = field(
        default_factory=lambda: Transport(timeouts=Timeouts(_PATIENCE, _PATIENCE, _PATIENCE), connections=_AT_ONCE)
    )
    _notes: _Allowance = field(init=False)
    _names: _Allowance = field(init=False)
    _files: _Allowance = field(init=False)
    _decided: _Remembered[str, frozenset[tuple[str, str]]] = field(init=False)
    _looks: _Remembered[tuple[str, Repo], WantedVerdict | None] = field(init=False)
    _open: _Remembered[tuple[str, Repo], bool] = field(init=False)
    _thaws: _Remembered[tuple[str, Repo], bool] = field(init=False)
    _thawing: set[tuple[str, Repo]] = field(default_factory=set)
    _thaw_bounds: dict[str, tuple[int, _Allowance]] = field(default_factory=dict)
    _warming: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "thaw"))

    def __post_init__(self) -> None:
        self._looks, self._open = _Remembered(_FRESH, self.clock), _Remembered(_FRESH, self.clock)
        self._thaws = _Remembered(_REST, self.clock)
        self._decided = _Remembered(_SOON_KNOWN, self.clock)
        self._notes = _Allowance((1.0, 100), (10.0, 300), self.clock)
        self._names = _Allowance((1.0, 60), (5.0, 300), self.clock)
        self._files = _Allowance((10.0, 1000), (20.0, 2000), self.clock)

    def take(self, settings: Settings, mirror: AskedMirror) -> None:
        """From now on these settings hold."""
        former = self._current
        if former is not None and former[0].state_dir == settings.state_dir:
            self._current = settings, mirror, former[2]
            return
        self._current = settings, mirror, Wishes(settings.state_dir)
        if former is not None:
            former[2].close()

    def learn(self, job: str, repos: Collection[Repo] | None, came: Came) -> None:
        """A run of a job has ended: what was waited for is there now, or is not."""
        self._decided.clear()
        reports = came.repos if isinstance(came, RunReport) else ()
        published = {(one.kind, one.repo) for one in reports if one.outcome in _CAME_WITH}
        with self._lock:
            for (_, repo), fetch in self._fetches.items():
                if job in fetch.jobs and (repos is None or repo in repos):
                    fetch.jobs.discard(job)
                    fetch.came = fetch.came or (repo.kind, repo.id) in published
                    fetch.ended = None if fetch.jobs else self.clock()

    def answer(self, asked: MissQuestion) -> DeskAnswer:
        """What the front shall say. Raises MirrorError, OSError where it cannot be told."""
        current = self._current
        if asked.what == "thaw":
            return _SAID_NOTHING if current is None else self._thawed(current[0], current[1], asked)
        try:
            repo = asked.repo
        except ValueError:
            return DeskAnswer(404, "", outcome="bad")
        if current is None or asked.target not in current[0].targets:
            return _SAID_NOTHING
        settings, mirror, wishes = current
        if settings.targets[asked.target].keep is not None and _meant(settings, asked, repo):
            mirror.note_asked(asked.target, repo)
        answers = {
            "ask": lambda: self._noted(settings, wishes, asked, repo),
            "redirect": lambda: self._redirected(settings, mirror, asked, repo),
            "fetch": lambda: self._fetched(settings, mirror, wishes, asked, repo),
        }
        if asked.what == "form":
            return self._wished(settings, mirror, wishes, asked, repo)
        mode = settings.front.miss
        known = mode in answers and mode in IN_MODES.get(asked.what, MODES)
        return answers[mode]() if known else _SAID_NOTHING

    # ---- wishes

    def _noted(self, settings: Settings, wishes: Wishes, asked: MissQuestion, repo: Repo) -> DeskAnswer:
        if self._note(settings, wishes, asked, repo):
            self.count.labels("noted").inc()
            return DeskAnswer(404, f"that you want it is noted; {how_to_ask(settings)}")
        return DeskAnswer(404, how_to_ask(settings))

    def _wished(
        self, settings: Settings, mirror: AskedMirror, wishes: Wishes, asked: MissQuestion, repo: Repo
    ) -> DeskAnswer:
        """By the form: with what the rules of licences say, where the upstream gives the repo to everybody."""
        if not self._note(settings, wishes, asked, repo):
            return DeskAnswer(429, "too many wishes at once; try again later")
        self.count.labels("noted").inc()
        found = self._look(mirror, asked, repo)
        if found is None or found.closed:
            return DeskAnswer(200, "noted")
        wishes.judge(asked.target, repo, found.verdict, found.outcome)
        return DeskAnswer(200, found.verdict, outcome=found.outcome)

    def _note(self, settings: Settings, wishes: Wishes, asked: MissQuestion, repo: Repo) -> bool:
        if not self._may_have(self._notes, asked):
            return False
        wishes.note(asked.target, repo, who(asked, settings.http.asked_by or ""), iso_utc(datetime.now(UTC)))
        return True

    # ---- the upstream in place of us

    def _redirected(self, settings: Settings, mirror: AskedMirror, asked: MissQuestion, repo: Repo) -> DeskAnswer:
        jobs = _meant(settings, asked, repo)
        place = next(filter(None, (_shown_hub(settings, job) for job in jobs)), None)
        if place is None or not _PLAIN.fullmatch(asked.at) or self._is_decided(mirror, asked.target, repo):
            return self._refused()
        if _bears_key(asked.at) or not self._is_open(place, asked, repo):
            return self._refused()
        leaves = {"X-Mirror-Leaves": place}
        if asked.what == "file" and asked.method == "HEAD":
            return self._asked_upstream(place, asked, leaves)
        self.count.labels("redirected").inc()
        return DeskAnswer(307, "", {"Location": f"{place}/{asked.at.lstrip('/')}", **leaves})

    def _asked_upstream(self, place: str, asked: MissQuestion, leaves: Mapping[str, str]) -> DeskAnswer:
        """What clients read off the redirect itself, as the upstream says it to anybody."""
        at = f"/{asked.at.lstrip('/')}"
        found = self._within(self._files, asked, lambda: self._head(place, at))
        if found is None:
            return DeskAnswer(404, "its upstream does not answer now")
        status, said, code = found
        if status != _OK:
            return DeskAnswer(404, "", said, code=code)
        commit, match = said.get("X-Repo-Commit", ""), _PINNABLE.fullmatch(at.partition("?")[0])
        pinned = f"{match['before']}{commit}{match['path']}" if match and _COMMIT.fullmatch(commit) else at
        self.count.labels("redirected").inc()
        return DeskAnswer(307, "", {"Location": f"{place}{pinned}", **said, **leaves})

    def _head(self, place: str, at: str) -> tuple[int, dict[str, str], str]:
        """The last status, the headers of all hops (the first that says one counts), and the word for an error.

        Only what stays at the upstream is followed, and nobody's token goes along.
        """
        said: dict[str, str] = {}
        url = f"{place}{at}"
        for _ in range(_HOPS):
            answer = self._transport.open(url, {})
            answer.finish()
            for name, told in _TOLD.items():
                if told.fullmatch(value := answer.headers.get(name, "")):
                    said.setdefault(name, value)
            if answer.status not in _REDIRECTS:
                break
            url = urljoin(url, answer.headers.get("Location", ""))
            if Url.parse(url).origin != Url.parse(place).origin:  # the file itself: it is there
                return _OK, said, ""
        if answer.status == _OK and _SIZE.fullmatch(size := answer.headers.get("Content-Length", "")):
            said.setdefault("X-Linked-Size", size)  # a redirect has a length of its own
        code = _CODE.fullmatch(answer.headers.get("X-Error-Code", "")) if answer.status != _OK else None
        return answer.status, said, code[0] if code else ""

    def _is_open(self, place: str, asked: MissQuestion, repo: Repo) -> bool:
        """Whether the upstream gives the files of a repo to anybody; False where that cannot be told."""
        kept = self._open.get((place, repo))
        if kept is not None:
            return kept

        def ask() -> bool:
            answer = self._transport.open(f"{place}/api/{repo.kind.plural}/{repo.id}/auth-check", {})
            answer.finish()
            if answer.status not in (_OK, *_CLOSED):
                raise UsageError(f"{place} answers {answer.status}")  # which says nothing of the repo
            return answer.status == _OK

        found = self._within(self._names, asked, ask)
        if found is not None:
            self._open.put((place, repo), found)
        return bool(found)

    def _is_decided(self, mirror: AskedMirror, target: str, repo: Repo) -> bool:
        """Whether somebody, or a rule, does not want it here."""
        decided = self._decided.get("")
        if decided is None:  # of all repos, and not for each who asks
            decided = frozenset((one.kind, one.repo) for one in mirror.status() if one.state in _DECIDED)
            self._decided.put("", decided)
        return (repo.kind, repo.id) in decided or mirror.is_taken_down(target, repo)

    # ---- brought because somebody asks

    def _fetched(
        self, settings: Settings, mirror: AskedMirror, wishes: Wishes, asked: MissQuestion, repo: Repo
    ) -> DeskAnswer:
        jobs = _meant(settings, asked, repo)
        if not jobs or not self._may_learn(settings, mirror, asked, repo) or mirror.is_taken_down(asked.target, repo):
            return self._noted(settings, wishes, asked, repo)
        with self._lock:
            known = self._under_way(asked, repo)
            if known is not None:
                return known
            if not self._names.take(asker(asked)):
                return _wait("60")
            self._fetches[asked.target, repo] = _Bringing(self.clock(), asker(asked), {job.name for job in jobs})
        begun = self.runs(asked.target, repo)
        with self._lock:
            busy = {one.job for one in begun if not one.state.idle}
            fetch = self._fetches.get((asked.target, repo))
            if not busy:
                self._fetches.pop((asked.target, repo), None)
            elif fetch is not None:
                fetch.jobs &= busy
                fetch.ended = fetch.ended if fetch.jobs else self.clock()
        if not busy:
            self.count.labels("refused").inc()
            return DeskAnswer(404, f"it is not brought now: {_idle_words(begun)}")
        self.count.labels("fetching").inc()
        _log.info("miss.fetching", repo=str(repo), target=asked.target, jobs=sorted(busy))
        return _wait(_AGAIN)

    def _under_way(self, asked: MissQuestion, repo: Repo) -> DeskAnswer | None:
        """What is said of a repo that was asked for before; None where it may be brought now. The lock is held."""
        now = self.clock()
        for key, one in list(self._fetches.items()):
            if now - one.since > _LOST or (one.ended is not None and now - one.ended > _REST):
                del self._fetches[key]
        known = self._fetches.get((asked.target, repo))
        if known is None:
            going = [one.by for one in self._fetches.values() if one.ended is None]
            many = len(going) >= _MOST_FETCHES or going.count(asker(asked)) >= _MOST_OF_ONE
            return _wait("60") if many else None
        if known.ended is None:
            return _wait(_AGAIN)
        if known.came and now - known.ended < _CAME:
            return _wait(_SOON)
        return DeskAnswer(404, "it was asked for a few minutes ago, and could not be brought")

    def _may_learn(self, settings: Settings, mirror: AskedMirror, asked: MissQuestion, repo: Repo) -> bool:
        """Whether the reader might read it: by a role, or because the upstream gives it to everybody."""
        if settings.access_to(asked.target).decide(asked.role, repo, closed=True) is Sight.READ:
            return True
        found = self._look(mirror, asked, repo)
        return found is not None and not found.closed

    # ---- brought back because somebody asks

    def _thawed(self, settings: Settings, mirror: AskedMirror, asked: MissQuestion) -> DeskAnswer:
        """Of a file that is published, and that this reader may have; nothing of one that lies in no cold tier."""
        target = settings.targets.get(asked.target)
        tiers, blob = None if target is None else target.tiers, _BLOB.fullmatch(asked.at)
        if tiers is None or (blob is not None and not mirror.is_cold(asked.target, Sha256(blob[1]))):
            return _SAID_NOTHING
        try:
            repo = asked.repo if tiers.warm_back else None
        except ValueError:  # it was asked for by its digest alone
            repo = None
        if repo is None:
            return DeskAnswer(503, f"{COLD}; {how_to_ask(settings)}", {"Retry-After": COLD_AGAIN})
        key = asked.target, repo
        with self._lock:
            rests = key in self._thawing or self._thaws.get(key) is not None
            if not rests and len(self._thawing) < _MOST_FETCHES:
                if not self._may_thaw(asked, tiers.warm_back_most):
                    self.count.labels("thaw-bounded").inc()
                    said = f"{COLD}, and no more is brought back for you today; {how_to_ask(settings)}"
                    return DeskAnswer(503, said, {"Retry-After": COLD_AGAIN})
                self.count.labels("thawing").inc()
                self._thaws.put(key, True)
                self._thawing.add(key)
                self._warming.submit(self._thaw, mirror, asked.target, repo)
        if tiers.restores:
            return DeskAnswer(503, f"{COLD}; it is being restored, which takes hours", {"Retry-After": COLD_AGAIN})
        return DeskAnswer(503, f"{COLD}; it is being brought back", {"Retry-After": _SOMEWHAT})

    def _may_thaw(self, asked: MissQuestion, most: int) -> bool:
        """Whether one more repo may come back because this reader waits for it; if so, it is counted. The lock is held.

        By the target's bound as it is now: with another one, counting begins anew.
        """
        known = self._thaw_bounds.get(asked.target)
        if known is None or known[0] != most:
            one = max(1, most // _SHARE)
            known = most, _Allowance((one / _DAY, one), (most / _DAY, most), self.clock)
            self._thaw_bounds[asked.target] = known
        return known[1].take(asker(asked))

    def _thaw(self, mirror: AskedMirror, target: str, repo: Repo) -> None:
        try:
            mirror.thaw(target, repo)
        except (MirrorError, OSError) as error:
            _log.warning("thaw.failed", target=target, repo=str(repo), reason=str(error))
        except Exception as error:  # else nobody would hear of it: nobody waits for this thread
            said = f"internal error: {type(error).__name__}"
            _log.warning("thaw.failed", target=target, repo=str(repo), reason=said, exc_info=True)
        finally:
            with self._lock:
                self._thawing.discard((target, repo))

    # ---- what both need

    def _look(self, mirror: AskedMirror, asked: MissQuestion, repo: Repo) -> WantedVerdict | None:
        kept = self._looks.get((asked.target, repo))
        if kept is not None:
            return kept

        def ask() -> WantedVerdict:
            try:
                return mirror.look_at_wanted(asked.target, repo)
            except (NotFoundOrPrivate, Gated, Disabled, RevisionNotFound):
                return WantedVerdict(closed=True, outcome="", verdict="")

        found = self._within(self._names, asked, ask)
        if found is not None:
            self._looks.put((asked.target, repo), found)
        return found

    def _may_have(self, allowance: _Allowance, asked: MissQuestion) -> bool:
        with self._lock:
            return allowance.take(asker(asked))

    def _within(self, allowance: _Allowance, asked: MissQuestion, ask: Callable[[], Value]) -> Value | None:
        """What an upstream says within a moment; None where it says nothing, or has been asked too much."""
        if not self._may_have(allowance, asked) or not self._free.acquire(blocking=False):
            return None
        try:
            future: Future[Value] = self._pool.submit(ask)
        except RuntimeError:  # the program ends
            self._free.release()
            return None
        future.add_done_callback(lambda _: self._free.release())
        try:
            return future.result(self.patience)
        except (MirrorError, OSError, ValueError, TimeoutError) as error:
            _log.debug("miss.upstream", reason=f"{type(error).__name__}: {error}")
            return None

    def _refused(self) -> DeskAnswer:
        self.count.labels("refused").inc()
        return _SAID_NOTHING


_OK = 200
_REDIRECTS = (301, 302, 303, 307, 308)
_CLOSED = (401, 403, 404)


def _meant(settings: Settings, asked: MissQuestion, repo: Repo) -> list[Job]:
    """The jobs that name a repo, where the reader may read what is called so; decided by names alone."""
    rules: AccessRules = settings.access_to(asked.target)
    if rules.decide(asked.role, repo, closed=False) is not Sight.READ:
        return []
    return [job for job in settings.jobs if job.target == asked.target and job.names(repo)]


def _shown_hub(settings: Settings, job: Job) -> str | None:
    """The address of a job's hub, where readers may be told it and find the repo under the same name."""
    upstream = settings.upstreams[job.upstream]
    if not isinstance(upstream, HubUpstream) or job.published_as is not None or upstream.veiled:
        return None
    return upstream.shown_origin if upstream.endpoints[0].rstrip("/") == upstream.shown_origin else None


def _bears_key(at: str) -> bool:
    """Whether an address was signed for the S3 door by a token of ours, which no upstream may see."""
    return any(f"{name}=".lower() in at.lower() for name in PRESIGNED)


def how_to_ask(settings: Settings) -> str:
    """How to go on, for who asked in vain."""
    ask = settings.site.ask
    if ask.url or ask.text:
        return "; ".join(filter(None, ((ask.text or "").rstrip("."), ask.url and f"ask at {ask.url}")))
    return f"ask {settings.access.whom_to_ask} for it"


def who(asked: MissQuestion, secret: str) -> str:
    """Who wants it: a token's name stands for its holder; of an address nothing that leads back to it is kept."""
    if asked.name or asked.role:
        return asker(asked)
    return f"address {hmac.new(secret.encode(), _household(asked.client).encode(), sha256).hexdigest()[:12]}"


def asker(asked: MissQuestion) -> str:
    """The same by the address itself, for nobody to keep."""
    if asked.name:
        return f"token {asked.name}"
    return f"role {asked.role}" if asked.role else f"address {_household(asked.client)}"


def _household(client: str) -> str:
    """An address, and of IPv6 its /64: that many addresses are one client's to choose from (RFC 4291, 2.5.4)."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    return client if address.version == 4 else str(ip_network((address, 64), strict=False))  # noqa: PLR2004


def _wait(seconds: str) -> DeskAnswer:
    return DeskAnswer(503, "It is being brought: ask again in a moment", {"Retry-After": seconds})


def _idle_words(begun: Collection[Started]) -> str:
    said = {
        RequestState.PAUSED: "its job is paused",
        RequestState.CLOSED: "its job is outside of its hours",
        RequestState.PASSED_OVER: "its job takes others first",
    }
    return "; ".join(sorted({said.get(one.state, str(one.state)) for one in begun})) or "no job takes it"


def miss_route(secret: str, desk: MissDesk, away: Callable[[], str] = lambda: "") -> Route:
    """The address at which fronts ask. A target that hangs holds up no more of them than leave others their threads.

    `away` says why another daemon has to be asked, empty where this one is right: a standby does not know what was
    decided since, and notes no wish that the other one would not see.
    """
    free = threading.Semaphore(_MOST_ANSWERS)

    def miss(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), secret.encode()):
            return JSONResponse({"error": f"{SECRET} is not http.front_secret of jobs.yaml"}, 401)
        if why := away():
            return JSONResponse({"error": why}, 503)
        if not free.acquire(blocking=False):
            return JSONResponse({"error": "too many are waited for"}, 503)
        try:
            found = desk.answer(MissQuestion.of(request.query_params))
        except ValueError as error:
            return JSONResponse({"error": f"no question of a front: {error}"}, 400)
        except (MirrorError, OSError) as error:
            _log.warning("miss.failed", reason=str(error))
            return JSONResponse({"error": "it cannot be told now"}, 503)
        finally:
            free.release()
        return JSONResponse(found.encode())

    return Route("/miss", miss, methods=["GET"])
