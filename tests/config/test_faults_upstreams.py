"""What a user reads about each fault of an upstream, whole: place, key, what is wrong and what would be right."""

from __future__ import annotations

import pytest

from tests.config.texts import JOBS, LICENSES, TARGETS, fault

# Each case is one wrong line in a file that is right otherwise; the messages begin with the column.
PATH = "the path of the address must not contain // or /., nor end in /api; leave it out"
HOST = "must be an address like https://huggingface.co"
UPSTREAM_FAULTS = [
    ("{}", "17: upstreams.it.kind: is missing; write kind: huggingface"),
    ("{kind: hugingface}", "24: upstreams.it.kind: 'hugingface' is no kind of upstream; did you mean huggingface?"),
    (
        "{kind: s3}",
        "24: upstreams.it.kind: 's3' is no kind of upstream; write huggingface, directory, own, mirror or modelscope",
    ),
    ("{kind: 7}", "24: upstreams.it.kind: must be huggingface, directory, own, mirror or modelscope"),
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
        "{kind: huggingface, endpoints: [{url: 'ftp://x.org'}]}",
        f"55: upstreams.it.endpoints[0].url: {HOST}",
    ),
    (
        "{kind: huggingface, endpoints: [{token: x}]}",
        "49: upstreams.it.endpoints[0].url: is missing; write url: https://hub.example.org",
    ),
    (
        "{kind: huggingface, endpoints: [{url: 'https://x.org', tokn: x}]}",
        "72: upstreams.it.endpoints[0].tokn: this key is not known; did you mean token?",
    ),
    (
        "{kind: huggingface, endpoints: [7]}",
        "49: upstreams.it.endpoints[0]: must be an address like https://huggingface.co",
    ),
    (
        "{kind: huggingface, endpoints: [{url: 'https://x.org', token: a, token_file: /none}]}",
        "94: upstreams.it.endpoints[0].token_file: stands beside token, where only one can be; remove one",
    ),
    (
        "{kind: huggingface, endpoints: [{url: 'https://x.org', token_file: /none}]}",
        ("84: upstreams.it.endpoints[0].token_file: there is no such file; write the path of a file with the token"),
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
    ("{kind: huggingface, prefer: quickest}", "45: upstreams.it.prefer: 'quickest' is not order or fastest"),
    (
        "{kind: huggingface, prefer: fastest}",
        "17: upstreams.it: prefer: fastest chooses among several endpoints, and there is one; remove it",
    ),
    (
        "{kind: modelscope, prefer: fastest}",
        "36: upstreams.it.prefer: this key chooses among endpoints, which only kind: huggingface has; remove it",
    ),
    ("{kind: huggingface, reserve: 95%}", "46: upstreams.it.reserve: '95%' is no share from 0% to 90%; write 10%"),
    ("{kind: huggingface, reserve: 0.1}", "46: upstreams.it.reserve: '0.1' is no share from 0% to 90%; write 10%"),
    (
        "{kind: huggingface, allow_private: yes}",
        "52: upstreams.it.allow_private: 'yes' is not true or false (on and off will do)",
    ),
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
