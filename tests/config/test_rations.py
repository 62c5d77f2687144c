"""bandwidth and connections, for all jobs, for one, and by default."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

import pytest

from mirror_sync.domain.job.bandwidth import EVERY_DAY, Bandwidth, Limit, Window
from tests.config.texts import JOBS, REST, fault, settings

NIGHT = "limit: 200MB/s, windows: [{hours: '22:00-06:00', days: fri-mon, limit: 0}], timezone: Asia/Shanghai"
NIGHTLY = Bandwidth(200_000_000, (Window(time(22), time(6), 0, frozenset({4, 5, 6, 0})),), ZoneInfo("Asia/Shanghai"))


def own(entry: str) -> Bandwidth:
    return settings(f"{REST}jobs: [{{name: one, repos: [a/b], bandwidth: {entry}}}]\n").jobs[0].bandwidth


def test_it_stands_at_the_top_in_defaults_and_in_a_job_and_a_job_wins_over_defaults() -> None:
    text = f"{REST}bandwidth: {{{NIGHT}}}\ndefaults: {{bandwidth: {{limit: 1MB/s}}, connections: 3}}\nconnections: 9\n"
    found = settings(
        f"{text}jobs: [{{name: a, repos: [a/b]}}, {{name: b, repos: [b/c], bandwidth: {{{NIGHT}}}, connections: 2}}]"
    )
    assert (found.bandwidth, found.connections) == (NIGHTLY, 9)
    assert [(job.bandwidth, job.connections) for job in found.jobs] == [(Bandwidth(1_000_000), 3), (NIGHTLY, 2)]


def test_left_out_there_is_no_limit() -> None:
    found = settings(REST + JOBS)
    assert found.bandwidth.unlimited
    assert found.jobs[0].bandwidth.unlimited
    assert (found.connections, found.jobs[0].connections) == (None, None)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("20MB/s", 20_000_000), ("unlimited", None), ("64KiB/s", 65_536), ("'${RATE:-5MB/s}'", 5_000_000)],
)
def test_limits(text: str, limit: Limit) -> None:
    assert own(f"{{limit: {text}}}").limit == limit


@pytest.mark.parametrize("text", ["0", "0B/s", "'0'"])
def test_nothing_is_a_pause_in_a_window_or_outside(text: str) -> None:
    found = own(f"{{limit: {text}, windows: [{{hours: '00:00-06:00', limit: 1MB/s}}]}}")
    assert found.limits == (0, 1_000_000)
    assert own(f"{{windows: [{{hours: '00:00-06:00', limit: {text}}}]}}").limits == (None, 0)


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("'sat,sun'", {5, 6}),
        ("Sun", {6}),
        ("sat-mon", {5, 6, 0}),
        ("[mon-tue, 'thu, sun']", {0, 1, 3, 6}),
    ],
)
def test_days(days: str, wanted: set[int]) -> None:
    (window,) = own(f"{{windows: [{{hours: '8:00-24:00', days: {days}, limit: 1MB/s}}]}}").windows
    assert window == Window(time(8), time(0), 1_000_000, frozenset(wanted))


def test_a_window_without_days_is_one_of_every_day() -> None:
    assert own("{windows: [{hours: '8:00-9:30', limit: 1MB/s}]}").windows[0].days == EVERY_DAY


HOURS = "write 08:00-20:00, or 22:00-06:00 for a night"
PAUSE = "write 20MB/s, unlimited, or 0 for a pause"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{limit: 20}", f"20: bandwidth.limit: '20' is no limit; {PAUSE}"),
        ("{limit: 20MB}", f"20: bandwidth.limit: '20MB' is no limit; {PAUSE}"),
        ("{limit: false}", f"20: bandwidth.limit: 'False' is no limit; {PAUSE}"),
        ("{limit: [1]}", f"20: bandwidth.limit: this is no limit; {PAUSE}"),
        ("{limit: unlimitd}", "20: bandwidth.limit: 'unlimitd' is no limit; did you mean unlimited?"),
        (
            "{limit: 999B/s}",
            "20: bandwidth.limit: '999B/s' is less than 1KB/s, and nothing would ever end; write 0 for a pause",
        ),
        (
            "{limit: 0}",
            "12: bandwidth: is a pause for ever; write limit: 20MB/s, or windows with another limit",
        ),
        (
            "{windows: [{hours: '00:00-24:00', limit: 0}]}",
            "12: bandwidth: is a pause for ever; write limit: 20MB/s, or windows with another limit",
        ),
        ("{windows: []}", "22: bandwidth.windows: is empty; write windows: "),
        ("{windows: [{limit: 1MB/s}]}", "23: bandwidth.windows[0].hours: is missing; write hours: 08:00-20:00"),
        ("{windows: [{hours: '1:00-2:00'}]}", "23: bandwidth.windows[0].limit: is missing; write limit: 20MB/s"),
        ("{windows: [{hours: 8-20, limit: 1MB/s}]}", f"31: bandwidth.windows[0].hours: '8-20' are no hours; {HOURS}"),
        (
            "{windows: [{hours: '08:00-24:30', limit: 1MB/s}]}",
            f"31: bandwidth.windows[0].hours: '08:00-24:30' are hours that no clock shows; {HOURS}",
        ),
        (
            "{windows: [{hours: '08:00-08:00', limit: 1MB/s}]}",
            ("31: bandwidth.windows[0].hours: '08:00-08:00' is no time at all; write 00:00-24:00 for a whole day"),
        ),
        (
            "{windows: [{hours: '1:00-2:00', limit: 0, days: mon-fry}]}",
            "60: bandwidth.windows[0].days: 'mon-fry' is no day; write mon-fri, or sat,sun",
        ),
        (
            "{windows: [{hours: '1:00-2:00', limit: 0, days: []}]}",
            "60: bandwidth.windows[0].days: must be days; write mon-fri, or sat,sun",
        ),
        (
            "{timezone: Asia/Shanghia}",
            "23: bandwidth.timezone: 'Asia/Shanghia' is no IANA time zone; did you mean Asia/Shanghai?",
        ),
        ("{limits: 1MB/s}", "13: bandwidth.limits: this key is not known; did you mean limit?"),
    ],
)
def test_a_fault_says_what_would_be_right(entry: str, message: str) -> None:
    assert fault(f"{REST}{JOBS}bandwidth: {entry}\n").startswith(f"5:{message}")


@pytest.mark.parametrize("count", ["0", "257", "some", "1.5"])
def test_connections_are_a_number(count: str) -> None:
    message = "must be a whole number from 1 to 256, like 8"
    assert fault(f"{REST}{JOBS}connections: {count}\n") == f"5:14: connections: {message}"


def test_segments_of_a_file_are_a_number_or_found() -> None:
    jobs = "jobs: [{name: a, repos: [a/b]}, {name: b, repos: [b/c], segments: auto}]"
    said = settings(f"{REST}defaults: {{segments: 4}}\n{jobs}")
    assert [job.segments for job in said.jobs] == [4, None]
    assert settings(f"{REST}{JOBS}").jobs[0].segments is None


@pytest.mark.parametrize("count", ["0", "17", "some", "1.5"])
def test_segments_are_bounded(count: str) -> None:
    message = "must be auto or a whole number from 1 to 16, like 8"
    assert f"segments: {message}" in fault(f"{REST}defaults: {{segments: {count}}}\n{JOBS}")
