"""Under systemd the journal gets each line with its fields: bounded, to be asked for, never in place of a line."""

from __future__ import annotations

import io
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.logger import Logger
from mirror_sync.observe.log.journal import LONGEST_ENTRY, LONGEST_VALUE, MOST_FIELDS, Journal, encode_entry
from mirror_sync.observe.log.log import LineWriter, LogStyle, start_log
from mirror_sync.observe.redaction import Redaction


def decode(entry: bytes) -> dict[str, str]:
    """As journald reads a datagram."""
    found, at = {}, 0
    while at < len(entry):
        end = entry.index(b"\n", at)
        name, equals, value = entry[at:end].partition(b"=")
        at = end + 1
        if not equals:
            length = int.from_bytes(entry[at : at + 8], "little")
            value, at = entry[at + 8 : at + 8 + length], at + 8 + length + 1
        assert entry[at - 1 : at] == b"\n"
        found[name.decode()] = value.decode()
    return found


@contextmanager
def journal() -> Iterator[tuple[socket.socket, Path]]:
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:
        path = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(str(path))
            listening.settimeout(10)
            yield listening, path


@contextmanager
def under_systemd(path: Path, monkeypatch: pytest.MonkeyPatch, *secrets: str) -> Iterator[Path]:
    """A log whose stderr is the journal's, in a file; gives that file."""
    stderr = path.with_name("stderr")
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    with stderr.open("w", encoding="utf-8") as stream:
        about = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        start_log(LogStyle(), LineWriter(stream, Journal(path)), Redaction(secrets))
        yield stderr
    logging.getLogger().handlers, logging.getLogger().level = handlers, level
    logging.captureWarnings(capture=False)


def test_each_field_of_a_line_is_one_of_the_journals_and_no_secret_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with journal() as (listening, path), under_systemd(path, monkeypatch, "hunter22") as stderr:
        Logger().error("repo.failed", job="models", repo="acme/one@main", code="gated", fetched_bytes=5, again=False,
                       jobs=["a", "b"], reason="token hunter22\x1b[2J\nis refused", nothing=None)  # fmt: skip
        said = decode(listening.recv(1 << 20))
        assert stderr.read_text() == ""
    assert said.pop("MESSAGE").startswith("event=repo.failed job=models repo=acme/one@main code=gated")
    assert "hunter22" not in str(said)
    assert "\x1b" not in str(said.values())
    reason = said.pop("MIRROR_SYNC_REASON")
    assert reason.startswith("token [secret]")
    assert said == {
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "mirror-sync",
        "MIRROR_SYNC_EVENT": "repo.failed",
        "MIRROR_SYNC_JOB": "models",
        "MIRROR_SYNC_REPO": "acme/one@main",
        "MIRROR_SYNC_CODE": "gated",
        "MIRROR_SYNC_FETCHED_BYTES": "5",
        "MIRROR_SYNC_AGAIN": "false",
        "MIRROR_SYNC_JOBS": "a,b",
    }


def test_what_the_journal_does_not_take_is_a_line_with_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    with journal() as (_, path):
        path.unlink()
        with under_systemd(path, monkeypatch) as stderr:
            Logger().warning("list.lags", repo="acme/one")
            assert stderr.read_text() == "<4>event=list.lags repo=acme/one\n"


def test_a_journal_that_takes_nothing_more_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with journal() as (_, path), under_systemd(path, monkeypatch) as stderr:
        for number in range(5000):
            Logger().info("retrying", number=number)
        assert "event=retrying number=4999" in stderr.read_text()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=90), st.text() | st.integers() | st.lists(st.text(max_size=5)), max_size=90
    ),
    st.text(),
)
def test_an_entry_is_one_that_the_journal_can_read_whatever_is_in_it(fields: dict[str, object], message: str) -> None:
    said = decode(encode_entry(message, "info", "an.event", fields))
    assert len(said) <= MOST_FIELDS
    assert all(name.isascii() and len(name) <= 64 and not name.startswith("_") for name in said)


def test_what_is_too_long_is_cut_and_an_entry_is_one_datagram() -> None:
    entry = encode_entry(
        "m" * 10**6, "info", "an.event", {f"f{number}": "\N{SNOWMAN}\n" * 9000 for number in range(99)}
    )
    said = decode(entry)
    assert len(entry) <= LONGEST_ENTRY
    assert said["MESSAGE"].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert max(len(value.encode()) for value in said.values()) <= LONGEST_VALUE


def test_a_stream_that_is_no_journal_gets_lines_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    start_log(LogStyle(), LineWriter(stream), Redaction())
    Logger().info("run.started", run="r")
    logging.getLogger().handlers, logging.getLogger().level = handlers, level
    logging.captureWarnings(capture=False)
    assert stream.getvalue().endswith("level=info event=run.started run=r\n")
