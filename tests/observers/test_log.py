"""The log: one line an event, nothing secret, nothing that drives a terminal, tracebacks only when asked for."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.outcome.events import Event, Retrying, RunFinished, RunStarted
from mirror_sync.domain.outcome.report import RepoOutcome, RunReport
from mirror_sync.observe.log.event_log import EventLog
from mirror_sync.observe.log.log import Format, LineWriter, LogStyle, in_color, in_journal, start_log
from mirror_sync.observe.redaction import SHOWN, Redaction, json_shown, lines_shown
from tests.observers.happenings import RUN, finished
from tests.observers.test_log_contract import LOGGED, SILENT

AT = "2026-01-01T00:00:00Z"
EVENTS = [*LOGGED, *SILENT]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The log is one of the process: what a test sets up ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def written(style: LogStyle, *secrets: str) -> io.StringIO:
    """A log that was started, and what it writes to."""
    stream = io.StringIO()
    start_log(style, LineWriter(stream), Redaction(secrets))
    return stream


def loudness(event: Event) -> tuple[str, str]:
    return event.level, event.log_name


def fail_loudly(text: str) -> None:
    try:
        int(text)
    except ValueError:
        structlog.get_logger().exception("boom")


def test_a_repetition_names_the_runs_that_go_on() -> None:
    stream = written(LogStyle(Format.JSON))
    log, again = EventLog(), Retrying("resolve acme/one", "unreachable", "no answer", 1, 1.0)
    for event in (again, RunStarted("run-1", ("a",), ""), again, RunStarted("run-2", ("b",), ""), again):
        log(event)
    log(RunFinished(RunReport("run-1", "", "", ())))
    log(again)
    said = [line.get("run") for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "retrying"]
    assert said == [None, "run-1", "run-1,run-2", "run-2"]


@pytest.mark.parametrize(
    ("outcome", "level"),
    [("failed", "error"), ("held", "warning"), ("refused", "warning"), ("published", "info"), ("unchanged", "debug")],
)
def test_an_outcome_is_as_loud_as_the_attention_it_needs(outcome: str, level: str) -> None:
    assert loudness(finished(RepoOutcome(outcome))) == (level, f"repo.{outcome}")


def test_a_run_with_a_failure_ends_as_an_error_and_one_cut_short_as_a_warning() -> None:
    failed = RunReport(RUN, AT, AT, (finished(RepoOutcome.FAILED).report,))
    assert loudness(RunFinished(failed)) == ("error", "run.finished")
    assert loudness(RunFinished(RunReport(RUN, AT, AT, (), interrupted=True))) == ("warning", "run.interrupted")


@pytest.mark.parametrize("style", [Format.AUTO, Format.CONSOLE, Format.JSON])
@pytest.mark.parametrize("secret", ["hf_abc", 'quo"te', "back\\slash", "a/b?c=d", "p\u00e4ss"])
def test_a_secret_is_shown_in_no_field_at_no_depth_in_no_format(style: Format, secret: str) -> None:
    stream = written(LogStyle(style, tracebacks=True), secret)
    fields: dict[str, Any] = {"text": f"x{secret}y", "list": [secret], "deep": {"key": (secret, {secret: 1})}}
    structlog.get_logger().info(f"event {secret}", error=ValueError(secret), **fields)
    fail_loudly(secret)
    logging.getLogger("urllib3").warning("GET %s", secret)
    for shape in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert shape not in stream.getvalue()
    assert stream.getvalue().count(SHOWN) >= 8


@given(st.text(), st.lists(st.text(min_size=3), max_size=3), st.integers(0, 20))
def test_no_secret_survives_wherever_it_stands(text: str, secrets: list[str], place: int) -> None:
    real = [secret for secret in secrets if len(secret.strip()) >= 4 and secret not in SHOWN]
    for secret in real:
        text = text[:place] + secret + text[place:]
    cleaned = Redaction(secrets).text(text).split(SHOWN)
    assert not any(secret in part for secret in real for part in cleaned)


SIGNED = "https://bucket.example/key?X-Amz-Credential=abc%2Fs3&X-Amz-Signature=0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"no answer from {SIGNED}",
        "Max retries exceeded with url: /key?X-Amz-Signature=0123456789abcdef (Caused by ...)",
        '"GET /key?part=1&Signature=0123456789abcdef HTTP/1.1" 200',
        "https://someone:0123456789abcdef@proxy.example:3128/",
        "{'Authorization': 'Bearer 0123456789abcdef'}",
        "Authorization: Basic 0123456789abcdef",
        "https://hooks.example/services?key=0123456789abcdef",
    ],
)
def test_what_gives_access_by_its_shape_is_never_shown_whether_or_not_it_is_known(text: str) -> None:
    shown = Redaction().text(text)
    assert "0123456789abcdef" not in shown
    assert SHOWN in shown


@pytest.mark.parametrize(
    "text",
    [
        "https://hub.example/acme/one",
        "acme/one@main: what? a = b",
        "a model-?.bin, not b&c.bin",
        "basic authentication",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction().text(text) == text


def test_libraries_never_speak_below_info() -> None:
    stream = written(LogStyle(Format.JSON, logging.DEBUG, tracebacks=True))
    chatty = logging.getLogger("botocore.auth")
    before = chatty.level
    chatty.setLevel(logging.DEBUG)
    try:
        chatty.debug("CanonicalRequest: ...")
        chatty.info("found credentials")
    finally:
        chatty.setLevel(before)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["found credentials"]


def test_of_keys_that_are_renewed_the_newest_are_kept() -> None:
    redaction = Redaction(["lasting"])
    for number in range(1000):
        redaction.rotate([f"key-{number:04}", f"token-{number:04}"])
    assert redaction.text("lasting key-0999 token-0998") == f"{SHOWN} {SHOWN} {SHOWN}"
    assert redaction.text("key-0001") == "key-0001"


def test_a_secret_that_is_learned_later_is_kept_from_then_on() -> None:
    redaction = Redaction(["first"])
    redaction.learn(["second", "", "     "])
    assert redaction.text("first second      ") == f"{SHOWN} {SHOWN}      "


@pytest.mark.parametrize("short", ["a", "run", " a  "])
def test_a_secret_that_is_part_of_every_word_blanks_none(short: str) -> None:
    assert Redaction([short]).text("a run is a  marathon") == "a run is a  marathon"


def test_tracebacks_are_shown_only_when_asked_for() -> None:
    for tracebacks in (False, True):
        stream = written(LogStyle(tracebacks=tracebacks))
        fail_loudly("inner")
        assert ("Traceback" in stream.getvalue()) is tracebacks


def test_an_event_is_one_line_whatever_its_fields_hold() -> None:
    for style in Format:
        stream = written(LogStyle(style))
        structlog.get_logger().info("event", path="a\nb\r\x1b[31mc\u202e", more=["x\ny"])
        assert stream.getvalue().count("\n") == 1
        assert not {"\x1b", "\r", "\u202e"} & set(stream.getvalue())


@given(st.text())
def test_plain_text_can_be_printed_and_what_was_printable_stays(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(text) == text or not text.isprintable()


@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_a_json_document_that_is_shown_means_what_it_meant_and_holds_nothing_that_rules_a_terminal(
    document: dict[str, list[str]],
) -> None:
    shown = json_shown(json.dumps(document, indent=2, ensure_ascii=False))
    assert json.loads(shown) == document
    assert shown.replace("\n", "").isprintable()


@given(st.text())
def test_text_of_many_lines_keeps_its_lines_and_the_colour_of_a_state_and_nothing_else(text: str) -> None:
    shown = lines_shown(f"\x1b[31mfailed\x1b[0m{text}")
    assert shown.startswith("\x1b[31mfailed\x1b[0m")
    assert shown.count("\n") == text.count("\n")
    assert all(line.replace("\t", "").isprintable() for line in lines_shown(f"x{text}").split("\n"))


def test_the_journal_gets_priorities_and_no_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert in_journal(journal)
        start_log(LogStyle(), LineWriter(journal), Redaction())
        structlog.get_logger().error("repo.failed", reason="no answer")
        structlog.get_logger().warning("retrying")
        structlog.get_logger().info("run.started", jobs=["a", "b"])
        journal.seek(0)
        assert (
            journal.read()
            == '<3>event=repo.failed reason="no answer"\n<4>event=retrying\n<6>event=run.started jobs=a,b\n'
        )


def test_another_stream_is_not_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        assert not in_journal(stream)
    assert not in_journal(io.StringIO())


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    leader, follower = pty.openpty()
    with os.fdopen(leader), os.fdopen(follower, "w", encoding="utf-8") as terminal:
        assert in_color(terminal)
        assert not in_color(io.StringIO())
        monkeypatch.setenv("NO_COLOR", "1")
        assert not in_color(terminal)


def test_a_stream_that_is_gone_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    start_log(LogStyle(), LineWriter(stream), Redaction())
    for event in EVENTS:
        EventLog()(event)
    with suppress(BrokenPipeError):
        stream.close()


def test_what_libraries_log_comes_in_our_own_form() -> None:
    stream = written(LogStyle(Format.JSON))
    logging.getLogger("urllib3").warning("retry %d", 3)
    logging.getLogger("urllib3").info("not worth a line")
    logging.getLogger("broken").warning("%d", "no number")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["name"], line["message"]) for line in lines] == [
        ("library", "urllib3", "retry 3"),
        ("library", "broken", "%d"),
    ]
