"""Whether refs.json has to say that an upstream has closed a repo, or opened it again, without a new commit.

The attachment `closed` says it. Fronts learn from the info of the newest snapshot whether a repo is for everybody;
between two commits an upstream may close it, and that must not wait for the next. Any word of an upstream closes, also
that of another endpoint than the first, and in a list; only the first one's opens, when the repo itself is asked for.
One that says nothing of it does neither.
"""

from __future__ import annotations

from dataclasses import replace

from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.refs import CLOSED, Refs
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.work import Edit, Task, TaskResult
from mirror_sync.engine.sync.published_view import PublishedView

_SAID = {
    True: "closed: the upstream gives it to some people only now, and so do the fronts",
    False: "open again: the upstream gives it to everybody",
}


def may_need_closed_mark(refs: Refs, resolved: Resolved) -> bool:
    """Whether `with_closed_mark` may find anything to say; not of most repos, which are open, and were."""
    return CLOSED in refs.attachments or resolved.terms.gated is True or resolved.terms.private is True


def with_closed_mark(view: PublishedView, task: Task, refs: Refs, resolved: Resolved, result: TaskResult) -> TaskResult:
    """The same with the edit by which refs.json, as it was read, says what the upstream says now, where it does not.

    Reads documents of the target only of a repo that is closed upstream, and once for each of its states. StoreError.
    """
    after = refs if result.edit is None else result.edit.after
    terms, noted = resolved.terms, CLOSED in after.attachments
    closes = terms.gated is True or terms.private is True
    opens = terms.gated is False and terms.private is False and resolved.fallback is None
    result = result if result.closed is closes else replace(result, closed=closes)
    if noted == closes or not (closes or opens) or (closes and not after.snapshots):
        return result
    if closes and view.is_closed(task.repo, after):
        return result
    documents = () if result.edit is None else result.edit.documents
    if closes:
        marked, documents = after.with_attachments({CLOSED: CLOSED_MARK.digest}), (*documents, CLOSED_MARK)
    else:
        marked = after.without_attachment(CLOSED)
    edit = Edit(refs, marked, documents)
    return replace(result, edit=edit, reason="; ".join(filter(None, (result.reason, _SAID[closes]))))
