"""What a user reads about each fault of the licence lists, whole."""

from __future__ import annotations

import pytest

from tests.config.texts import JOBS, REST, TARGETS, UPSTREAMS, fault

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
            "5:20: licenses.allow[0]: 'Other' is not one licence but any; write other:<license_name> for "
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
    ("{allow: [mit], review: [MIT]}", "5:35: licenses.review[0]: 'MIT' is under allow as well; keep one of them"),
    ("{missing: perhaps}", "5:21: licenses.missing: 'perhaps' is not refuse, review or allow"),
    (
        "{approved: [{repo: 'a/*', by: x, why: y}]}",
        (
            "5:30: licenses.approved[0].repo: 'a/*' is no repo id: the letters a-z and A-Z, digits, '-', '_' and '.' "
            "are all that may stand in a name; write org/name"
        ),
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
