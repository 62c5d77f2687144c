"""A commit that changes one file of very many writes what has changed: counted in objects."""

from __future__ import annotations

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.repo import Repo
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

FILES = 8_000
MOST = 12  # objects


def test_one_changed_file_of_many_writes_a_few_objects(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/many", license="mit")
    repo.commit({f"part{number // 1000:02}/{number:05}.bin": b"%d" % (number % 7) for number in range(FILES)})
    assert workshop.sync_one(job("acme/many")).files == FILES
    before = workshop.root("acme/many")
    assert len(before.shards) > MOST, "else every shard could be written anew"
    repo.commit({"part07/07777.bin": b"changed"})
    report = workshop.sync_one(job("acme/many"))
    assert (report.fetched_files, report.files) == (1, FILES)
    written = workshop.store.written
    assert len(written) <= MOST
    after = workshop.root("acme/many")
    changed = [new for new in after.shards if new not in before.shards]
    # the file, its shard, what tells of the commit, the root; and last of all what publishes them
    assert len(written) == 1 + len(changed) + 2 + 1 + 1
    assert written[-2:] == [
        blob_key(workshop.refs("acme/many").snapshots[after.commit]),
        refs_key(Repo.parse("acme/many")),
    ]
