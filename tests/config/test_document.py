"""YAML with places: what is no jobs.yaml at all is one fault, which comes alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.config.yaml.document import read
from mirror_sync.errors import ConfigError
from tests.config.texts import JOBS, REST, fault, faults, settings

MAPPING = "write keys at the left margin, beginning with version: 1"
DEEP = "the file is nested deeper than 32 levels, or an alias contains itself"

STAR = 'a value that begins with * wants quotes, as in "*.bin"'
DENIAL = 'a value that begins with ! wants quotes, as in "!org/name"'
SPACE = "lacks a space after the colon of workers; write workers: and its value"
VERSION = "lacks a colon after version; write version: and its value"

UNREADABLE = {
    "empty": ("", f"1:1: the file is empty; {MAPPING}"),
    "only comments": ("# nothing yet\n", f"1:1: the file is empty; {MAPPING}"),
    "a list": ("- a\n", f"1:1: the file is no mapping; {MAPPING}"),
    "a sentence": ("hello there\n", f"1:1: the file is no mapping; {MAPPING}"),
    "a control character": ("a: 1\nb: \x07\n", "2:4: the character #x0007 is not allowed in YAML"),
    "a tab": ("jobs:\n\t- a\n", "2:1: a tab cannot indent in YAML; use spaces"),
    "an at sign": ("a: @b\n", "1:4: this character cannot begin a value; put the value in quotes"),
    "two colons": (
        "a: b: c\n",
        "1:5: a second ': ' in one line; put the value in quotes, or begin a new line",
    ),
    "no space": ("version: 1\nworkers:8\nstate_dir: x\n", f"2:1: {SPACE}"),
    "no colon": ("a: 1\nb\nc: 2\n", "2:1: a key without ': ' after it"),
    "bad indentation": ("a:\n  - b\n c: d\n", "3:2: the indentation does not fit the lines above"),
    "an open bracket": (
        "a: [b\nc: d\n",
        "2:2: brackets that are not closed, or lack a comma; between brackets, put ${NAME} in quotes",
    ),
    "a variable between brackets": (
        "a: {b: ${C}}\n",
        "1:9: brackets that are not closed, or lack a comma; between brackets, put ${NAME} in quotes",
    ),
    "an open quote": ('a: "b\n', "1:4: the file ends inside a quoted value"),
    "an unknown anchor": (
        "a: *b\n",
        '1:4: no anchor (&name) of this name stands above; a value that begins with * wants quotes, as in "*.bin"',
    ),
    "an anchor twice": ("a: &x 1\nb: &x 2\n", "2:4: this anchor (&name) stands already above"),
    "a star before a dot": ("a: [*.bin]\n", f"1:5: {STAR}"),
    "a star alone": ("a: *\n", f"1:4: {STAR}"),
    "a star in a list": ("a:\n  - *.x\n", f"2:5: {STAR}"),
    "an odd anchor": ("a: &.x b\n", '1:4: a value that begins with & wants quotes, as in "&name"'),
    "a denial at the end of brackets": ("a: [b/*, !b/c]\nx: 1\n", f"1:10: {DENIAL}"),
    "a denial alone in brackets": ("a: [ !b/c]\n", f"1:6: {DENIAL}"),
    "a denial after a quoted one": ("a: ['!b/d', \"!b/e\", !b/c-*]\n", f"1:21: {DENIAL}"),
    "a denial in a line of its own": ("a: [b/*,\n  !b/c]\n", f"2:3: {DENIAL}"),
    "two marks of a denial": ("a: !x!b c\n", f"1:4: {DENIAL}"),
    "a quoted denial in brackets that are not closed": (
        "a: ['!b/c'\nx: 1\n",
        "2:1: brackets that are not closed, or lack a comma; between brackets, put ${NAME} in quotes",
    ),
    "a first key without a colon": ("# x\nversion 1\nstate_dir: x\n", f"2:1: {VERSION}"),
    "a key without a colon, lines before the next": ("version 1\n\n\njobs:\n  - x: 1\n", f"1:1: {VERSION}"),
    "a later key without a colon": ("jobs: 1\nversion 1\nstate_dir: x\n", f"2:1: {VERSION}"),
    "a last key without a colon": ("jobs: 1\nversion 1\n", f"2:1: {VERSION}"),
    "a job's key without a colon": (
        "jobs:\n  - name one\n    repos: [a]\n",
        "2:3: lacks a colon after name; write name: and its value",
    ),
    "a word of nobody without a colon": ("secret 1\nversion: 1\n", "1:1: a key without ': ' after it"),
    "a key below a value": ("a: x\n  b: c\n", "2:3: the indentation does not fit the lines above"),
    "two documents": ("a: 1\n---\nb: 2\n", "2:1: the file holds a second document; remove the line ---"),
    "an escape beyond Unicode": ('a: "\\UFFFFFFFF"\n', "1:7: an escape or directive here names no character"),
    "an alias of itself": ("a: &a [*a]\n", f"1:4: {DEEP}"),
    "a deep nest": ("a: " + "[" * 40 + "]" * 40, f"1:36: {DEEP}"),
    "a very deep nest": ("[" * 5000, "1:1: the file is nested deeper than 32 levels"),
}


@pytest.mark.parametrize(("text", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_as_keys_is_one_plain_fault(text: str | bytes, message: str) -> None:
    assert fault(text) == message


def test_a_file_that_cannot_be_read_at_all_is_a_plain_fault_without_a_line(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: \xff\n")
    for path, message in (
        (tmp_path / "none.yaml", "there is no such file; name it with -c FILE, or in $MIRROR_SYNC_CONFIG"),
        (tmp_path, "this is a directory, not a file"),
        (huge, "the file is larger than 4 MiB"),
        (latin, "the file is not UTF-8 text (line 2)"),
        (huge / "below", "the file cannot be read: Not a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value) == f"{path}: {message}"


def test_aliases_cannot_unfold_without_bound() -> None:
    layers = "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 10)}]\n" for i in range(1, 9))
    message = fault(f"k0: &k0 [x, x, x, x, x, x, x, x, x, x]\n{layers}")
    assert message.endswith("the file unfolds to more than 200,000 values; use fewer aliases")


def test_faults_of_yaml_that_can_be_read_on_come_together() -> None:
    text = f"{REST}state_dir: a\nstate_dir: b\n1: x\n[2]: y\n? {{}}\n: z\nfront: !!map {{}}\n<<: {{a: b}}\n{JOBS}"
    assert faults(text) == [
        "jobs.yaml:5:1: state_dir: the key stands already in line 4; keep one of them",
        "jobs.yaml:6:1: a key must be text; put '1' in quotes",
        "jobs.yaml:7:1: a key must be text; a list or mapping stands here",
        "jobs.yaml:8:3: a key must be text; a list or mapping stands here",
        "jobs.yaml:10:8: tags (!!name) are not read here; remove it, or put the whole value in quotes",
        "jobs.yaml:11:1: merge keys (<<) are not read here; put common keys under defaults",
    ]


def test_what_no_text_may_hold_is_refused_where_an_escape_makes_it() -> None:
    assert faults(f'{REST}"a\\0": x\nstate_dir: "\\uD800"\n{JOBS}') == [
        "jobs.yaml:4:1: a key holds a character that no text may hold",
        "jobs.yaml:5:12: state_dir: the text holds a character that no text may hold",
    ]


def test_anchors_share_values_between_places() -> None:
    text = REST + "jobs:\n- {name: a, repos: &r [acme/x]}\n- {name: b, repos: *r, revisions: [v1]}\n"
    one, two = settings(text).jobs
    assert one.repos == two.repos


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert settings(f"\ufeff{REST}{JOBS}").jobs[0].name == "one"


@pytest.mark.parametrize(
    "word", ["on", "no", "yes", "12:30", "2024-01-01", "0x10", "1e3", ".inf", "1_000", "=", "9" * 30]
)
def test_words_that_older_yaml_reads_as_something_else_stay_text(word: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"a: {word}\n{word}: b\n", encoding="utf-8")
    document = read(path)
    assert document.value == {"a": word, word: "b"}
    assert not len(document.faults)


def test_numbers_truth_and_nothing_are_themselves(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: [1, -2, 010, 1.5, true, False, null, ~, ]\nb:\n", encoding="utf-8")
    assert read(path).value == {"a": [1, -2, 10, 1.5, True, False, None, None], "b": None}
