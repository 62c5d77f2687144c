"""What refs.json remembers of a commit that is held: an attachment `held.<commit>`, for whoever audits the target.

    {"repo": "acme/x", "commit": "<40 hex>", "since": "2026-01-01T06:00:00Z",
     "verdicts": [{"rule": "restricted", "outcome": "held", "reason": "..."}]}

`since` is when it was held first, in UTC. The newest MOST_HELD are kept; that of a commit which is published goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import exactly, in_brief
from mirror_sync.domain.content.refs import HELD, MOST_ATTACHMENTS, Refs, held_name
from mirror_sync.domain.content.snapshot import Document, read_verdicts, verdict_document
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.errors import DocumentError

MOST_HELD = 8
CLOSED_MARK = Document.of_json({"private": True, "gated": True})
"""What refs.json names as CLOSED: as the info of a closed repo has it. Which of both it is nobody need know."""
_KEYS = ("repo", "commit", "since", "verdicts")


@dataclass(frozen=True, slots=True)
class HeldNote:
    """`repo` as jobs.yaml writes it, `since` in ISO 8601; the verdicts of all rules that were asked."""

    repo: str
    commit: CommitId
    since: str
    verdicts: tuple[Verdict, ...]

    def encode(self) -> Document:
        """DocumentError for what no JSON can hold."""
        verdicts = [verdict_document(one) for one in self.verdicts]
        return Document.of_json({"repo": self.repo, "commit": self.commit, "since": self.since, "verdicts": verdicts})

    @classmethod
    def decode(cls, body: bytes) -> HeldNote:
        """DocumentError when the bytes are no such note."""
        try:
            known = exactly(json.loads(body.decode()), _KEYS)
            verdicts = read_verdicts(known["verdicts"])
            return cls(text(known["repo"]), CommitId(known["commit"]), text(known["since"]), verdicts)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DocumentError(f"not a note of what is held: {in_brief(error)}") from error


def held_commits(refs: Refs) -> tuple[CommitId, ...]:
    """The commits that refs.json has a note of; what is named otherwise is none of ours."""
    names = (name.removeprefix(HELD) for name in refs.attachments if name.startswith(HELD))
    return tuple(CommitId(name) for name in names if CommitId.matches(name))


def with_note(refs: Refs, note: HeldNote, digest: Sha256, since: Mapping[CommitId, str]) -> Refs:
    """The same with a note more; of too many the oldest go. `since` tells of the other notes, "" what is not known."""
    others = [commit for commit in held_commits(refs) if commit != note.commit]
    room = min(MOST_HELD, MOST_ATTACHMENTS - (len(refs.attachments) - len(held_commits(refs)))) - 1
    newest = sorted(others, key=lambda commit: (since.get(commit, ""), commit), reverse=True)
    gone = {held_name(commit) for commit in newest[max(room, 0) :]}
    kept = {name: blob for name, blob in refs.attachments.items() if name not in gone}
    return refs.attaching({**kept, held_name(note.commit): digest})
