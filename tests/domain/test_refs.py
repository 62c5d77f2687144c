import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.ref_log import KEPT, KEPT_BYTES
from mirror_sync.domain.content.refs import CLOSED, Ref, Refs, name_fault, refs_named
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.errors import DocumentError

ONE, TWO = CommitId("1" * 40), CommitId("2" * 40)
ROOT_ONE, ROOT_TWO = Sha256("a" * 64), Sha256("b" * 64)


def _main(commit: CommitId) -> Ref:
    return Ref("branches", "main", "refs/heads/main", commit)


def test_moving_a_branch_keeps_the_commit_it_leaves() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).with_snapshot(TWO, ROOT_TWO, _main(TWO))
    assert refs.root_of("main") == ROOT_TWO
    assert refs.root_of(ONE) == ROOT_ONE
    assert len(refs.refs) == 1


def test_a_branch_a_full_ref_name_and_a_commit_id_lead_to_the_same_snapshot() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE))
    assert {refs.commit_of(name) for name in ("main", "refs/heads/main", ONE)} == {ONE}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "main",
            "v1.0",
            "feature/x-1",
            "refs/convert/parquet",
            "refs/pr/7",
            "a.b",
            "a@b",
            "@a",
            "{",
            "a'b",
            'a"b',
            "$(x)",
        ),
        *(
            "a;b",
            "a|b&c",
            "模型",
            "é",
            "lock",
            "x.lockx",
            "a" * 255,
            "1" * 40,
            "HEAD",
            "a-",
            "a/-b",
            "#1",
            "a,b",
            "%2e",
        ),
    ],
)
def test_a_name_that_git_knows_and_a_person_can_read_may_be_published(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "@",
            "-x",
            "--upload-pack=x",
            ".x",
            "a/.x",
            "x.lock",
            "a.lock/b",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "a.",
            "a@{1}",
        ),
        *("a b", "a~1", "a^", "a:b", "a?", "a*", "a[b]", "a\\b", "a\nb", "a\x7fb", "a\tb", "a\0b"),
    ],
)
def test_what_git_check_ref_format_refuses_is_no_name(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("name", ["a\x9b31m", "a\u202eb", "a\u200bb", "a\ud800", "a\u00a0b", "a" * 256, "é" * 128])
def test_what_nobody_sees_and_what_is_too_long_for_a_file_is_no_name(name: str) -> None:
    assert name_fault(name)


def test_a_full_name_is_meant_before_a_branch_and_a_branch_before_a_tag() -> None:
    tag = Ref("tags", "refs/pr/7", "refs/tags/refs/pr/7", ONE)
    branch = Ref("branches", "refs/pr/7", "refs/heads/refs/pr/7", ONE)
    request = Ref("pullRequests", "7", "refs/pr/7", ONE)
    assert refs_named([tag, branch, request], "refs/pr/7") == [request, branch, tag]
    assert refs_named([request], "7") == []


def test_a_commits_names_are_those_that_lead_to_it() -> None:
    full = ("refs/heads/main", "refs/tags/v1", "refs/convert/parquet", "refs/pr/7")
    refs = Refs(tuple(ref for name in full if (ref := Ref.of_full_name(name, ONE))), {ONE: ROOT_ONE})
    assert refs.names_of(ONE) == ("main", "v1", "refs/convert/parquet", "refs/pr/7", ONE)
    assert {refs.commit_of(name) for name in (*refs.names_of(ONE), *full, "HEAD")} == {ONE}
    assert {refs.commit_of(name) for name in ("parquet", "7", "convert/parquet", "pr/7")} == {None}


def test_what_is_not_mirrored_has_no_commit() -> None:
    refs = Refs((_main(ONE),), {})
    assert refs.commit_of("main") is None
    assert refs.commit_of(ONE) is None
    assert refs.commit_of("dev") is None


def test_a_commit_alone_is_published_without_a_name() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, None)
    assert refs.refs == ()
    assert refs.names_of(ONE) == (ONE,)


def test_refs_are_the_hubs_answer_and_the_snapshots() -> None:
    tag = Ref("tags", "v1", "refs/tags/v1", ONE)
    document = json.loads(Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).with_snapshot(ONE, ROOT_ONE, tag).encode())
    assert document.pop("gone").keys() == {"since"}
    assert document == {
        "format": 2,
        "channels": {},
        "attachments": {},
        "log": [],
        "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": ONE}],
        "tags": [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": ONE}],
        "converts": [],
        "pullRequests": [],
        "snapshots": {ONE: ROOT_ONE},
    }


_commits = st.integers(0, 16**40 - 1).map(lambda number: CommitId(f"{number:040x}"))
_refs = st.builds(
    Ref, st.sampled_from(["branches", "tags", "converts", "pullRequests"]), st.text(), st.text(), _commits
)


_words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(
    st.sets(_refs),
    st.dictionaries(_commits, st.just(ROOT_ONE)),
    st.dictionaries(_words, _commits),
    st.dictionaries(_words, st.just(ROOT_TWO), max_size=64),
)
def test_refs_survive_being_written_and_read(
    refs: set[Ref], snapshots: dict[CommitId, Sha256], channels: dict[str, CommitId], attachments: dict[str, Sha256]
) -> None:
    written = Refs(tuple(sorted(refs)), snapshots, channels=channels, attachments=attachments)
    read = Refs.decode(written.encode())
    assert sorted(read.refs) == sorted(written.refs)
    assert (read.snapshots, read.channels) == (written.snapshots, written.channels)
    assert read.attachments == attachments


def test_a_repo_that_is_gone_says_so_until_something_is_published_anew() -> None:
    gone = Gone("disabled", datetime(2026, 5, 1, tzinfo=UTC))
    refs = Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).noting(gone)
    assert json.loads(refs.encode())["absent"] == {"code": "disabled", "since": "2026-05-01T00:00:00Z"}
    assert Refs.decode(refs.encode()) == refs
    assert refs.with_snapshot(TWO, ROOT_TWO, None).gone is None


def test_withdrawing_leaves_neither_a_name_nor_a_snapshot() -> None:
    gone = Gone("disabled", datetime(2026, 5, 1, tzinfo=UTC))
    assert Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).withdrawn(gone) == Refs(gone=gone)


def test_a_commit_goes_with_the_names_that_stand_for_it() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, None).with_snapshot(TWO, ROOT_TWO, _main(TWO))
    assert refs.without([ONE]) == Refs((_main(TWO),), {TWO: ROOT_TWO})
    assert refs.without([TWO]) == Refs((), {ONE: ROOT_ONE})


@given(
    st.binary() | st.dictionaries(st.text(), st.none() | st.integers()).map(lambda value: json.dumps(value).encode())
)
def test_other_bytes_are_a_document_error_and_nothing_else(body: bytes) -> None:
    with pytest.raises(DocumentError):
        Refs.decode(body)


def test_a_name_with_half_a_character_is_a_document_error() -> None:
    refs = Refs((Ref("tags", "v\ud83d", "refs/tags/v\ud83d", CommitId("a" * 40)),))
    with pytest.raises(DocumentError, match="cannot be written"):
        refs.encode()


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_no_year_has_makes_no_refs(since: str) -> None:
    document = {**json.loads(Refs().encode()), "absent": {"code": "gone", "since": since}}
    with pytest.raises(DocumentError):
        Refs.decode(json.dumps(document).encode())


@pytest.mark.parametrize("wrong", [{"name": 5}, {"ref": [1]}, {"name": None}])
def test_a_name_that_is_no_text_makes_no_refs(wrong: dict[str, object]) -> None:
    document = json.loads(Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).encode())
    document["branches"][0] |= wrong
    with pytest.raises(DocumentError):
        Refs.decode(json.dumps(document).encode())


AT, BY = "2026-01-01T06:00:00Z", "sync models"


def _told(refs: Refs) -> list[tuple[str | None, str | None, str | None]]:
    return [(one.ref, one.before and one.before[:1], one.after and one.after[:1]) for one in refs.log]


def test_the_log_says_what_each_name_left_and_leads_to_now_and_which_commits_came_or_went_without_one() -> None:
    empty = Refs()
    first = empty.with_snapshot(ONE, ROOT_ONE, _main(ONE)).logged(empty, AT, BY)
    assert _told(first) == [("refs/heads/main", None, "1")]
    second = first.with_snapshot(TWO, ROOT_TWO, _main(TWO)).logged(first, AT, BY)
    assert _told(second)[1:] == [("refs/heads/main", "1", "2")]
    pinned = second.with_snapshot(CommitId("3" * 40), ROOT_ONE, None).logged(second, AT, BY)
    assert _told(pinned)[2:] == [(None, None, "3")]
    pruned = pinned.without([ONE]).logged(pinned, AT, "prune")
    assert _told(pruned)[3:] == [(None, "1", None)]
    assert (pruned.log[-1].by, pruned.log[0].by, pruned.log[0].at) == ("prune", BY, AT)
    withdrawn = pruned.withdrawn(None).logged(pruned, AT, BY)
    assert withdrawn.log == (), "whose names they were may be nobody's business by now"
    assert Refs.decode(withdrawn.encode()) == withdrawn


def test_a_snapshot_that_is_made_anew_is_in_the_log_and_one_that_is_put_again_is_not() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE))
    assert _told(refs.with_snapshot(ONE, ROOT_TWO, _main(ONE)).logged(refs, AT, BY)) == [(None, "1", "1")]
    assert refs.with_snapshot(ONE, ROOT_ONE, _main(ONE)).logged(refs, AT, BY).log == ()


def test_the_log_keeps_the_newest_entries_in_few_bytes_whatever_names_and_whoever_changed_them() -> None:
    refs = Refs()
    for number in range(40):
        commit = CommitId(f"{number:040x}")
        moved = refs.with_snapshot(commit, ROOT_ONE, _main(commit))
        refs = moved.logged(refs, AT, f"sync {number}")
    assert [entry.by for entry in refs.log] == [f"sync {number}" for number in range(40 - KEPT, 40)]
    for number in range(40):
        ref = Ref("tags", f"{number}" + "x" * 9000, f"refs/tags/{number}" + "x" * 9000, ONE)
        refs = refs.with_snapshot(ONE, ROOT_ONE, ref).logged(refs, AT, "sync " + "y" * 9000)
    assert len(json.dumps(json.loads(refs.encode())["log"])) < KEPT_BYTES * 5 // 4
    assert refs.log[-1].after == ONE
    assert len(Refs.decode(refs.encode()).log) == len(refs.log)


def test_what_a_channel_names_is_named_and_goes_with_its_commit() -> None:
    refs = Refs((), {ONE: ROOT_ONE, TWO: ROOT_TWO}, channels={"stable": ONE})
    assert refs.named == {ONE}
    assert refs.without([ONE]).channels == {}
    assert _told(refs.without([ONE]).logged(refs, AT, BY)) == [("channels/stable", "1", None)]
    assert refs.with_snapshot(TWO, ROOT_ONE, _main(TWO)).channels == {"stable": ONE}
    assert refs.withdrawn(None).channels == {}


def test_what_was_closed_since_stays_so_until_main_leads_to_a_snapshot_that_is_made_anew() -> None:
    refs = Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).with_snapshot(TWO, ROOT_TWO, None)
    closed = refs.with_attachments({CLOSED: ROOT_ONE})
    assert closed.with_snapshot(TWO, ROOT_TWO, _main(TWO)).attachments == {CLOSED: ROOT_ONE}, "an old word on it"
    assert closed.with_snapshot(CommitId("3" * 40), ROOT_TWO, None).attachments == {CLOSED: ROOT_ONE}
    assert closed.with_snapshot(CommitId("3" * 40), ROOT_TWO, _main(CommitId("3" * 40))).attachments == {}
    assert closed.with_snapshot(TWO, ROOT_ONE, _main(TWO)).attachments == {}
    assert closed.moving_main(TWO).attachments == {CLOSED: ROOT_ONE}


_ENTRY = {"at": AT, "ref": "refs/heads/main", "from": None, "to": ONE, "by": BY}


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 3},
        {"format": "2"},
        {"format": True},
        {"format": None},
        {"channels": [1]},
        {"channels": {"no name": ONE}},
        {"channels": {"a": "1" * 39}},
        {"channels": {f"a{number}": ONE for number in range(257)}},
        {"attachments": [1]},
        {"attachments": {"no name": ROOT_ONE}},
        {"attachments": {"a": "1" * 63}},
        {"attachments": {f"a{number}": ROOT_ONE for number in range(65)}},
        {"log": {}},
        {"log": "x"},
        {"log": [1]},
        {"log": [_ENTRY] * 257},
        *({"log": [{name: value for name, value in _ENTRY.items() if name != left}]} for left in _ENTRY),
        {"log": [{**_ENTRY, "more": 1}]},
        {"log": [{**_ENTRY, "at": "2026-01-01T06:00:00"}]},
        {"log": [{**_ENTRY, "at": 5}]},
        {"log": [{**_ENTRY, "to": "x"}]},
        {"log": [{**_ENTRY, "ref": "x" * 301}]},
        {"log": [{**_ENTRY, "by": "x" * 101}]},
        {"log": [{**_ENTRY, "by": None}]},
        {"snapshots": [1]},
        {"stranger": 1},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_what_the_format_does_not_have_makes_no_refs_and_one_clear_line(wrong: dict[str, object]) -> None:
    document = json.loads(Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).encode())
    with pytest.raises(DocumentError) as caught:
        Refs.decode(json.dumps({**document, **wrong}).encode())
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_a_log_of_a_program_that_keeps_more_is_read() -> None:
    document = json.loads(Refs().with_snapshot(ONE, ROOT_ONE, _main(ONE)).encode())
    read = Refs.decode(json.dumps({**document, "log": [_ENTRY] * 200}).encode())
    assert len(read.log) == 200
    assert len(read.with_snapshot(TWO, ROOT_TWO, None).logged(read, AT, BY).log) == KEPT


def test_more_channels_than_a_reader_takes_are_not_written() -> None:
    with pytest.raises(DocumentError, match=r"cannot be written as a refs\.json: .*257 members, 256 are the most"):
        Refs(channels={f"a{number}": ONE for number in range(257)}).encode()
    with pytest.raises(DocumentError, match=r"cannot be written as a refs\.json: .*not a name"):
        Refs(channels={"no name": ONE}).encode()
