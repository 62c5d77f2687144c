"""What a user reads about each fault of the whole file, and of what any of its parts may have."""

from __future__ import annotations

import pytest

from tests.config.texts import FOLDER, JOBS, LICENSES, NOTHING, REST, UPSTREAMS, fault, faults

SCHEDULER = "must be an address like tcp://scheduler:8786, or tls://scheduler:8786"
LISTEN = "write 127.0.0.1:8080, or 0.0.0.0:8080 for all interfaces"
TIMES = "write 6h, 90m, 1d12h or 30s"
REQUESTS = "are no requests in a time; write 200/s, or 30/m"
ANSWERS = "must be a whole number from 1 to 4096, like 64"
CORS = 'must be "*", off, or a list of origins; write cors: ["https://app.example.org"]'
ORIGIN = "is no origin; write https://app.example.org, without a path"
TOP_FAULTS = [
    ("version: 2", "5:10: version: this program reads version 1; write version: 1"),
    ("version: true", "5:10: version: this program reads version 1; write version: 1"),
    ("verison: 1", "5:1: verison: this key is not known; did you mean version?"),
    (
        "zzz: 1",
        (
            "5:1: zzz: this key is not known; the keys here are "
            "version, profile, state_dir, upstreams, targets, front, on, connections, bandwidth, http, ha, engine, "
            "traces, site, maintenance, access, trust, defaults, licenses, decisions, policy and jobs"
        ),
    ),
    (
        '"a\\nb": 1',
        (
            "5:1: ['a\\nb']: this key is not known; the keys here are version, profile, state_dir, upstreams, targets, "
            "front, on, connections, bandwidth, http, ha, engine, traces, site, maintenance, "
            "access, trust, defaults, licenses, decisions, policy and jobs"
        ),
    ),
    ("state_dir: ''", f"5:12: state_dir: {FOLDER}"),
    ("state_dir: ['x']", "5:12: state_dir: must be text, not a list; write state_dir: ./var/state"),
    ("state_dir:", "5:11: state_dir: is empty; write state_dir: ./var/state"),
    ("http: {listen: 9200}", f"5:16: http.listen: '9200' is no host:port; {LISTEN.replace('8080', '9200')}, or none"),
    ("http: off", '5:7: http: must be a mapping, not text; write http: {listen: "127.0.0.1:9108"}'),
    ("http: {listen: off}", f"5:16: http.listen: 'off' is no host:port; {LISTEN.replace('8080', '9108')}, or none"),
    ("front: []", '5:8: front: must be a mapping, not a list; write front: {listen: "127.0.0.1:8080"}'),
    ("front: {listen: '8080'}", f"5:17: front.listen: '8080' is no host:port; {LISTEN}"),
    ("front: {listen: 9000}", f"5:17: front.listen: '9000' is no host:port; {LISTEN.replace('8080', '9000')}"),
    ("front: {listen: on}", f"5:17: front.listen: 'on' is no host:port; {LISTEN}"),
    ("front: {listen: true}", f"5:17: front.listen: 'true' is no host:port; {LISTEN}"),
    ("front: {listen: 'a:0'}", f"5:17: front.listen: 0 is no port, which is 1 to 65535; {LISTEN}"),
    ("front: {listen: 'a:70000'}", f"5:17: front.listen: 70000 is no port, which is 1 to 65535; {LISTEN}"),
    ("front: {listen: '*:80'}", f"5:17: front.listen: '*' is no host; {LISTEN}"),
    ("front: {listen: '[::g]:80'}", f"5:17: front.listen: '[::g]:80' is no host:port; {LISTEN}"),
    ("front: {listen: '[1.2]:80'}", f"5:17: front.listen: '1.2' is no host; {LISTEN}"),
    ("front: {url: }", "5:13: front.url: is empty; write url: https://models.example.org, or remove it"),
    ("front: {url: models.example.org}", "5:14: front.url: must be an address like https://models.example.org"),
    (
        "front: {url: 'https://x/a>b'}",
        "5:14: front.url: the path of the address must be plain words with slashes between; best leave it out",
    ),
    ("front: {url: 'https://x\\r\\nX: y'}", "5:14: front.url: must be an address like https://models.example.org"),
    (
        "front: {user: 'nobody; daemon off'}",
        "5:15: front.user: 'nobody; daemon off' is no name of a user; write www-data",
    ),
    ("front: {cache: 16}", "5:16: front.cache: '16' is no size; write 500MB, 16GiB or 0"),
    ("front: {cache: 1GiB/s}", "5:16: front.cache: '1GiB/s' is no size; write 500MB, 16GiB or 0"),
    ("front: {cache: {size: 16}}", "5:23: front.cache.size: '16' is no size; write 500MB, 16GiB or 0"),
    (
        "front: {cache: {immutable: 0s}}",
        f"5:28: front.cache.immutable: '0s' is no time at all; {TIMES}",
    ),
    ("front: {cache: {pointers: 2}}", "5:27: front.cache.pointers: 2 has no unit; write 2s, 2m, 2h or 2d"),
    (
        "front: {limits: {requests: 5}}",
        f"5:28: front.limits.requests: '5' {REQUESTS}",
    ),
    (
        "front: {limits: {requests: 0/s}}",
        f"5:28: front.limits.requests: '0/s' {REQUESTS}",
    ),
    (
        "front: {limits: {connections: 0}}",
        f"5:31: front.limits.connections: {ANSWERS}",
    ),
    (
        "front: {limits: {bandwidth: 9B/s}}",
        "5:29: front.limits.bandwidth: is less than 1KB/s, and nothing would ever end; write 10MB/s, or leave it out",
    ),
    ("front: {cors: on}", f"5:15: front.cors: {CORS}"),
    ("front: {cors: []}", f"5:15: front.cors: {CORS}"),
    ("front: {cors: [1]}", f"5:15: front.cors: {CORS}"),
    ("front: {cors: 'https://app.example.org'}", f"5:15: front.cors: {CORS}"),
    ("front: {cors: ['*']}", f"5:15: front.cors: '*' {ORIGIN}"),
    ("front: {cors: ['https://x.org/a']}", f"5:15: front.cors: 'https://x.org/a' {ORIGIN}"),
    ("front: {cors: ['https://*.x.org']}", f"5:15: front.cors: 'https://*.x.org' {ORIGIN}"),
    ("front: {bucket: publik}", "5:17: front.bucket: 'publik' is not private or public; did you mean public?"),
    ("engine: {kind: dusk}", "5:16: engine.kind: 'dusk' is not threads or dask; did you mean dask?"),
    ("engine: {kind: dask}", "5:9: engine.address: is missing; write address: tcp://scheduler:8786"),
    ("engine: {wait: 1m}", "5:10: engine.wait: this key is for kind: dask; remove it, or write kind: dask"),
    ("engine: {kind: dask, address: 'scheduler:8786'}", f"5:31: engine.address: {SCHEDULER}"),
    ("engine: {kind: dask, address: 'tcp://scheduler'}", f"5:31: engine.address: {SCHEDULER}"),
    (
        "engine: {kind: dask, address: 'tls://me:x@s:1'}",
        (
            "5:31: engine.address: must be no more than tcp://, the host and the port; "
            "Dask's certificates are said to Dask"
        ),
    ),
    (
        "defaults: {name: x}",
        (
            "5:12: defaults.name: this key is not known; the keys here are upstream, target, workers, "
            "connections, segments, bandwidth, schedule, revisions, include, exclude, guard, channels, rollout, "
            "keep_rollbacks, on_gone and retention"
        ),
    ),
    ("defaults: {upstream: hab}", "5:22: defaults.upstream: 'hab' is not under upstreams; upstreams has hub"),
    ("defaults: {schedule: {every: 6}}", "5:30: defaults.schedule.every: 6 has no unit; write 6s, 6m, 6h or 6d"),
]


@pytest.mark.parametrize(("line", "message"), TOP_FAULTS)
def test_top(line: str, message: str) -> None:
    assert fault(f"{REST}{JOBS}{line}\n") == message


SITE_FAULTS = [
    ("false", "5:7: site: must be a mapping, not true or false; write site: {enabled: false}"),
    ("{nmae: x}", "5:8: site.nmae: this key is not known; did you mean name?"),
    ("{enabled: sure}", "5:17: site.enabled: 'sure' is not true or false (on and off will do)"),
    ("{name: ' '}", "5:14: site.name: is empty; write a few words"),
    ("{url: models.example.org}", "5:13: site.url: must be an address like https://models.example.org"),
]


@pytest.mark.parametrize(("site", "message"), SITE_FAULTS)
def test_site(site: str, message: str) -> None:
    assert fault(f"{REST}{JOBS}site: {site}\n") == message


JOBS_EXAMPLE = "[{name: embeddings, repos: [sentence-transformers/all-MiniLM-L6-v2]}]"
WORD = "is no name; write up to 64 letters, digits, '.', '_' or '-', no spaces"


def test_what_cannot_be_left_out_says_what_to_write() -> None:
    assert faults("version: 1\n") == [
        f"jobs.yaml:1:1: jobs: is missing; write jobs: {JOBS_EXAMPLE}",
        'jobs.yaml:1:1: targets: is missing; write targets: {mirror: {url: "file:///srv/mirror"}}',
        "jobs.yaml:1:1: upstreams: is missing; write upstreams: {hub: {kind: huggingface}}",
    ]
    assert faults("upstreams: {}\ntargets: {}\njobs: []\n") == [
        "jobs.yaml:1:12: upstreams: is empty; write upstreams: {hub: {kind: huggingface}}",
        'jobs.yaml:2:10: targets: is empty; write targets: {mirror: {url: "file:///srv/mirror"}}',
        f"jobs.yaml:3:7: jobs: is empty; write jobs: {JOBS_EXAMPLE}",
    ]
    assert faults(f"{REST}jobs: [{{}}]\n") == [
        "jobs.yaml:4:8: jobs[0].name: is missing; write name: embeddings",
        f"jobs.yaml:4:8: jobs[0].{NOTHING}",
    ]


@pytest.mark.parametrize("name", ["a b", "-a", "ä", "a/b", "", "x" * 65])
def test_names_are_words(name: str) -> None:
    shown = f"{name[:60]}..." if len(name) > 60 else name
    assert fault(f"{REST}jobs: [{{repos: [a/b], name: '{name}'}}]\n") == f"4:29: jobs[0].name: '{shown}' {WORD}"
    assert fault(f"{UPSTREAMS}{LICENSES}{JOBS}targets: {{'{name}': {{url: x}}}}\n").endswith(f": '{shown}' {WORD}")


def test_variables_that_cannot_be_put_in_are_faults_at_their_place() -> None:
    lone = "a $ that begins no variable; write ${NAME} or ${NAME:-default}, and $$ for a literal $"
    control = "the variable BELL holds control characters or is not UTF-8; set it to plain text"
    for value, message in (
        ("${NOPE}", "the variable NOPE is not set; set it, or write ${NOPE:-default}"),
        (
            "${NOPE_KEY}",
            (
                "the variable NOPE_KEY is not set; export it, or write it into the file that the unit reads; "
                "${NOPE_KEY:-} does without"
            ),
        ),
        ("a$b", lone),
        ("${", lone),
        ("${A-b}", lone),
        ("${BELL}", control),
    ):
        assert fault(f"{REST}{JOBS}state_dir: '{value}'\n", BELL="\a") == f"5:12: state_dir: {message}"


def test_all_faults_come_at_once_sorted_by_place_beside_those_of_yaml_and_variables() -> None:
    text = """\
        state_dir: ${NOPE}
        stat_dir: x
        stat_dir: y
        upstreams: {hub: {kind: hub}, disk: {kind: directory}}
        targets: {disk: {url: x, region: y}}
        defaults: {upstream: hubb}
        jobs:
          - {name: a, repos: [x y], target: disc}
          - {name: b, repos: [o/x], upstream: disk}
          - {name: c, repos: [o/x], upstream: disk, exclude: [x]}
    """
    assert [found.split(": ")[0] + ": " + found.split(": ")[1] for found in faults(text)] == [
        "jobs.yaml:1:12: state_dir",
        "jobs.yaml:2:1: stat_dir",
        "jobs.yaml:3:1: stat_dir",
        "jobs.yaml:4:25: upstreams.hub.kind",
        "jobs.yaml:4:37: upstreams.disk.url",
        "jobs.yaml:5:26: targets.disk.region",
        "jobs.yaml:6:22: defaults.upstream",
        "jobs.yaml:8:23: jobs[0].repos[0]",
        "jobs.yaml:8:37: jobs[0].target",
        "jobs.yaml:10:5: jobs[2]",
    ]
