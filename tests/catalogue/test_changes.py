"""The Atom feed and the document of changes: read by a parser of feeds, bounded, stable, silent of what is hidden."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import feedparser

from mirror_sync.catalogue.changes_feed import MOST_CHANGES, MOST_ENTRIES, Latest, ShownChange, atom, changes
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.repo import Kind
from tests.catalogue.shelves import Machine, Memory, filled
from tests.front.bucket import model

SECRET = "hushhush"


def read(body: bytes) -> Any:
    found = feedparser.parse(body)
    assert (found.bozo, found.version) == (False, "atom10"), found.get("bozo_exception")
    return found


def days(store: Memory, volume: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(store.document("changes.json", volume))["days"]
    return found


def test_each_published_snapshot_is_an_entry_whose_id_stays(store: Memory) -> None:
    repos = filled(store, 3)
    machine = Machine(store)
    machine.publish()
    first = read(store.document("feed.atom"))
    assert {one.title for one in first.entries} == {f"acme/m{number} main" for number in range(3)}
    assert len({one.id for one in first.entries}) == 3
    assert first.feed.id.startswith("urn:uuid:")
    assert {one.link for one in first.entries} == {f"models/acme--m{number}.html" for number in range(3)}
    assert all(one.updated_parsed and one.published_parsed for one in first.entries)
    assert b'<link rel="alternate" href="feed.atom" type="application/atom+xml"' in store.site["index.html"]
    assert b'href="../feed.atom"' in store.site["models/acme--m0.html"]
    commit = repos[1].publish({"README.md": b"<new> & improved \x1b"})
    machine.publish()
    later = read(store.document("feed.atom"))
    assert later.feed.id == first.feed.id
    assert {one.id for one in first.entries} < {one.id for one in later.entries}
    assert commit in "".join(one.summary for one in later.entries)
    (day,) = days(store)
    assert {one["repo"] for one in day["published"]} == {"acme/m0", "acme/m1", "acme/m2"}
    assert len(day["published"]) == 4


def test_links_are_whole_where_the_mirror_has_an_address() -> None:
    one = ShownChange(
        "2026-11-20T08:00:00Z", "published", Kind.DATASET, "acme/rows", "c" * 40, names=("v1",), root="d" * 64
    )
    url = "https://models.example.org/hub"
    found = read(atom([one], name="Acme & Söhne", url=url, mirror="abc"))
    assert [link.href for link in found.feed.links] == [f"{url}/-/index.html", f"{url}/-/feed.atom"]
    assert found.entries[0].link == f"{url}/-/datasets/acme--rows.html"
    assert (found.feed.author, found.feed.updated) == ("Acme & Söhne", one.at)
    odd = read(atom([], name="\ud800\x00<b>", url="", mirror=""))
    assert (odd.entries, odd.feed.title) == ([], "\ufffd\ufffd<b>: new snapshots")


def test_both_are_bounded_and_the_newest_stay_in_whatever_order_they_come() -> None:
    hours = (datetime.fromtimestamp(number * 3600, UTC) for number in range(2 * MOST_CHANGES))
    every = [
        ShownChange(f"{at:%Y-%m-%dT%H:%M:%SZ}", "published", Kind.MODEL, f"a/m{at.timestamp():.0f}") for at in hours
    ]
    latest, backwards = Latest(), Latest()
    latest.add(every)
    backwards.add(reversed(every))
    assert latest.snapshots == backwards.snapshots == every[::-1][:MOST_ENTRIES]
    assert latest.every == backwards.every == every[::-1][:MOST_CHANGES]
    told = json.loads(changes(latest.every))["days"]
    assert [day["day"] for day in told] == sorted({one.at[:10] for one in latest.every}, reverse=True)
    assert sum(len(day["published"]) for day in told) == MOST_CHANGES


def test_what_is_hidden_stands_in_neither_for_everybody_also_when_it_is_taken_down(store: Memory) -> None:
    repos = filled(store, 2)
    hidden = model(store, f"acme/{SECRET}")
    hidden.publish({"README.md": b"-"}, described={"private": False, "gated": "auto"})
    machine = Machine(store)
    machine.publish()
    assert f"acme/{SECRET} main" in {one.title for one in read(store.document("feed.atom", "all/")).entries}
    for name in ("feed.atom", "changes.json"):
        assert SECRET.encode() not in store.document(name)
        assert SECRET.encode() in store.document(name, "all/")
    hidden.bury(Tombstone("2026-11-21T08:00:00Z", "a court order", closed=True))
    repos[0].bury(Tombstone("2026-11-21T09:00:00+01:00", "a court order"))
    closed = model(store, f"acme/{SECRET}-2")
    closed.publish({"README.md": b"-"}, described={"private": False, "gated": "auto"})
    machine.publish()
    told = {volume: [one for day in days(store, volume) for one in day["withdrawn"]] for volume in ("", "all/")}
    assert told[""] == [{"at": "2026-11-21T08:00:00Z", "kind": "model", "repo": "acme/m0"}]
    assert [one["repo"] for one in told["all/"]] == ["acme/m0", f"acme/{SECRET}"]
    for name in ("feed.atom", "changes.json"):
        assert SECRET.encode() not in store.document(name)
        assert b"court" not in store.document(name, "all/")
    assert "acme/m0 main" not in {one.title for one in read(store.document("feed.atom")).entries}
    assert hidden.refs.tombstone is not None
    store.delete([blob_key(hidden.refs.tombstone)])
    machine.publish(anew=True)
    assert SECRET.encode() not in store.document("changes.json"), "what cannot be read is told to nobody"
