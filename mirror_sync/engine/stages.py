"""What a snapshot is made by: stages, each of which adds to a `Change`, from an upstream's word to a `Publication`.

    resolve     what the upstream has, beside what is published          engine/sync/decide.py
    reuse       ends what is unchanged; finds the commit's own snapshot  engine/sync/decide.py
    judge       what may be published, by the rules of the job           engine/sync/decide.py
    recall      what an earlier inspection has found of the commit       engine/inspection
    plan        what has to be fetched for it, and what is there         engine/sync/decide.py
    transfer    every file is in the target, and proved                  engine/sync/repo_sync.py
    inspect     looks at the files: adds verdicts                        engine/inspection
    document    listing, info and commits are written                    engine/sync/repo_sync.py
    attach      adds documents that the root names                       signing/signer.py and engine/doors,
                                                                         by wiring/stages.py
    publish     the root, then refs.json                                 engine/sync/repo_sync.py

One that is published already, onto which a name is to move (`Change.moves`), goes through resolve, reuse, recall,
revisit (what `inspect` says of it by the policy of today) and publish.

A stage returns the change with what it adds, or what ends it (`TaskResult`). An objection among the verdicts ends it
too, whichever stage added it. What of it is on the target then is named by nothing, and found there by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mirror_sync.domain.attested import Attested
from mirror_sync.domain.content.assurance import Assurance, CodeCount
from mirror_sync.domain.content.manifest import Manifest, MirroredFile
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.content.snapshot import Attachment, Document, Root
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.policy.rules import Candidate, Judgement, Verdict
from mirror_sync.domain.work import Base, Plan, Task, TaskResult
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import Store
from mirror_sync.scratch.file_table import FilesByPath, FileTable, ManifestView


@dataclass(frozen=True, slots=True)
class Change:
    """A commit on its way to be published in `store`, as far as its stages came; a field says which one adds it first.

    `root` is set from `reuse` on where its snapshot exists already and only a ref must move. `relies_on` is the
    published snapshot whose blobs are taken for granted: the base, or the commit's own. `remark` is what a report
    should say of it, in one line.

    `listing` holds the files, on disk where they are many: judge, plan and transfer fill it. Who made the change closes
    it.
    """

    task: Task
    store: Store
    read_cache: ReadCache  # what is remembered of the store
    resolved: Resolved  # resolve: what the upstream says,
    refs: Refs  # and what is published
    root: Sha256 | None = None
    listing: FileTable = field(default_factory=FileTable, repr=False, compare=False)
    upstream_file_count: int = 0  # judge: files of the commit, wanted or not, as the upstream lists them
    left: tuple[LeftOut, ...] = ()  # judge: what the selection leaves out
    candidate: Candidate | None = None  # judge: what the rules were asked about
    judgement: Judgement = Judgement()  # judge, inspect
    relies_on: Base | None = None  # plan: what it is compared with
    plan: Plan = Plan()
    files: int = 0
    size: int = 0  # bytes of all files
    remark: str = ""
    ref: Ref | None = None  # the name that shall lead to it; None where none has to be moved
    history: tuple[Commit, ...] = ()  # transfer: the newest commits
    committed: str = ""  # transfer: the commit's date; empty where nobody tells it
    written: Root | None = None  # document,
    code: CodeCount | None = None  # and what of it runs code, by the names of its files
    put: Mapping[Sha256, int] = field(default_factory=dict)  # documents that were put for it, by their bytes
    attachments: Mapping[str, Attachment] = field(default_factory=dict)  # attach
    assurance: Assurance = Assurance()  # publish: what is known of it beside its files

    @property
    def moves(self) -> bool:
        """Whether what the task names leads to another commit, or to none, until this is published."""
        return self.refs.commit_of(self.task.revision) != self.resolved.commit

    def files_of(self) -> Iterator[MirroredFile]:
        """Every file of the snapshot, proved, in the order of its listing (`sort_key`): from `inspect` on.

        They are read as they are asked for, and may be gone over again; who keeps them all holds a record a file.
        """
        return self.listing.files()

    @property
    def files_by_path(self) -> Iterable[MirroredFile]:
        """The same in the order of their paths by characters."""
        return FilesByPath(self.listing)

    @property
    def manifest(self) -> Manifest:
        """The files by path, each read when it is asked for: from `inspect` on. `files_of` is for all of them."""
        return ManifestView(self.listing)

    def judged(self, verdict: Verdict) -> Change:
        """The same with one more verdict; a person's, where one has approved what it holds."""
        settled = verdict if self.candidate is None else self.candidate.settled(verdict)
        return replace(self, judgement=self.judgement.joined(settled))

    def attesting(self, attested: Attested) -> Change:
        """The same with what another mirror has said and signed of it, which allows nothing that is refused here."""
        whole = (attested.files, attested.size) == (self.listing.count, self.listing.size)
        more = attested.attachments(whole=whole)
        judgement = Judgement((*self.judgement.verdicts, *attested.judged))
        return replace(self, judgement=judgement, attachments={**self.attachments, **more})

    def attached(self, name: str, body: bytes) -> Change:
        """The same with a document more, which the root will name; `name` as document_format.word says."""
        return replace(self, attachments={**self.attachments, name: Document.of(body)})


@dataclass(frozen=True, slots=True)
class Publication:
    """A change that readers see: `refs` as they were put, `at` when they stood there, in ISO 8601."""

    change: Change
    refs: Refs
    at: str


Stage = Callable[[Change], Change | TaskResult]


@dataclass(frozen=True, slots=True)
class MoreStages:
    """What is done with every snapshot beside what the engine does: after its files are there, and before its root.

    All go over `files_of`; `inspect` may read the files from `store`. `recall` knows what is wanted of the commit,
    before anything is brought for it, also where it is only planned. `revisit` judges a snapshot that is published
    already, which `relies_on` names, before one more name leads to it; its listing may be empty. Each is called by many
    threads. Raises what a repo fails for: MirrorError.
    """

    recall: tuple[Stage, ...] = ()
    inspect: tuple[Stage, ...] = ()
    revisit: tuple[Stage, ...] = ()
    attach: tuple[Stage, ...] = ()
