"""What each command says, on which stream, with which exit code."""

from __future__ import annotations

import json
import re

from tests.cli.program import CONFIG, Program


def test_check_counts_what_it_found(program: Program) -> None:
    ended = program("check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "jobs.yaml: ok, 2 jobs (0 with a schedule), 3 repos or patterns, 1 target\n"


def test_check_names_every_fault_on_a_line_of_its_own(program: Program) -> None:
    program.write(CONFIG.replace("version: 1", "version: 1\nspeed: fast").replace("[mit]", "mit"))
    ended = program("check")
    assert (ended.code, ended.out) == (2, "")
    assert [re.sub(r": .*", "", line) for line in ended.err.splitlines()] == ["jobs.yaml:2:1", "jobs.yaml:9:19"]


def test_check_tells_a_misspelt_licence_beside_the_faults(program: Program) -> None:
    program.write("upstreams: {hub: {kind: huggingface}}\nlicenses: {allow: [MITT]}\nzzz: 1\n")
    ended = program("check")
    assert ended.code == 2
    (last,) = (line for line in ended.err.splitlines() if line.startswith("warning: "))
    assert last.endswith("licenses.allow[0]: 'MITT' is no licence id that the Hub is known to use; did you mean mit?")


def test_a_missing_configuration_is_exit_code_2(program: Program) -> None:
    ended = program("-c", "none.yaml", "sync")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "none.yaml: there is no such file; name it with -c FILE, or in $MIRROR_SYNC_CONFIG\n"


def test_check_writes_a_json_schema(program: Program) -> None:
    schema = json.loads(program("check", "--schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_sync_reports_what_failed_first_with_its_reason_and_ends_with_totals(program: Program) -> None:
    ended = program("sync")
    assert ended.code == 1
    table, totals = ended.out.rsplit("\n", 2)[:2]
    assert table.replace(str(program.folder), "FOLDER") == (
        "OUTCOME    FILES  FETCHED  BYTES  REUSED  REPO\n"
        "failed         0        0    0 B       0  acme/gone@main (bad)\n"
        "    not found: FOLDER/upstream/acme/gone is no folder of a model\n"
        "refused        0        0    0 B       0  acme/closed@main (bad)\n"
        "    licence cc-by-nc-4.0 is not in licenses.allow\n"
        "published      2        2   26 B       0  acme/one@main (good)"
    )
    assert re.fullmatch(r"3 repos: 1 failed, 1 refused, 1 published\. Fetched 2 files \(26 B\) in \d+s\.", totals), (
        totals
    )


def test_a_refusal_by_policy_is_no_failure(program: Program) -> None:
    program.write(CONFIG.replace(", acme/gone", ""))
    assert program("sync").code == 0


def test_a_second_sync_counts_what_did_not_change(program: Program) -> None:
    program("sync", "good")
    ended = program("sync", "good")
    assert ended.code == 0
    assert re.fullmatch(r"1 repo: 1 unchanged\. Fetched nothing in \d+s\.\n", ended.out)


def test_plan_says_what_a_sync_would_do_and_writes_nothing(program: Program) -> None:
    ended = program("plan", "good")
    assert ended.code == 0
    said, _, room = ended.out.partition("Target disk: ")
    assert said == (
        "WOULD    FETCH  BYTES  REUSE  REMOVE  REPO\n"
        "publish      2   26 B      0       0  acme/one@main (good)\n"
        "1 repo: 1 to publish. A sync would fetch 2 files (26 B).\n"
        "It would cost upstream local about 3 API calls and 2 file requests.\n"
    )
    then = "then the newest version of each repo takes 26 B; to keep 3 versions of each, have 93 B"
    then += " (size x versions x 1.2)."
    assert re.fullmatch(rf"26 B to come, [0-9.]+ .B free, about [0-9.]+ .B afterwards; {re.escape(then)}\n", room)
    assert not (program.folder / "mirror" / "hub").exists()


def test_verify_finds_a_byte_that_changed(program: Program) -> None:
    program("sync", "good")
    whole = program("verify")
    assert whole.code == 0
    assert re.fullmatch(r"Verified 1 repo, 1 snapshot, 6 blobs, [0-9.]+ kB: all as published\.\n", whole.out)
    (blob,) = [path for path in program.folder.glob("mirror/blobs/*/*/*") if path.read_bytes() == b"12345"]
    blob.chmod(0o644)
    blob.write_bytes(b"12346")
    broken = program("verify")
    assert broken.code == 1
    assert "acme/one@" in broken.out
    assert f"weights, sha256 {blob.name}, target disk" in broken.out
    assert broken.out.endswith(": 1 fault found.\n")


def test_json_is_one_document_on_stdout_and_logs_stay_on_stderr(program: Program) -> None:
    for command, code in (("plan", 1), ("sync", 1), ("status", 0), ("verify", 0)):
        ended = program(command, "--json", "--log-format", "json")
        assert ended.code == code
        document = json.loads(ended.out)
        assert isinstance(document, dict)
        assert document.get("ok", True) is (code == 0)
        assert all(isinstance(json.loads(line), dict) for line in ended.err.splitlines())


def test_sync_json_gives_a_reason_for_every_repo_that_is_not_mirrored(program: Program) -> None:
    repos = json.loads(program("sync", "--json").out)["repos"]
    assert {repo["repo"]: repo["outcome"] for repo in repos} == {
        "acme/one": "published",
        "acme/closed": "refused",
        "acme/gone": "failed",
    }
    assert all(repo["reason"] for repo in repos if repo["outcome"] != "published")


def test_quiet_logs_problems_only(program: Program) -> None:
    assert program("sync", "good", "-q").err == ""
    assert "level=error event=repo.failed" in program("-q", "sync", "bad").err


def test_nothing_is_coloured_where_no_terminal_is(program: Program) -> None:
    ended = program("sync")
    assert "\x1b" not in ended.out + ended.err
