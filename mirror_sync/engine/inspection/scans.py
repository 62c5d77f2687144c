"""Has the files of a snapshot scanned: by whoever the policy names, and by the upstream's own word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScannerReport, ScanPolicy, ScanResult
from mirror_sync.engine.inspection.blob_content import BlobContent
from mirror_sync.engine.inspection.inspected_files import InspectedFile
from mirror_sync.engine.inspection.inspection_memory import InspectionMemory
from mirror_sync.engine.inspection.scan_list import ScanList
from mirror_sync.engine.stages import Change
from mirror_sync.errors import NoSuchCall
from mirror_sync.ports.scanner import Scanner
from mirror_sync.ports.source import Source

HUB = "hub"  # the name of what the upstream says
_UNSAID = "the upstream says nothing of it"

Spread = Callable[[Callable[[InspectedFile], ScannedFile], Iterable[InspectedFile]], Iterator[ScannedFile]]
"""Like the built-in map, perhaps by many threads."""


@dataclass(frozen=True, slots=True)
class Scans:
    """`scanners` gives those that a policy names, `source` a job's upstream, `now` the time in ISO 8601."""

    scanners: Callable[[ScanPolicy], Sequence[Scanner]]
    source: Callable[[Job], Source]
    now: Callable[[], str]

    def versions(self, policy: ScanPolicy | None) -> str:
        """Who would be asked, in which versions."""
        return "" if policy is None else repr([(one.name, one.version) for one in self.scanners(policy)])

    def reports(
        self, change: Change, files: Sequence[InspectedFile], before: ScanList, memory: InspectionMemory, spread: Spread
    ) -> tuple[ScannerReport, ...]:
        """What each says of the files that it has not found clean in the published snapshot. Raises what a repo fails
        for: StoreError, UpstreamError.
        """
        policy = change.task.job.scan
        if policy is None:
            return ()
        told = (self._told(change, files, before),) if policy.hub else ()
        return (*told, *(self._by(one, change, files, before, memory, spread) for one in self.scanners(policy)))

    def _told(self, change: Change, files: Sequence[InspectedFile], before: ScanList) -> ScannerReport:
        """By the upstream's scanners, whatever they are."""
        known = before.has(HUB, "")
        paths = [one.file.path for one in files if one.file.size and not (one.published and known)]
        source, asked = self.source(change.task.job), change.resolved.queried
        try:
            said = source.scans(asked, change.resolved.commit, paths) if paths else {}
        except NoSuchCall as error:
            bad = tuple(ScannedFile(path, ScanResult.NOT_SCANNED, str(error)) for path in paths)
            return ScannerReport(HUB, "", self.now(), len(paths), bad)
        found = (said.get(path) or ScannedFile(path, ScanResult.NOT_SCANNED, _UNSAID) for path in paths)
        bad = tuple(one for one in found if one.result is not ScanResult.CLEAN)
        return ScannerReport(HUB, "", self.now(), len(paths), bad)

    def _by(
        self,
        scanner: Scanner,
        change: Change,
        files: Sequence[InspectedFile],
        before: ScanList,
        memory: InspectionMemory,
        spread: Spread,
    ) -> ScannerReport:
        who = scanner.name, scanner.version
        known, remembered = before.has(*who), (scanner.name, f"{scanner.version} {memory.since(change.task.repo)}")
        wanted = [one for one in files if not (one.published and known) and _wants(scanner, one)]

        def scan(one: InspectedFile) -> ScannedFile:
            file = one.file
            said = memory.scan(remembered, file.path, file.sha256)
            if said is None:
                assert one.found is not None  # noqa: S101  for the type checker: classes come before scans
                content = BlobContent(change.store, file.sha256, file.size)
                said = replace(scanner.scan(file.path, one.found, content), path=file.path)
                memory.scanned(remembered, file.sha256, said)
            return said

        bad = tuple(one for one in spread(scan, wanted) if one.result is not ScanResult.CLEAN)
        return ScannerReport(*who, self.now(), len(wanted), bad)


def _wants(scanner: Scanner, one: InspectedFile) -> bool:
    return bool(one.file.size) and one.found is not None and scanner.wants(one.file.path, one.found)
