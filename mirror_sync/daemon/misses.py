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
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.upstreams import HubUpstream, Timeouts
from mirror_sync.domain.outcome.report import RepoOutcome, RepoState, RepoStatus, RunReport
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.domain.url import Url
from mirror_sync.errors import Disabled, Gated, MirrorError, NotFoundOrPrivate, RevisionNotFound, UsageError
from mirror_sync.front.hub.desk_answer import DeskAnswer
from mirror_sync.front.hub.protocol import FIELDS
from mirror_sync.front.misses.daemon_desk import SECRET
from mirror_sync.logger import Logger
from mirror_sync.net.transport import Transport
from mirror_sync.state.wishes import Wishes

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.daemon.runs import Came

_PATIENCE = 2.0  # seconds that an upstream is waited for
_AT_ONCE = 8  # questions to upstreams
_KNOWN, _FRESH = 1024, 60.0  # repos of which is remembered what an upstream said, and for how many seconds
_REST = 300.0  # seconds until what could not be brought is tried again because somebody asks
_LOST = 3600.0  # seconds after which a run of which no end was told is forgotten
_MOST_FETCHES = 16  # repos that are on their way because somebody asked
_AGAIN, _SOON = "10", "2"  # seconds after which a client asks again
_CAME = 10.0  # seconds in which a front may not have seen yet what is published
_HOPS = 3
_SAID_NOTHING = DeskAnswer(404, "")
_PLAIN = re.compile(r"/[!-~]*")
_PINNABLE = re.compile(rf"(?P<before>/{FIELDS['place']}{FIELDS['id']}/resolve/)(?:{FIELDS['rev']})(?P<path>/.*)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
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

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._kept[key] = self._clock() + self._seconds, value
            self._kept.move_to_end(key)
            while len(self._kept) > _KNOWN:
                self._kept.popitem(last=False)


@dataclass(slots=True)
class _Bringing:
    """A repo that is brought because somebody asked: the jobs whose runs have not ended, and how the others did."""

    since: float
    jobs: set[str]
    ended: float | None = None
    came: bool = False


@dataclass(slots=True)
class MissDesk:
    """Answers fronts. Safe for many threads. `take` gives it the jobs.yaml that holds, `learn` what runs came to."""

    runs: AsksRuns
    count: Counter
    clock: Callable[[], float] = time.monotonic
    _current: tuple[Settings, AskedMirror, Wishes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fetches: OrderedDict[tuple[str, Repo], _Bringing] = field(default_factory=OrderedDict)
    _notes: TokenBucket = field(default_factory=lambda: TokenBucket(10.0, 100))
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "miss"))
    _free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))
    _transport: Transport = field(
        default_factory=lambda: Transport(timeouts=Timeouts(_PATIENCE, _PATIENCE, _PATIENCE), connections=_AT_ONCE)
    )
    _looks: _Remembered[tuple[str, Repo], WantedVerdict | None] = field(init=False)
    _open: _Remembered[tuple[str, Repo], bool] = field(init=False)

    def __post_init__(self) -> None:
        self._looks, self._open = _Remembered(_FRESH, self.clock), _Remembered(_FRESH, self.clock)

    def take(self, settings: Settings, mirror: AskedMirror) -> None:
        """From now on these settings hold."""
        if self._current is None or self._current[0].state_dir != settings.state_dir:
            wishes = Wishes(settings.state_dir)
        else:
            wishes = self._current[2]
        self._current = settings, mirror, wishes

    def learn(self, job: str, repos: Collection[Repo] | None, came: Came) -> None:
        """A run of a job has ended: what was waited for is there now, or is not."""
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
        try:
            repo = asked.repo
        except ValueError:
            return DeskAnswer(404, "", outcome="bad")
        if current is None or asked.target not in current[0].targets:
            return _SAID_NOTHING
        settings, mirror, wishes = current
        answers = {
            "ask": lambda: self._noted(settings, wishes, asked, repo),
            "redirect": lambda: self._redirected(settings, mirror, asked, repo),
            "fetch": lambda: self._fetched(settings, mirror, wishes, asked, repo),
        }
        if asked.what == "form":
            return self._wished(settings, mirror, wishes, asked, repo)
        known = settings.front.miss in answers and (asked.what != "page" or settings.front.miss == "ask")
        return answers[settings.front.miss]() if known else _SAID_NOTHING

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
        found = self._look(mirror, asked.target, repo)
        if found is None or found.closed:
            return DeskAnswer(200, "noted")
        wishes.judge(asked.target, repo, found.verdict, found.outcome)
        return DeskAnswer(200, found.verdict, outcome=found.outcome)

    def _note(self, settings: Settings, wishes: Wishes, asked: MissQuestion, repo: Repo) -> bool:
        with self._lock:
            if not self._notes.take():
                return False
        wishes.note(asked.target, repo, who(asked, settings.http.asked_by or ""), iso_utc(datetime.now(UTC)))
        return True

    # ---- the upstream in place of us

    def _redirected(self, settings: Settings, mirror: AskedMirror, asked: MissQuestion, repo: Repo) -> DeskAnswer:
        jobs = _meant(settings, asked, repo)
        place = next(filter(None, (_shown_hub(settings, job) for job in jobs)), None)
        if place is None or not _PLAIN.fullmatch(asked.at) or self._is_decided(mirror, asked.target, repo):
            return self._refused()
        if not self._is_open(place, repo):
            return self._refused()
        leaves = {"X-Mirror-Leaves": place}
        if asked.what == "file" and asked.method == "HEAD":
            return self._asked_upstream(place, f"/{asked.at.lstrip('/')}", leaves)
        self.count.labels("redirected").inc()
        return DeskAnswer(307, "", {"Location": f"{place}/{asked.at.lstrip('/')}", **leaves})

    def _asked_upstream(self, place: str, at: str, leaves: Mapping[str, str]) -> DeskAnswer:
        """What clients read off the redirect itself, as the upstream says it to anybody."""
        found = self._within(lambda: self._head(place, at))
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
            for name in ("X-Repo-Commit", "ETag", "X-Linked-Size", "X-Linked-Etag"):
                if (value := answer.headers.get(name)) is not None:
                    said.setdefault(name, value)
            if answer.status not in _REDIRECTS:
                break
            url = urljoin(url, answer.headers.get("Location", ""))
            if Url.parse(url).origin != Url.parse(place).origin:  # the file itself: it is there
                return _OK, said, ""
        if answer.status == _OK and "X-Linked-Size" not in said and (size := answer.headers.get("Content-Length")):
            said["X-Linked-Size"] = size  # a redirect has a length of its own
        return answer.status, said, answer.headers.get("X-Error-Code", "") if answer.status != _OK else ""

    def _is_open(self, place: str, repo: Repo) -> bool:
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

        found = self._within(ask)
        if found is not None:
            self._open.put((place, repo), found)
        return bool(found)

    def _is_decided(self, mirror: AskedMirror, target: str, repo: Repo) -> bool:
        """Whether somebody, or a rule, does not want it here."""
        known = (one for one in mirror.status() if one.repo == repo.id and one.kind == repo.kind)
        return any(one.state in _DECIDED for one in known) or mirror.is_taken_down(target, repo)

    # ---- brought because somebody asks

    def _fetched(
        self, settings: Settings, mirror: AskedMirror, wishes: Wishes, asked: MissQuestion, repo: Repo
    ) -> DeskAnswer:
        jobs = _meant(settings, asked, repo)
        if not jobs or not self._may_learn(settings, mirror, asked, repo) or mirror.is_taken_down(asked.target, repo):
            return self._noted(settings, wishes, asked, repo)
        with self._lock:
            known = self._under_way(asked.target, repo)
            if known is not None:
                return known
            self._fetches[asked.target, repo] = _Bringing(self.clock(), {job.name for job in jobs})
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

    def _under_way(self, target: str, repo: Repo) -> DeskAnswer | None:
        """What is said of a repo that was asked for before; None where it may be brought now. The lock is held."""
        now = self.clock()
        for key, one in list(self._fetches.items()):
            if now - one.since > _LOST or (one.ended is not None and now - one.ended > _REST):
                del self._fetches[key]
        known = self._fetches.get((target, repo))
        if known is None:
            going = sum(one.ended is None for one in self._fetches.values())
            return _wait("60") if going >= _MOST_FETCHES else None
        if known.ended is None:
            return _wait(_AGAIN)
        if known.came and now - known.ended < _CAME:
            return _wait(_SOON)
        return DeskAnswer(404, "it was asked for a few minutes ago, and could not be brought")

    def _may_learn(self, settings: Settings, mirror: AskedMirror, asked: MissQuestion, repo: Repo) -> bool:
        """Whether the reader might read it: by a role, or because the upstream gives it to everybody."""
        if settings.access_to(asked.target).decide(asked.role, repo, closed=True) is Sight.READ:
            return True
        found = self._look(mirror, asked.target, repo)
        return found is not None and not found.closed

    # ---- what both need

    def _look(self, mirror: AskedMirror, target: str, repo: Repo) -> WantedVerdict | None:
        kept = self._looks.get((target, repo))
        if kept is not None:
            return kept

        def ask() -> WantedVerdict:
            try:
                return mirror.look_at_wanted(target, repo)
            except (NotFoundOrPrivate, Gated, Disabled, RevisionNotFound):
                return WantedVerdict(closed=True, outcome="", verdict="")

        found = self._within(ask)
        if found is not None:
            self._looks.put((target, repo), found)
        return found

    def _within(self, ask: Callable[[], Value]) -> Value | None:
        """What an upstream says within a moment; None where it says nothing, or too many are asked already."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            future: Future[Value] = self._pool.submit(ask)
        except RuntimeError:  # the program ends
            self._free.release()
            return None
        future.add_done_callback(lambda _: self._free.release())
        try:
            return future.result(_PATIENCE)
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


def how_to_ask(settings: Settings) -> str:
    """How to go on, for who asked in vain."""
    ask = settings.site.ask
    if ask.url or ask.text:
        return " ".join(filter(None, (ask.text, ask.url and f"ask at {ask.url}")))
    return f"ask {settings.access.whom_to_ask} for it"


def who(asked: MissQuestion, secret: str) -> str:
    """Who wants it: a token's name stands for its holder; of an address nothing that leads back to it is kept."""
    if asked.name:
        return f"token {asked.name}"
    if asked.role:
        return f"role {asked.role}"
    return f"address {hmac.new(secret.encode(), asked.client.encode(), sha256).hexdigest()[:12]}"


def _wait(seconds: str) -> DeskAnswer:
    return DeskAnswer(503, "It is being brought: ask again in a moment", {"Retry-After": seconds})


def _idle_words(begun: Collection[Started]) -> str:
    said = {
        RequestState.PAUSED: "its job is paused",
        RequestState.CLOSED: "its job is outside of its hours",
        RequestState.PASSED_OVER: "its job takes others first",
    }
    return "; ".join(sorted({said.get(one.state, str(one.state)) for one in begun})) or "no job takes it"


def miss_route(secret: str, desk: MissDesk) -> Route:
    """The address at which fronts ask."""

    def miss(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), secret.encode()):
            return JSONResponse({"error": f"{SECRET} is not http.front_secret of jobs.yaml"}, 401)
        try:
            found = desk.answer(MissQuestion.of(request.query_params))
        except ValueError as error:
            return JSONResponse({"error": f"no question of a front: {error}"}, 400)
        except (MirrorError, OSError) as error:
            _log.warning("miss.failed", reason=str(error))
            return JSONResponse({"error": "it cannot be told now"}, 503)
        return JSONResponse(found.encode())

    return Route("/miss", miss, methods=["GET"])
