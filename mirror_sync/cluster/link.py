"""The coordinator's connection to a Dask scheduler: the only file of this side that knows Dask."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mirror_sync.cluster.dask_library import NAME, import_distributed, quieten, resource
from mirror_sync.cluster.messages import Answer, Deal, Dispatch, Envelope, decode, encode
from mirror_sync.errors import ClusterError
from mirror_sync.logger import Logger

CONNECT = 10.0  # seconds
_REPLIERS = 4
_A_MOMENT = 2.0  # seconds

_log = Logger()


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who is at the scheduler: work items that our workers take at once, other versions there, all addresses."""

    slots: int
    others: tuple[str, ...] = ()
    live: frozenset[str] = frozenset()


class Link:
    """A connection that is open from its making until `close`. Raises ClusterError from every verb but `close`.

    `receive` gets the messages of all workers in one thread, those of each worker in the order of sending. `patience`:
    seconds within which a scheduler must answer.
    """

    def __init__(self, address: str, receive: Callable[[Envelope], None], patience: float = CONNECT) -> None:
        self._address = address
        quieten()
        distributed = import_distributed()
        try:
            self._client = distributed.Client(address, timeout=min(patience, CONNECT), set_as_default=False, name=NAME)
        except (OSError, ValueError, ImportError, TypeError, RuntimeError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {_reason(error)}") from error
        self._repliers = ThreadPoolExecutor(_REPLIERS, "reply")
        self._inbox = ThreadPoolExecutor(1, "messages")  # Dask's own thread must not wait for our disk
        self.name: str = self._client.id
        self._client.subscribe_topic(self.name, lambda event: self._deliver(event, receive))

    def crowd(self) -> Crowd:
        """Who is there now."""
        try:
            found = self._client.scheduler_info()["workers"]
        except Exception as error:  # Dask says a lost scheduler in many ways
            raise self._lost(error) from error
        slots, others = 0, set()
        for worker in found.values():
            if worker["status"] != "running":
                continue
            for name, count in worker["resources"].items():
                if name == resource():
                    slots += int(count)
                elif name.startswith(f"{NAME}-"):
                    others.add(f"{worker['host']} has {name}")
        return Crowd(slots, tuple(sorted(others)), frozenset(found))

    def submit(self, dispatch: Dispatch) -> Future[object]:
        """What the worker returns. ClusterError when workers died of it, or when the scheduler is lost."""
        from mirror_sync.cluster.worker import take_up

        done: Future[object] = Future()
        try:
            out = self._client.submit(
                take_up, encode(dispatch), key=dispatch.key, pure=False, retries=0, resources={resource(): 1}
            )
        except Exception as error:  # as above
            raise self._lost(error) from error
        # after all messages that the worker sent before
        out.add_done_callback(lambda out: self._inbox.submit(self._end, out, done))
        return done

    def cancel(self, key: str) -> None:
        """Nobody waits for this work item any more: it ends where it is, or is not begun."""
        with suppress(Exception):  # a scheduler that is lost has forgotten it already
            self._client.cancel([import_distributed().Future(key, self._client)], force=True)

    def halt(self, run: str) -> None:
        """All work items of a run end, keeping what was put."""
        from mirror_sync.cluster.worker import halt

        with suppress(Exception):
            self._client.run(halt, run, on_error="ignore")

    def deal(self, deal: Deal) -> None:
        """Tell all workers, and wait for them a moment: one that is silent must not hold up the others."""
        with suppress(Exception):
            self._repliers.submit(self._deal, encode(deal)).result(_A_MOMENT)

    def _deal(self, body: bytes) -> None:
        from mirror_sync.cluster.worker import deal

        with suppress(Exception):
            self._client.run(deal, body, on_error="ignore")

    def reply(self, worker: str, number: int, answer: Answer) -> None:
        """Answer a question, some time soon. A worker that is gone does not miss it."""
        self._repliers.submit(self._reply, worker, number, encode(answer))

    def close(self) -> None:
        for pool in (self._repliers, self._inbox):
            pool.shutdown(wait=False, cancel_futures=True)
        with suppress(Exception):
            self._client.close(CONNECT)

    def _deliver(self, event: tuple[float, object], receive: Callable[[Envelope], None]) -> None:
        _, body = event
        if isinstance(body, bytes):  # Dask itself tells of clients under their names, too
            with suppress(RuntimeError):  # closed meanwhile
                self._inbox.submit(_read, body, receive)

    def _reply(self, worker: str, number: int, body: bytes) -> None:
        from mirror_sync.cluster.worker import hear

        with suppress(Exception):
            self._client.run(hear, number, body, workers=[worker], on_error="ignore")

    def _end(self, out: Any, done: Future[object]) -> None:
        try:
            done.set_result(decode(out.result(timeout=CONNECT)))
        except CancelledError as error:
            done.set_exception(self._lost(error))
        except import_distributed().scheduler.KilledWorker as error:
            done.set_exception(WorkersDied(error.allowed_failures + 1, error.last_worker.address))
        except Exception as error:  # as above, or a fault of this program on the worker
            done.set_exception(self._lost(error))
        finally:
            out.release()

    def _lost(self, error: BaseException) -> ClusterError:
        return ClusterError(f"the Dask scheduler at {self._address} was lost: {_reason(error)}")


class WorkersDied(ClusterError):
    """Dask has given a work item up, since so many workers that took it died, the last at `worker`."""

    def __init__(self, deaths: int, worker: str) -> None:
        super().__init__(f"{deaths} workers died at this repo, the last one at {worker}; its log says why")
        self.deaths, self.worker = deaths, worker


def _read(body: bytes, receive: Callable[[Envelope], None]) -> None:
    try:
        envelope = decode(body)
        if not isinstance(envelope, Envelope):
            raise TypeError(f"a {type(envelope).__name__} is no letter of a worker")  # noqa: TRY301  logged below
        receive(envelope)
    except Exception:  # one message that is lost must not cost those after it
        _log.error("letter.lost", exc_info=True)


def _reason(error: BaseException) -> str:
    first, _, _ = (str(error) or type(error).__name__).partition("\n")
    return first
