"""What a user reads about each fault of a target, whole."""

from __future__ import annotations

import pytest

from tests.config.texts import FOLDER, JOBS, LICENSES, UPSTREAMS, fault

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
    (
        "{url: gs://b}",
        "21: targets.it.url: 'gs' is not known here; write s3://bucket, file:///srv/mirror or ./var/mirror",
    ),
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
    (
        "{url: x, regon: y}",
        "24: targets.it.regon: this key is not known; the keys here are keep, tiers, replicas, grace and url",
    ),
    (
        "{url: x, keep: {bytes: 1GB}}",
        '30: targets.it.keep.logs: is missing; write logs: ["/var/log/mirror-front/access.log*"]',
    ),
    (
        "{url: x, keep: {logs: [a], bytes: 1}}",
        "49: targets.it.keep.bytes: '1' is no size; write 500MB, 16GiB or 0",
    ),
    (
        "{url: x, keep: {bytes: 0, logs: [a]}}",
        "38: targets.it.keep.bytes: 0 is no bound; write what may be held, as 200GB",
    ),
    ("{url: x, keep: {bytes: 1GB, logs: [a], by: size}}", "58: targets.it.keep.by: 'size' is not last-read"),
    (
        "{url: x, keep: {bytes: 1GB, logs: [a], unread: 1h}}",
        "30: targets.it.keep: unread is less than a day; write 1d or more",
    ),
    (
        "{url: x, keep: {bytes: 1GB, logs: [a], quiet: 8d}}",
        "30: targets.it.keep: quiet is to be 10m at least, and less than unread",
    ),
    (
        "{url: x, tiers: {cold: {after_unread: 30d, target: {url: y}}}}",
        '15: targets.it: tiers wants the logs of all fronts: write logs: ["/var/log/mirror-front/access.log*"]',
    ),
    (
        "{url: x, tiers: {logs: [a], cold: {after_unread: 30d, class: GLACIER}}}",
        "15: targets.it: class of tiers is for s3:// targets; write target: {url: file:///mnt/archive}",
    ),
    (
        "{url: 's3://bucket', tiers: {logs: [a], cold: {after_unread: 30d, class: STANDARD}}}",
        (
            "88: targets.it.tiers.cold.class: "
            "'STANDARD' is no colder class of storage; write GLACIER_IR, STANDARD_IA, GLACIER, ..."
        ),
    ),
    (
        "{url: 's3://bucket', tiers: {logs: [a], cold: {after_unread: 30d}}}",
        (
            "61: targets.it.tiers.cold: "
            "wants one of class and target: write class: GLACIER_IR, or target: {url: file:///mnt/archive}"
        ),
    ),
    (
        "{url: x, tiers: {logs: [a], cold: {after_unread: 1h, target: {url: y}}}}",
        "49: targets.it.tiers.cold: after_unread is less than a day; write 1d or more",
    ),
    (
        "{url: x, tiers: {logs: [a],warm_back: by-hand,warm_back_most: 5, cold: {after_unread: 3d, target: {url: y}}}}",
        "31: targets.it.tiers: warm_back_most bounds what comes back by itself; leave it out with warm_back: by-hand",
    ),
    (
        "{url: x, keep: {bytes: 1GB, logs: [a]}, tiers: {logs: [a], cold: {after_unread: 30d, target: {url: y}}}}",
        "15: targets.it: tiers counts by the logs and quiet of keep; remove logs of tiers",
    ),
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
