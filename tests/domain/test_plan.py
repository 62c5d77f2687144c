from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import RemoteFile, expect_bytes
from mirror_sync.domain.content.plan import carry_out, plan, unknown
from mirror_sync.errors import PointerOnly
from tests.domain.files import desired_of, manifest_of, mirrored, remote, trees

Tree = dict[str, tuple[bytes, bool]]


def _fetched(actions: Any, wanted: Tree) -> dict[Any, Any]:
    """What carrying out the fetches of a plan proves."""
    truth = manifest_of(wanted)
    return {file.content: truth[file.path].sha256 for file in actions.fetch}


@given(trees, trees)
def test_carrying_out_a_plan_gives_what_was_desired(a: Tree, b: Tree) -> None:
    current, desired = manifest_of(a), desired_of(b)
    actions = plan(current, desired, {})
    assert carry_out(actions, current, _fetched(actions, b)) == manifest_of(b)


@given(trees, trees, st.data())
def test_what_the_target_holds_is_never_fetched(a: Tree, b: Tree, data: st.DataObject) -> None:
    current, desired = manifest_of(a), desired_of(b)
    candidates = unknown(current, desired)
    present = {
        file.content: manifest_of(b)[file.path].sha256 for file in candidates if data.draw(st.booleans(), file.path)
    }
    actions = plan(current, desired, present)
    assert not {file.content for file in actions.fetch} & (present.keys() | {f.content for f in current.values()})
    assert carry_out(actions, current, present | _fetched(actions, b)) == manifest_of(b)


@given(trees)
def test_nothing_is_done_when_nothing_changed(a: Tree) -> None:
    actions = plan(manifest_of(a), desired_of(a), {})
    assert (actions.fetch, actions.delete) == ((), ())


@given(trees, trees)
def test_every_path_is_accounted_for_once(a: Tree, b: Tree) -> None:
    actions = plan(manifest_of(a), desired_of(b), {})
    assert sorted(file.path for file in (*actions.fetch, *actions.reuse)) == sorted(b)
    assert {file.path for file in actions.delete} == a.keys() - b.keys()


def test_a_rename_fetches_nothing() -> None:
    actions = plan(manifest_of({"old": (b"x", False)}), desired_of({"new": (b"x", False)}), {})
    assert actions.fetch == ()
    assert [file.path for file in actions.delete] == ["old"]


def test_equal_contents_of_one_commit_are_fetched_once() -> None:
    actions = plan({}, [remote("a", b"same"), remote("b", b"same")], {})
    assert len(actions.fetch) == 1


def test_of_equal_contents_the_one_whose_bytes_are_there_is_fetched() -> None:
    whole = mirrored("b", b"same", lfs=True)
    there = RemoteFile("b", whole.size, whole.oid, whole.sha256, whole.pointer_size)
    lacking = replace(there, path="a", pointer_only=True)
    for desired in ([lacking, there], [there, lacking]):
        actions = plan({}, desired, {})
        assert (actions.fetch, actions.reuse) == ((there,), (lacking,))
        expect_bytes(actions.fetch)


def test_files_of_which_only_pointers_are_there_are_refused_by_name() -> None:
    lacking = [replace(remote(f"{number}\n", b"x", lfs=True), pointer_only=True) for number in range(5)]
    with pytest.raises(PointerOnly, match=r"^0\\n, 1\\n, 2\\n and 2 more are LFS pointers, and what they stand for is"):
        expect_bytes([remote("a", b"x"), *lacking])


def test_a_manifest_with_an_unproved_file_cannot_be_made() -> None:
    actions = plan({}, [remote("a", b"x")], {})
    with pytest.raises(KeyError):
        carry_out(actions, {}, {})


def test_a_held_digest_that_is_promised_with_another_size_is_not_taken_for_the_same() -> None:
    held = mirrored("a", b"hello", lfs=True)
    lie = RemoteFile("a", 7, held.oid, held.sha256, held.pointer_size)
    actions = plan({"a": held}, [lie], {held.content: held.sha256})
    assert actions.fetch == (lie,)


@given(trees, trees)
def test_beside_a_manifest_that_stays_nothing_is_removed(a: Tree, b: Tree) -> None:
    actions = plan(manifest_of(a), desired_of(b), {}).beside()
    assert actions.delete == ()
    assert (actions.fetch, actions.reuse) == (
        plan(manifest_of(a), desired_of(b), {}).fetch,
        plan(manifest_of(a), desired_of(b), {}).reuse,
    )
