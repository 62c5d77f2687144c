"""The stages that judge a snapshot by its files, where a policy asks for it: by their classes, then by scanners.

    recall   what an earlier inspection held is held again, before a byte of it is fetched
    inspect  classes of all files, by ranges of those that are new, and scanners, also where the classes hold it
    revisit  the same of a snapshot that is published already, before one more name leads to it

They are for jobs with such a policy alone (`Job.inspects`): no other imports them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from mirror_sync.domain.formats.class_list import CLASSES, ClassListMaker
from mirror_sync.domain.formats.classifier import classify
from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import FilesScanned, Observer
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScannerReport, judge_scans
from mirror_sync.engine.inspection.blob_content import BlobContent
from mirror_sync.engine.inspection.inspected_files import InspectedFile, findings_of_base, inspected, listing_of
from mirror_sync.engine.inspection.inspection_memory import InspectionMemory, TurnedFile
from mirror_sync.engine.inspection.scan_list import SCANS, ScanList
from mirror_sync.engine.inspection.scans import Scans
from mirror_sync.engine.inspection.turned_notes import turned_files
from mirror_sync.engine.stages import Change
from mirror_sync.engine.stopping import stop_of_run, work_for
from mirror_sync.errors import Interrupted, KeyMissing, PruneConflict

_AT_ONCE = 8  # files of a repo that are looked at
_BATCH = 1000  # that wait for their turn

T = TypeVar("T")


class Inspection:
    """`stop` ends what no run's own stop does; `tell` is told who has scanned what."""

    def __init__(self, scans: Scans, stop: threading.Event, tell: Observer = lambda _: None) -> None:
        self._scans, self._stop, self._tell = scans, stop, tell

    def recall(self, change: Change) -> Change:
        """Adds the verdicts by which the commit was held, as long as neither policy nor scanners are others."""
        held, memory = change, InspectionMemory(change.read_cache)
        for verdict in memory.verdicts(change, self._versions(change, memory)):
            held = held.judged(verdict)
        return change if held.judgement.objection is None else held

    def inspect(self, change: Change) -> Change:
        """Adds verdicts, and the documents `classes` and `scans`. Raises what a repo fails for: MirrorError."""
        try:
            files, verdicts, reports = self._judged(change)
        except KeyMissing as error:
            raise PruneConflict(change.task.repo) from error
        scans = ScanList.of(reports)
        if scans.scanners:
            change = change.attached(SCANS, scans.encode())
        for verdict in verdicts:
            change = change.judged(verdict)
        return change.attached(CLASSES, _document(files))

    def revisit(self, change: Change) -> Change:
        """Adds the verdicts of today on a published snapshot, onto which a name is to move. PruneConflict, MirrorError.

        What was found when it was published counts, as it does for the files that a new commit shares with it.
        """
        base = change.relies_on
        if base is None:
            return change
        try:
            with closing(listing_of(change.store, base.root)) as listing:
                verdicts = self._judged(replace(change, listing=listing))[1]
        except KeyMissing as error:
            raise PruneConflict(change.task.repo) from error
        for verdict in verdicts:
            change = change.judged(verdict)
        return change

    def again(self, change: Change) -> tuple[list[Verdict], list[TurnedFile], bool]:
        """Judge a published snapshot, which is its own base, by what scanners say today.

        Gives all verdicts, the files in which something was found, and whether a scan failed. Raises as `inspect` does.
        """
        memory = InspectionMemory(change.read_cache, rescan=True)
        files = inspected(change, findings_of_base(change))
        self._classify(change, files, memory)
        reports = self._scanned(change, files, ScanList(), memory)
        digests = {one.file.path: one.file.sha256 for one in files}
        turned = [
            TurnedFile(bad.path, digests[bad.path], report.scanner, bad.result, bad.why, report.at)
            for report in reports
            for bad in report.bad
            if bad.result.found
        ]
        verdicts = [*_by_class(change.task.job, files), *_by_scans(change.task.job, reports)]
        return verdicts, turned, any(report.failed for report in reports)

    def _judged(self, change: Change) -> tuple[list[InspectedFile], list[Verdict], tuple[ScannerReport, ...]]:
        """The files with their classes, what the policy says of them, and what scanners do; a hold is remembered."""
        memory, before = InspectionMemory(change.read_cache), findings_of_base(change)
        files = inspected(change, before)
        self._classify(change, files, memory)
        reports = self._scanned(change, files, before.scans, memory)
        reports = (*reports, *_turned(files, turned_files(change)))
        verdicts = [*_by_class(change.task.job, files), *_by_scans(change.task.job, reports)]
        if all(verdict.allowed for verdict in verdicts):
            memory.hold(change, self._versions(change, memory), ())
        else:
            memory.keep(change, files)
            if not any(report.failed for report in reports):  # what failed is tried again by the next run
                memory.hold(change, self._versions(change, memory), [one for one in verdicts if not one.allowed])
        return files, verdicts, reports

    def _scanned(
        self, change: Change, files: Sequence[InspectedFile], before: ScanList, memory: InspectionMemory
    ) -> tuple[ScannerReport, ...]:
        """What all scanners say, which is told, too."""
        reports = self._scans.reports(change, files, before, memory, self._spread)
        job, commit = change.task.job, change.resolved.commit
        for report in reports:
            if report.files:
                found = sum(one.result.found for one in report.bad)
                counts = report.files, found, len(report.bad) - found
                of = job.target, job.name, change.task.repo.kind, change.task.repo.id, commit
                self._tell(FilesScanned(*of, report.scanner, report.version, *counts))
        return reports

    def _classify(self, change: Change, files: Sequence[InspectedFile], memory: InspectionMemory) -> None:
        """Find the classes that are not known: of what is new, and was not looked at for a commit that was held."""
        left = [one for one in files if one.found is None]
        held = memory.classes(change) if left else {}
        for one in left:
            digest, found = held.get(one.file.path, ("", None))
            one.found = found if digest == one.file.sha256 else None
        left = [one for one in left if one.found is None]
        for one, classified in zip(left, self._spread(lambda one: _class_of(change, one), left), strict=True):
            one.found = classified

    def _spread(self, call: Callable[[InspectedFile], T], files: Iterable[InspectedFile]) -> Iterator[T]:
        """As map does, by some threads, each of which ends with the run; no more wait than a batch."""
        stop, waiting = stop_of_run(self._stop), iter(files)

        def one(file: InspectedFile) -> T:
            if stop.is_set():
                raise Interrupted("stopped while files were looked at")
            return call(file)

        first = list(islice(waiting, _BATCH))
        if not first:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(first)), "inspect", work_for, (stop,)) as pool:
            while first:
                yield from pool.map(one, first)
                first = list(islice(waiting, _BATCH))

    def _versions(self, change: Change, memory: InspectionMemory) -> str:
        """What was found later counts as another version of who found it."""
        since = memory.since(change.task.repo)
        return f"{self._scans.versions(change.task.job.scan)} {turned_files(change)} {since}"


def _class_of(change: Change, one: InspectedFile) -> Classified:
    content = BlobContent(change.store, one.file.sha256, one.file.size)
    return classify(one.file.path, one.file.size, content.read)


def _by_class(job: Job, files: Iterable[InspectedFile]) -> Iterator[Verdict]:
    if job.formats is not None:
        yield job.formats.judge((one.file.path, one.found) for one in files if one.found is not None)


def _by_scans(job: Job, reports: Sequence[ScannerReport]) -> Iterator[Verdict]:
    if job.scan is not None:
        yield judge_scans(job.scan, reports)


def _turned(files: Iterable[InspectedFile], turned: Sequence[TurnedFile]) -> Iterator[ScannerReport]:
    """What a rescan found in files that are here still."""
    if not turned:
        return
    here = {(one.file.path, one.file.sha256) for one in files}
    for one in turned:
        if (one.path, one.digest) in here:
            yield ScannerReport(one.scanner, "", one.at, 1, (ScannedFile(one.path, one.result, one.why),))


def _document(files: Iterable[InspectedFile]) -> bytes:
    maker = ClassListMaker()
    for one in files:
        if one.found is not None:
            maker.add(one.file.path, one.file.size, one.found)
    return maker.made().encode()
