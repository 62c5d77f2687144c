"""`status`: what is mirrored, what is not and why, also when nothing local is left; and what became of one repo."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mirror_sync.cli.output.tables import Row, TextLayout
from mirror_sync.cli.watching import on_screen, with_figure
from mirror_sync.domain.catalogue.page_data import TUNASYNC, data_of
from tests.cli.program import CONFIG, PATIENCE, Program

HEADER = ["STATE", "COMMIT", "AGE", "FILES", "BYTES", "LAST", "RUN", "NEXT", "RUN", "JOB", "REPO"]


def test_status_shows_what_is_mirrored_and_why_not(program: Program) -> None:
    program("sync")
    lines = program("status").out.splitlines()
    assert lines[0].split() == HEADER
    assert [line.split()[0] for line in (lines[1], lines[2], lines[4])] == ["published", "refused", "failed"]
    said = r"complete: 1 of 3 repos, \d+ B; not: 1 failed, 1 refused\. The last run began \d+s ago: failed\."
    assert re.fullmatch(said, lines[-1])


def test_status_before_the_first_run_names_all_that_is_asked_for(program: Program) -> None:
    said = program("status").out
    assert [line.split()[0] for line in said.splitlines()[1:7:2]] == ["never"] * 3
    assert "run mirror-sync sync good" in said
    assert said.endswith("complete: 0 of 3 repos, 0 B; not: 3 never.\n")


def test_the_worst_stands_last_and_names_rise_within_a_state(program: Program) -> None:
    program.write(CONFIG.replace("[acme/one]", "[acme/one, acme/two, acme/never-there]"))
    program.add_repo("acme/two")
    program("sync")
    told = [line.split() for line in program("status").out.splitlines()]
    shown = [(words[0], words[-1]) for words in told if words[-1].endswith("@main")]
    assert shown == [
        ("published", "acme/one@main"),
        ("published", "acme/two@main"),
        ("refused", "acme/closed@main"),
        ("failed", "acme/gone@main"),
        ("failed", "acme/never-there@main"),
    ]


def test_status_as_json_says_the_same_to_a_script(program: Program) -> None:
    program("sync")
    document = json.loads(program("status", "--json").out)
    assert (document["complete"], document["mirrored"], document["asked_for"]) == (False, 1, 3)
    assert document["last_run"]["state"] == "failed"
    assert {job["name"]: job["scheduled"] for job in document["jobs"]} == {"good": False, "bad": False}
    assert [repo["state"] for repo in document["repos"]] == ["failed", "refused", "published"]


def test_a_job_that_fails_is_no_failure_of_another_in_the_same_run(program: Program) -> None:
    assert program("sync").code == 1
    wanted = {"good": "complete", "bad": "failed"}
    document = json.loads(program("status", "--json").out)
    assert {job["name"]: job["last_run"]["state"] for job in document["jobs"]} == wanted
    site = program.folder / "mirror" / "site"
    shown = json.loads((site / "status.json").read_text("utf-8"))["jobs"]
    assert {job["name"]: job["last_state"] for job in shown} == wanted
    told = {job["name"]: job for job in json.loads(data_of((site / "mirror.html").read_bytes(), TUNASYNC) or b"")}
    assert {name: job["status"] for name, job in told.items()} == {"good": "success", "bad": "failed"}
    assert (told["good"]["last_update_ts"] > 0, told["bad"]["last_update_ts"] > 0) == (True, False)


def test_json_tells_the_next_run_in_utc_whatever_zone_the_schedule_has(program: Program) -> None:
    schedule = "schedule: {cron: 0 6 * * *, timezone: Asia/Shanghai}"
    program.write(CONFIG.replace("name: good,", f"name: good, {schedule},"))
    good, *_ = json.loads(program("status", "--json").out)["jobs"]
    assert (good["name"], good["next_run"][10:]) == ("good", "T22:00:00Z")


def test_gaps_jobs_and_states_narrow_what_is_shown_and_not_what_is_counted(program: Program) -> None:
    program("sync")

    def names(*args: str) -> list[str]:
        return [repo["repo"] for repo in json.loads(program("status", "--json", *args).out)["repos"]]

    assert names("--gaps") == ["acme/gone", "acme/closed"]
    assert names("--state", "refused", "--state", "published") == ["acme/closed", "acme/one"]
    assert names("--job", "good") == ["acme/one"]
    said = program("status", "--gaps").out
    assert "acme/one" not in said
    assert re.search(r"^complete: 1 of 3 repos", said, re.MULTILINE)
    whole = program("status", "--gaps", "--job", "good").out
    assert whole.startswith("Nothing of that kind.\n")
    assert re.search(r"^complete: 1 of 1 repo", whole, re.MULTILINE)
    unknown = program("status", "--job", "goood")
    assert (unknown.code, "it has: good, bad" in unknown.err) == (2, True)


def test_a_repo_of_another_kind_or_nearly_of_the_name_is_suggested(program: Program) -> None:
    program.write(CONFIG.replace("[acme/one]", '["dataset:acme/One"]'))
    for name in ("acme/one", "dataset:acme/on", "one"):
        said = program("status", name).err
        assert "; did you mean dataset:acme/One" in said, name
    assert "did you mean" not in program("status", "other/thing").err


def test_what_is_published_is_known_when_all_that_is_local_is_lost(program: Program) -> None:
    program("sync")
    before = json.loads(program("status", "--json").out)["repos"][-1]
    shutil.rmtree(program.folder / "state")
    document = json.loads(program("status", "--json").out)
    (found,) = [repo for repo in document["repos"] if repo["repo"] == "acme/one"]
    for key in ("commit", "files", "bytes", "state"):
        assert found[key] == before[key]
    assert "read from target disk, since nothing is remembered here" in document["notes"][0]


def test_repos_of_a_pattern_are_found_on_the_target_too(program: Program) -> None:
    program("sync")
    shutil.rmtree(program.folder / "state")
    program.write(CONFIG.replace("[acme/one]", '["acme/o*"]').replace("- {name: bad", "- {name: other"))
    states = {repo["repo"]: repo["state"] for repo in json.loads(program("status", "--json").out)["repos"]}
    assert states == {"acme/one": "published", "acme/closed": "never", "acme/gone": "never"}


def test_a_target_that_cannot_be_read_is_a_note_and_no_failure(program: Program) -> None:
    program.write(CONFIG.replace("file://FOLDER/mirror", "file://FOLDER/upstream/acme/one/README.md"))
    ended = program("status")
    assert ended.code == 0
    assert "complete: 0 of 3 repos" in ended.out


def test_a_job_that_was_given_another_target_is_not_complete(program: Program) -> None:
    program("sync", "good")
    program.write(CONFIG.replace("FOLDER/mirror", "FOLDER/elsewhere"))
    (line, *_) = json.loads(program("status", "acme/one", "--json").out)["repos"]
    assert line["state"] == "elsewhere"
    assert str(program.folder / "mirror") in line["reason"]
    program("sync", "good")
    assert json.loads(program("status", "acme/one", "--json").out)["complete"] is True


def test_a_repo_has_a_history_newest_first(program: Program) -> None:
    program("sync", "good")
    program.add_repo("acme/one", weights="123456")
    program("sync", "good")
    changes = json.loads(program("status", "acme/one", "--json").out)["changes"]
    assert [(change["outcome"], change["fetched_bytes"] > 0) for change in changes] == [("published", True)] * 2
    assert changes[0]["commit"] != changes[1]["commit"]
    table = program("status", "acme/one").out.partition("\n\n")[2].splitlines()
    assert table[0].split() == ["OUTCOME", "TIME", "COMMIT", "FETCHED", "BYTES", "REUSED", "LAG", "REVISION"]
    assert [line.split()[3] for line in table[1:]] == [change["commit"][:8] for change in changes]


def test_a_pattern_shows_the_lines_of_its_repos(program: Program) -> None:
    program("sync")
    assert "complete: 1 of 3 repos" in program("status", "acme/*").out
    assert "acme/closed" not in program("status", "acme/o*").out


def test_a_repo_that_nobody_names_is_bad_usage(program: Program) -> None:
    for name, said in (
        ("acme/none", "no job of jobs.yaml names acme/none"),
        ("acme/n*", "no job of jobs.yaml names a repo that matches acme/n*\n"),
        ("a b", "no repo id"),
    ):
        ended = program("status", name)
        assert (ended.code, said in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["--watch"], ["--watch", "2"]),
        (["--watch", "5"], ["--watch", "5"]),
        (["--watch", "acme/one"], ["--watch", "2", "acme/one"]),
        (["--watch", "--json"], ["--watch", "2", "--json"]),
        ([], []),
    ],
)
def test_watch_may_stand_without_a_figure(args: list[str], meant: list[str]) -> None:
    assert with_figure(args) == meant


def test_watch_repeats_until_it_is_stopped(program: Program) -> None:
    with program.started("status", "--watch", "0.2") as child:
        assert child.stdout is not None
        seen = 0
        while seen < 3:
            seen += child.stdout.readline().startswith("complete: ")
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE) == 0


def test_watch_on_a_terminal_draws_in_place(program: Program) -> None:
    ours, theirs = pty.openpty()
    with program.started("status", "--watch", "0.2", streams=theirs) as child:
        os.close(theirs)
        seen = b""
        until = time.monotonic() + PATIENCE
        while seen.count(b"complete: ") < 3 and time.monotonic() < until:
            seen += os.read(ours, 4096)
        child.send_signal(signal.SIGTERM)
        with suppress(OSError):  # EIO: nobody writes any more
            while os.read(ours, 4096):
                pass
        assert child.wait(PATIENCE) == 0
    os.close(ours)
    assert seen.count(b"\x1b[H") >= 3


def test_a_page_is_never_higher_than_the_screen_and_keeps_its_last_line() -> None:
    drawn = on_screen("\n".join(map(str, range(100))), height=10, width=80)
    lines = re.sub(r"\x1b\[[HJK]", "", drawn).splitlines()
    assert lines == [*map(str, range(7)), "... 92 more lines", "99"]
    assert re.sub(r"\x1b\[[HJK]", "", on_screen("one\ntwo", height=10, width=80)) == "one\ntwo\n"


def test_one_long_name_takes_no_column_from_the_other_rows() -> None:
    rows = [Row(("published", "2h", "org/name")), Row(("published", "3h", "org/" + "n" * 80))]
    table = TextLayout(80).table(("STATE", "AGE", "REPO"), rows, dispensable=("AGE",))
    assert table.splitlines()[1].split() == ["published", "2h", "org/name"]


def test_columns_that_matter_less_are_left_out_where_the_page_is_narrow() -> None:
    rows = [Row(("failed", "12,000", "3d", "acme/one"))]
    header = ("STATE", "FILES", "AGE", "REPO")
    dispensable = ("FILES", "AGE")
    widths = {None: header, 80: header, 25: ("STATE", "AGE", "REPO"), 10: ("STATE", "REPO")}
    for width, kept in widths.items():
        table = TextLayout(width).table(header, rows, dispensable=dispensable)
        assert tuple(table.splitlines()[0].split()) == kept


def test_status_needs_no_folder_to_be_there_first(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write()
    assert program("status").code == 0


def test_what_two_jobs_name_on_one_target_is_one_repo_of_the_sum(program: Program) -> None:
    program.write(CONFIG.replace("[acme/closed, acme/gone]", "[acme/one]"))
    program("sync")
    assert re.search(r"^complete: 1 of 1 repo, ", program("status").out, re.MULTILINE)


def test_a_line_wider_than_the_screen_counts_as_the_rows_that_it_takes() -> None:
    wide = ["\x1b[32mpublished\x1b[0m " + "n" * 60, "short", "模" * 41, "last but one", "the sum"]
    drawn = re.sub(r"\x1b\[[0-9]*[HJKm]", "", on_screen("\n".join(wide), height=7, width=40)).splitlines()
    assert [line[:5] for line in drawn] == ["publi", "short", "... 2", "the s"]


def test_a_hanging_line_is_wrapped_at_words_below_its_margin_and_in_a_pipe_not_at_all() -> None:
    line = "18:44  failed  org/name: " + "word " * 20 + "end"
    lines = TextLayout(60).hanging(line, 15).splitlines()
    assert lines[0].startswith("18:44  failed  org/name: word")
    assert all(one.startswith(" " * 15 + "word") and len(one) <= 60 for one in lines[1:])
    assert TextLayout().hanging(line, 15) == line
