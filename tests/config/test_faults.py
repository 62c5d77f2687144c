"""What a user reads about each fault, whole: its place, its key, what is wrong and what would be right."""

from __future__ import annotations

import pytest

from tests.config.texts import JOBS, LICENSES, REST, TARGETS, UPSTREAMS, fault, faults, settings

# Each case is one wrong line in a file that is right otherwise; the messages begin with the column, or line and column.
PATH = "the path of the address must not contain // or /., nor end in /api; leave it out"
HOST = "must be an address like https://huggingface.co"
SCHEDULER = "must be an address like tcp://scheduler:8786, or tls://scheduler:8786"
LISTEN = "write 127.0.0.1:8080, or 0.0.0.0:8080 for all interfaces"
UPSTREAM_FAULTS = [
    ("{}", "17: upstreams.it.kind: is missing; write kind: huggingface"),
    ("{kind: hugingface}", "24: upstreams.it.kind: 'hugingface' is no kind of upstream; did you mean huggingface?"),
    ("{kind: s3}", "24: upstreams.it.kind: 's3' is no kind of upstream; write huggingface or directory"),
    ("{kind: 7}", "24: upstreams.it.kind: must be huggingface or directory"),
    ("hub", "17: upstreams.it: must be a mapping, not text"),
    (
        "{kind: huggingface, url: x}",
        "37: upstreams.it.url: url is for kind: directory; write endpoints: [https://...] for a hub",
    ),
    (
        "{kind: huggingface, endpoints: https://x.org}",
        '48: upstreams.it.endpoints: must be a list, not text; write endpoints: ["https://huggingface.co"]',
    ),
    (
        "{kind: huggingface, endpoints: []}",
        '48: upstreams.it.endpoints: is empty; write endpoints: ["https://huggingface.co"]',
    ),
    ("{kind: huggingface, endpoints: [ftp://x.org]}", f"49: upstreams.it.endpoints[0]: {HOST}"),
    ("{kind: huggingface, endpoints: ['https://x:99999']}", f"49: upstreams.it.endpoints[0]: {HOST}"),
    ("{kind: huggingface, endpoints: ['https://']}", f"49: upstreams.it.endpoints[0]: {HOST}"),
    ("{kind: huggingface, endpoints: ['https://a b']}", f"49: upstreams.it.endpoints[0]: {HOST}"),
    (
        "{kind: huggingface, endpoints: ['https://u:p@x.org']}",
        (
            "49: upstreams.it.endpoints[0]: an address with a user or password; write it without, and the secret under "
            "its own key"
        ),
    ),
    (
        "{kind: huggingface, endpoints: ['https://x.org/?a=b']}",
        "49: upstreams.it.endpoints[0]: an address with ? or # in it; write only what comes before",
    ),
    (
        "{kind: huggingface, endpoints: ['https://x.org/api/']}",
        f"49: upstreams.it.endpoints[0]: {PATH}",
    ),
    (
        "{kind: huggingface, token: a, token_file: /none}",
        "59: upstreams.it.token_file: stands beside token, where only one can be; remove one",
    ),
    (
        "{kind: huggingface, token_file: /none}",
        "49: upstreams.it.token_file: there is no such file; write the path of a file with the token",
    ),
    (
        "{kind: huggingface, token_file: /}",
        "49: upstreams.it.token_file: this is a directory, not a file; write the path of a file with the token",
    ),
    (
        "{kind: huggingface, token_file: /dev/null}",
        "49: upstreams.it.token_file: the file is empty; write the path of a file with the token",
    ),
    ("{kind: huggingface, token: 5}", "44: upstreams.it.token: must be text, not a number; put it in quotes"),
    ("{kind: huggingface, token: 'a b'}", "44: upstreams.it.token: must be one word of plain characters"),
    (
        "{kind: huggingface, timeouts: {connect: 0s}}",
        "57: upstreams.it.timeouts.connect: '0s' is no time at all; write 6h, 90m, 1d12h or 30s",
    ),
    (
        "{kind: huggingface, timeouts: {read: 5s}}",
        (
            "48: upstreams.it.timeouts.read: this key is not known; the keys here are connect, first_byte, stall, "
            "min_rate and over"
        ),
    ),
    (
        "{kind: huggingface, timeouts: {min_rate: 10}}",
        "58: upstreams.it.timeouts.min_rate: '10' is no rate; write 500B/s, 10KB/s or 1MB/s",
    ),
    (
        "{kind: huggingface, timeouts: {min_rate: [1]}}",
        "58: upstreams.it.timeouts.min_rate: this is no rate; write 500B/s, 10KB/s or 1MB/s",
    ),
    ("{kind: huggingface, reserve: 95%}", "46: upstreams.it.reserve: '95%' is no share from 0% to 90%; write 10%"),
    ("{kind: huggingface, reserve: 0.1}", "46: upstreams.it.reserve: '0.1' is no share from 0% to 90%; write 10%"),
    ("{kind: huggingface, allow_private: yes}", "52: upstreams.it.allow_private: 'yes' is not true or false"),
    (
        "{kind: directory, url: x, reserve: 5%}",
        "43: upstreams.it.reserve: this key is for kind: huggingface; remove it",
    ),
    ("{kind: directory}", "17: upstreams.it.url: is missing; write url: file:///srv/mirror"),
    (
        "{kind: directory, url: x, token: y}",
        "43: upstreams.it.token: this key is for kind: huggingface; remove it",
    ),
]


@pytest.mark.parametrize(("entry", "message"), UPSTREAM_FAULTS)
def test_upstream(entry: str, message: str) -> None:
    assert fault(f"{TARGETS}{LICENSES}upstreams: {{it: {entry}}}\n{JOBS}") == f"3:{message}"


FOLDER = "must be a folder, as in file:///srv/mirror or ./var/mirror"
BUCKET = "must be an address like s3://bucket or s3://bucket/prefix"
PREFIX = "the prefix must be plain words with slashes between, as in s3://bucket/some/prefix"
TARGET_FAULTS = [
    ("{}", "15: targets.it.url: is missing; write url: file:///srv/mirror"),
    ("{url: 5}", "21: targets.it.url: must be text, not a number; put it in quotes"),
    ("{url: ''}", f"21: targets.it.url: {FOLDER}"),
    ("{url: 'file:'}", f"21: targets.it.url: {FOLDER}"),
    ('{url: "a\\nb"}', f"21: targets.it.url: {FOLDER}"),
    (
        "{url: file://srv/x}",
        "21: targets.it.url: 'file://srv/x' names a host; write three slashes, as in file:///srv/mirror",
    ),
    ("{url: gs://b}", "21: targets.it.url: 'gs' is not known here; write file:///srv/mirror or ./var/mirror"),
    ("{url: ~/m}", "21: targets.it.url: '~/m': ~ is not expanded; write ${HOME} for it"),
    ("{url: 's3:b'}", f"21: targets.it.url: {BUCKET}"),
    ("{url: 's3://'}", f"21: targets.it.url: {BUCKET}"),
    ("{url: 's3://a@b'}", f"21: targets.it.url: {BUCKET}"),
    ("{url: 's3://bucket/a//b'}", f"21: targets.it.url: {PREFIX}"),
    ("{url: 's3://bucket/../b'}", f"21: targets.it.url: {PREFIX}"),
    ("{url: 's3://bucket/a?b'}", f"21: targets.it.url: {PREFIX}"),
    (
        "{url: x, region: y}",
        "24: targets.it.region: this key is for s3:// targets; remove it, or write url: s3://bucket",
    ),
    ("{url: x, regon: y}", "24: targets.it.regon: this key is not known; the keys here are grace and url"),
    ("{url: 's3://bucket', regon: y}", "36: targets.it.regon: this key is not known; did you mean region?"),
    ("{url: 's3://bucket', region: a b}", "44: targets.it.region: 'a b' must be one word"),
    (
        "{url: 's3://bucket', endpoint_url: x}",
        "50: targets.it.endpoint_url: must be an address like http://127.0.0.1:9000",
    ),
    (
        "{url: 's3://bucket', addressing: pth}",
        "48: targets.it.addressing: 'pth' is not path, virtual or auto; did you mean path?",
    ),
    (
        "{url: 's3://bucket', access_key: a}",
        "48: targets.it.access_key: comes without secret_key; write both, or neither",
    ),
    (
        "{url: 's3://bucket', secret_key: a}",
        "48: targets.it.secret_key: comes without access_key; write both, or neither",
    ),
]


@pytest.mark.parametrize(("entry", "message"), TARGET_FAULTS)
def test_target(entry: str, message: str) -> None:
    assert fault(f"{UPSTREAMS}{LICENSES}targets: {{it: {entry}}}\n{JOBS}") == f"3:{message}"


TOP_FAULTS = [
    ("version: 2", "5:10: version: this program reads version 1; write version: 1"),
    ("version: true", "5:10: version: this program reads version 1; write version: 1"),
    ("verison: 1", "5:1: verison: this key is not known; did you mean version?"),
    (
        "zzz: 1",
        (
            "5:1: zzz: this key is not known; the keys here are "
            "version, state_dir, upstreams, targets, front, on, connections, bandwidth, http, engine, site, "
            "defaults, licenses and jobs"
        ),
    ),
    (
        '"a\\nb": 1',
        (
            "5:1: ['a\\nb']: this key is not known; the keys here are version, state_dir, upstreams, targets, "
            "front, on, connections, bandwidth, http, engine, site, defaults, licenses and jobs"
        ),
    ),
    ("state_dir: ''", f"5:12: state_dir: {FOLDER}"),
    ("state_dir: ['x']", "5:12: state_dir: must be text, not a list; write state_dir: ./var/state"),
    ("state_dir:", "5:11: state_dir: is empty; write state_dir: ./var/state"),
    ("http: off", '5:7: http: must be a mapping, not text; write http: {listen: "127.0.0.1:9108"}'),
    ("http: {listen: off}", f"5:16: http.listen: 'off' is no host:port; {LISTEN.replace('8080', '9108')}, or none"),
    ("front: []", '5:8: front: must be a mapping, not a list; write front: {listen: "127.0.0.1:8080"}'),
    ("front: {listen: '8080'}", f"5:17: front.listen: '8080' is no host:port; {LISTEN}"),
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
            "connections, bandwidth, schedule, revisions, include, exclude, guard, on_gone and retention"
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
    ("{enabled: sure}", "5:17: site.enabled: 'sure' is not true or false"),
    ("{name: ' '}", "5:14: site.name: is empty; write a few words"),
    ("{url: models.example.org}", "5:13: site.url: must be an address like https://models.example.org"),
]


@pytest.mark.parametrize(("site", "message"), SITE_FAULTS)
def test_site(site: str, message: str) -> None:
    assert fault(f"{REST}{JOBS}site: {site}\n") == message


LICENSE_FAULTS = [
    ("mit", "5:11: licenses: must be a mapping, not text; write licenses: {allow: [apache-2.0, mit], missing: refuse}"),
    ("{alow: []}", "5:12: licenses.alow: this key is not known; did you mean allow?"),
    ("{allow: mit}", "5:19: licenses.allow: must be a list, not text; write allow: [apache-2.0, mit]"),
    ("{allow: [1.0]}", "5:20: licenses.allow[0]: must be text, not a number; put it in quotes"),
    (
        "{allow: [' ']}",
        "5:20: licenses.allow[0]: must be a licence id of the Hub like apache-2.0, or other:<license_name>",
    ),
    (
        "{allow: [Other]}",
        (
            "5:20: licenses.allow[0]: 'other' is not one licence but any; write other:<license_name> for "
            "the one you have read, or put other under review"
        ),
    ),
    (
        "{allow: [unknown]}",
        (
            "5:20: licenses.allow[0]: 'unknown' is not one licence but any; write other:<license_name> "
            "for the one you have read, or put unknown under review"
        ),
    ),
    ("{allow: [mit], review: [MIT]}", "5:35: licenses.review[0]: 'mit' is under allow as well; keep one of them"),
    ("{missing: perhaps}", "5:21: licenses.missing: 'perhaps' is not refuse, review or allow"),
    (
        "{approved: [{repo: 'a/*', by: x, why: y}]}",
        "5:30: licenses.approved[0].repo: 'a/*' is no repo id; write org/name",
    ),
    ("{approved: [{repo: a/b, by: ' ', why: y}]}", "5:39: licenses.approved[0].by: is empty; write a few words"),
    ("{approved: [{repo: a/b, by: x}]}", "5:23: licenses.approved[0].why: is missing; write why: ticket LEGAL-42"),
]


@pytest.mark.parametrize(("value", "message"), LICENSE_FAULTS)
def test_licenses_of_all_and_of_a_job_have_the_same_faults(value: str, message: str) -> None:
    text = f"{UPSTREAMS}{TARGETS}\n\nlicenses: {value}\n{JOBS}"
    assert fault(text) == message
    job = f"jobs:\n- name: one\n  repos: [a/b]\n  licenses: {value}\n"
    line, _, rest = message.partition(" licenses")
    column = int(line.removeprefix("5:").removesuffix(":"))
    assert fault(f"{REST}{job}") == f"7:{column + 2}: jobs[0].licenses{rest}"


WORD = "is no name; write up to 64 letters, digits, '.', '_' or '-', no spaces"
CRON = 'write minute hour day month weekday, as in "0 3 * * *"'
DURATION = "write 6h, 90m, 1d12h or 30s"
WORKERS = "must be a whole number from 1 to 64, like 8"
REVISION = "is no branch, tag, glob or commit id; write main, v1.0 or v1.*"
JOB_FAULTS = [
    ("workers: 0", f"10: workers: {WORKERS}"),
    ("workers: 65", f"10: workers: {WORKERS}"),
    ("workers: 1.5", f"10: workers: {WORKERS}"),
    ("workers: true", f"10: workers: {WORKERS}"),
    ("workers: many", f"10: workers: {WORKERS}"),
    ("guard: {max_removed: 101%}", "22: guard.max_removed: '101%' is no share from 0% to 100%; write 10%"),
    ("on_gone: delete", "10: on_gone: 'delete' is not keep, freeze or withdraw"),
    ("retention: {days: -1}", "19: retention.days: '-1' is no whole number from 0 to 999999"),
    ("upstream: hubb", "11: upstream: 'hubb' is not under upstreams; did you mean hub?"),
    ("target: nowhere", "9: target: 'nowhere' is not under targets; targets has disk"),
    ("target:", "8: target: is empty; write target: bucket, or remove it"),
    ("revisions: []", "12: revisions: is empty; write revisions: [main]"),
    ("revisions: main", "12: revisions: must be a list, not text; write revisions: [main]"),
    ("revisions: [1.0]", "13: revisions[0]: must be text, not a number; put it in quotes"),
    ("revisions: [a b]", f"13: revisions[0]: 'a b' {REVISION}"),
    ("revisions: [a..b]", f"13: revisions[0]: 'a..b' {REVISION}"),
    ("include: []", '10: include: is empty; write include: ["*"]'),
    ("include: [/a]", "11: include[0]: '/a' matches no path; write *.safetensors, onnx/* or onnx/"),
    ("exclude: ['']", "11: exclude[0]: '' matches no path; write *.safetensors, onnx/* or onnx/"),
    ("exclude: [~]", "11: exclude[0]: is empty; write a value"),
    ("revison: [x]", "1: revison: this key is not known; did you mean revisions?"),
    ("schedule: 6h", "11: schedule: must be a mapping, not text; write schedule: {every: 6h}"),
    ("schedule: {}", '11: schedule: says neither every nor cron; write {every: 6h} or {cron: "0 3 * * *"}'),
    ("schedule: {evry: 6h}", '11: schedule: says neither every nor cron; write {every: 6h} or {cron: "0 3 * * *"}'),
    (
        "schedule: {every: 6h, cron: '0 3 * * *'}",
        "23: schedule.cron: cron stands beside every, where only one can be; remove it or every",
    ),
    ("schedule: {every: 6h, timezone: UTC}", "11: schedule: timezone is for cron, or for only; remove it"),
    (
        "schedule: {every: 6h, only: 1am}",
        "29: schedule.only: '1am' are no hours; write 08:00-20:00, or 22:00-06:00 for a night",
    ),
    (
        "schedule: {every: 6h, only: '01:00-06:00 weekdays'}",
        "29: schedule.only: 'weekdays' is no day; write mon-fri, or sat,sun",
    ),
    (
        "schedule: {every: 6h, only: []}",
        '29: schedule.only: must be hours; write "01:00-06:00", or "22:00-06:00 mon-fri"',
    ),
    ("schedule: {every: 6h, jiter: 5m}", "23: schedule.jiter: this key is not known; did you mean jitter?"),
    ("schedule: {every: 6 hours}", f"19: schedule.every: '6 hours' is no duration; {DURATION}"),
    ("schedule: {every: 12h1d}", f"19: schedule.every: '12h1d' is no duration; {DURATION}"),
    ("schedule: {every: ''}", f"19: schedule.every: '' is no duration; {DURATION}"),
    ("schedule: {every: 0m}", f"19: schedule.every: '0m' is no time at all; {DURATION}"),
    ("schedule: {every: 90}", "19: schedule.every: 90 has no unit; write 90s, 90m, 90h or 90d"),
    ("schedule: {every: [6h]}", "19: schedule.every: must be a duration like 6h, 90m, 1d12h or 30s"),
    (
        "schedule: {every: 1h, jitter: 60m}",
        "31: schedule.jitter: must be shorter than every, so that no run skips the next",
    ),
    ("schedule: {cron: '0 3 * *'}", f"18: schedule.cron: '0 3 * *' has 4 fields, not five; {CRON}"),
    (
        "schedule: {cron: '61 3 * * *'}",
        (
            "18: schedule.cron: '61 3 * * *' is no crontab expression "
            f"(the last value (61) is higher than the maximum value (59)); {CRON}"
        ),
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Asia/Shangai}",
        "41: schedule.timezone: 'Asia/Shangai' is no IANA time zone; did you mean Asia/Shanghai?",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Mars}",
        "41: schedule.timezone: 'Mars' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: CEST}",
        "41: schedule.timezone: 'CEST' is no IANA time zone; write Europe/Berlin",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: ../UTC}",
        "41: schedule.timezone: '../UTC' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
    (
        "schedule: {cron: '0 3 * * *', timezone: Europe}",
        "41: schedule.timezone: 'Europe' is no IANA time zone; write an IANA name like Asia/Shanghai, or UTC",
    ),
]


@pytest.mark.parametrize(("line", "message"), JOB_FAULTS)
def test_job(line: str, message: str) -> None:
    column, _, rest = message.partition(": ")
    text = f"{REST}jobs:\n- name: one\n  repos: [acme/x]\n  {line}\n"
    assert fault(text) == f"7:{int(column) + 2}: jobs[0].{rest}"


REPO_FAULTS = [
    ("[]", "10: repos: is empty; write repos: [sentence-transformers/all-MiniLM-L6-v2]"),
    ("acme/x", "10: repos: must be a list, not text; write repos: [sentence-transformers/all-MiniLM-L6-v2]"),
    ("[acme//x]", "11: repos[0]: 'acme//x' is no repo id; write org/name"),
    ("['*']", "11: repos[0]: '*' must name one owner before its wildcard; write owner/*"),
    ("['*/x']", "11: repos[0]: '*/x' must name one owner before its wildcard; write owner/*"),
    ("['space:acme/x']", "11: repos[0]: 'space' is no kind of repo; write model: or dataset:"),
    ("[a: b]", "11: repos[0]: must be text, not a mapping"),
]


@pytest.mark.parametrize(("value", "message"), REPO_FAULTS)
def test_repos(value: str, message: str) -> None:
    assert fault(f"{REST}jobs:\n- name: one\n  repos: {value}\n") == f"6:{message.replace('repos', 'jobs[0].repos', 1)}"


NOTHING = "repos: is missing; write repos: [sentence-transformers/all-MiniLM-L6-v2], or select: {author: Qwen}"
JOBS_EXAMPLE = "[{name: embeddings, repos: [sentence-transformers/all-MiniLM-L6-v2]}]"


def test_what_cannot_be_left_out_says_what_to_write() -> None:
    assert faults("version: 1\n") == [
        f"jobs.yaml:1:1: jobs: is missing; write jobs: {JOBS_EXAMPLE}",
        'jobs.yaml:1:1: targets: is missing; write targets: {bucket: {url: "file:///srv/mirror"}}',
        "jobs.yaml:1:1: upstreams: is missing; write upstreams: {hub: {kind: huggingface}}",
    ]
    assert faults("upstreams: {}\ntargets: {}\njobs: []\n") == [
        "jobs.yaml:1:12: upstreams: is empty; write upstreams: {hub: {kind: huggingface}}",
        'jobs.yaml:2:10: targets: is empty; write targets: {bucket: {url: "file:///srv/mirror"}}',
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


def test_two_jobs_of_one_name_are_a_fault_even_when_they_have_others() -> None:
    assert faults(f"{REST}jobs: [{{name: one}}, {{name: one, repos: [a/b]}}]\n") == [
        f"jobs.yaml:4:8: jobs[0].{NOTHING}",
        "jobs.yaml:4:28: jobs[1].name: jobs[0] is named 'one' already; give each job its own name",
    ]


SIDES = "upstreams: {a: {kind: huggingface}, b: {kind: huggingface}}\ntargets: {c: {url: c}, d: {url: d}}\n" + LICENSES


def test_with_several_upstreams_or_targets_a_job_must_choose() -> None:
    assert faults(SIDES + JOBS) == [
        "jobs.yaml:4:8: jobs[0].target: is missing, and there are c and d; write target: c here or under defaults",
        "jobs.yaml:4:8: jobs[0].upstream: is missing, and there are a and b; write upstream: a here or under defaults",
    ]


CLASH = "give both the same include and exclude, or another target"
OTHER = "on the target 'disk' (include ['*'] against include ['*'], exclude ['x'])"


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ("repos: [o/x]", "repos: [o/x]", "o/x at main"),
        ("repos: ['o/*']", "repos: [o/x]", "o/x at main"),
        ("repos: [o/x, o/y, p/z]", "repos: ['o/*']", "o/x at main (and 1 more)"),
        ("repos: ['o/*']", "repos: ['o/*']", "o/* at main"),
        ("repos: [o/x], revisions: ['v*']", "repos: [o/x], revisions: [v1]", "o/x at v1"),
        ("repos: [o/x], revisions: [v1, v2]", "repos: [o/x], revisions: ['*']", "o/x at v1 (and 1 more)"),
        ("repos: ['dataset:o/x']", "repos: ['dataset:o/*']", "dataset:o/x at main"),
    ],
)
def test_one_revision_with_two_selections_on_one_target_names_both_jobs(one: str, two: str, shared: str) -> None:
    text = f"{REST}jobs:\n- {{name: one, {one}}}\n- {{name: two, exclude: [x], {two}}}\n"
    assert fault(text) == f"6:3: jobs[1]: jobs 'one' and 'two' select different files of {shared} {OTHER}; {CLASH}"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("repos: [o/x]", "repos: [o/y]"),
        ("repos: [o/x]", "repos: ['dataset:o/x']"),
        ("repos: [o/x]", "repos: [o/x], revisions: [v1]"),
        ("repos: ['o/a*']", "repos: ['o/*b']"),
        ("repos: [o/x], target: disk", "repos: [o/x], target: tape"),
    ],
)
def test_jobs_that_do_not_meet_for_certain_do_not_clash(one: str, two: str) -> None:
    sides = f"{UPSTREAMS}targets: {{disk: {{url: a}}, tape: {{url: b}}}}\ndefaults: {{target: disk}}\n"
    text = f"{sides}{LICENSES}jobs:\n- {{name: one, {one}}}\n- {{name: two, exclude: [x], {two}}}\n"
    assert len(settings(text).jobs) == 2


def test_a_fault_in_defaults_does_not_make_jobs_clash() -> None:
    jobs = "jobs:\n- {name: one, repos: [o/x]}\n- {name: two, repos: [o/x], exclude: [x]}\n"
    assert fault(f"{REST}defaults: {{exclude: [/x]}}\n{jobs}").startswith("4:22: defaults.exclude[0]: ")


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
