"""A worker: a process that offers itself to a Dask scheduler, and what that runs there by name."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distributed import Status, Worker, WorkerPlugin, get_worker

from mirror_sync.cluster.dask_library import quieten, resource
from mirror_sync.cluster.messages import Deal, Dispatch, Envelope, decode, encode
from mirror_sync.cluster.workplace import Workplace
from mirror_sync.domain.outcome.events import Event
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import ClusterError

GRACE = 8.0  # seconds that work items get to end cleanly
CONNECT = 30  # seconds
_LOOK = 0.05  # seconds between two looks at what is left
_PLUGIN = "mirror-sync"


def take_up(body: bytes) -> bytes:
    """Runs in a thread of the worker."""
    dispatch = decode(body)
    if not isinstance(dispatch, Dispatch):
        raise TypeError(f"a {type(dispatch).__name__} is no piece of work")
    return encode(_workplace(get_worker()).run(dispatch))


def hear(number: int, body: bytes, dask_worker: Any = None) -> None:
    """An answer has come. Runs in the worker's event loop."""
    _workplace(dask_worker).answer(number, decode(body))  # type: ignore[arg-type]


def halt(run: str, dask_worker: Any = None) -> None:
    """A run has been stopped. Runs in the worker's event loop; a worker that is not ours has no such work item."""
    if _PLUGIN in dask_worker.plugins:
        _workplace(dask_worker).halt(run)


def deal(body: bytes, dask_worker: Any = None) -> None:
    """Limits are dealt out anew. Runs in the worker's event loop; a worker that is not ours has none of them."""
    told = decode(body)
    if not isinstance(told, Deal):
        raise TypeError(f"a {type(told).__name__} deals nothing out")
    if _PLUGIN in dask_worker.plugins:
        _workplace(dask_worker).deal(told)


def _workplace(worker: Any) -> Workplace:
    plugin: _Plugin = worker.plugins[_PLUGIN]
    assert plugin.workplace is not None  # noqa: S101  Dask sets plugins up before it takes tasks
    return plugin.workplace


@dataclass(frozen=True, slots=True)
class WorkerRole:
    """What a worker process is: `work_items` at once, over a context, whose sides are told by `sides`."""

    context: RunContext
    sides: Mapping[str, str]
    work_items: int


class _Plugin(WorkerPlugin):
    """Ties a workplace to the life of a Dask worker."""

    name = _PLUGIN

    def __init__(self, post: WorkerRole) -> None:
        self._post = post
        self.workplace: Workplace | None = None

    def setup(self, worker: Any) -> None:
        def send(sender: str, envelope: Envelope) -> None:
            worker.log_event(sender, encode(envelope))

        self.workplace = Workplace(self._post.context, self._post.sides, send, worker.address)

    def teardown(self, worker: Any) -> None:
        """Also where the scheduler is lost: somebody else may have the work items already."""
        if self.workplace is not None:
            self.workplace.leave("the worker has stopped", 0)

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if finish in ("cancelled", "released", "forgotten") and self.workplace is not None:
            self.workplace.drop(str(key))


class WorkerProcess:
    """Works for a scheduler until a signal comes, or the scheduler is lost."""

    def __init__(self, address: str, post: WorkerRole) -> None:
        self._address, self._post, self._plugin = address, post, _Plugin(post)

    def overhear(self, event: Event) -> None:
        """An observer of this process."""
        if self._plugin.workplace is not None:
            self._plugin.workplace.overhear(event)

    def run(self, on_ready: Callable[[str], None]) -> None:
        """Must be called in the main thread. `on_ready` gets the worker's address.

        Returns after SIGTERM or SIGINT. Raises ClusterError when no scheduler answers, or when it is lost.
        """
        quieten()
        with tempfile.TemporaryDirectory(prefix="mirror-sync-worker-") as folder:
            asyncio.run(self._run(folder, on_ready))

    async def _run(self, folder: str, on_ready: Callable[[str], None]) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        worker = Worker(
            self._address,
            nthreads=self._post.work_items,
            resources={resource(): self._post.work_items},
            memory_limit=0,  # ours is bounded by the context
            plugins=(self._plugin,),
            local_directory=folder,
            death_timeout=CONNECT,
        )
        try:
            await worker
        except Exception as error:
            raise ClusterError(f"no Dask scheduler answers at {self._address}: {error}") from error
        on_ready(worker.address)
        lost = asyncio.create_task(worker.finished())  # type: ignore[no-untyped-call]
        asked = asyncio.create_task(stopped.wait())
        await asyncio.wait({lost, asked}, return_when=asyncio.FIRST_COMPLETED)
        self._post.context.stop.set()  # wakes who waits for a rate limit
        if not asked.done():
            raise ClusterError(f"the Dask scheduler at {self._address} was lost")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leave(worker), GRACE)
        await worker.close(executor_wait=False)

    async def _leave(self, worker: Worker) -> None:
        """Ends what goes on, and waits until its coordinators have what came of it."""
        worker.status = Status.paused  # nothing more is given to us
        if self._plugin.workplace is not None:
            await asyncio.to_thread(self._plugin.workplace.leave, "the worker has stopped", GRACE)
        while worker.state.tasks:
            await asyncio.sleep(_LOOK)
