"""`site` compares the whole catalogue with what is there; every `sync` keeps it up to date."""

from __future__ import annotations

from tests.cli.program import CONFIG, Program


def test_the_command_puts_what_differs_and_says_how_much(program: Program) -> None:
    assert program("sync", "good").code == 0
    page = program.folder / "mirror" / "site" / "models" / "acme--one.html"
    good = page.read_bytes()
    page.write_bytes(good[::-1])
    ended = program("site")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("target disk: ")
    assert page.read_bytes() == good


def test_a_catalogue_that_is_switched_off_is_one_line(program: Program) -> None:
    program.write(f"{CONFIG}site: {{enabled: false}}\n")
    ended = program("site")
    assert ended.code == 2
    assert "switches the catalogue off" in ended.err
    assert program("sync", "good").code == 0
    assert not (program.folder / "mirror" / "site").exists()


def test_a_target_that_is_none_is_one_line(program: Program) -> None:
    ended = program("site", "nowhere")
    assert (ended.code, ended.out) == (2, "")
    assert "nowhere" in ended.err


def test_of_several_targets_one_must_be_named_as_the_command_takes_it(program: Program) -> None:
    other = '  disk: {url: "file://FOLDER/mirror"}\n  shelf: {url: "file://FOLDER/shelf"}\n'
    both = "  - {name: good, repos: [acme/one]}\n  - {name: more, repos: [acme/one], target: shelf}\n"
    config = CONFIG.replace('  disk: {url: "file://FOLDER/mirror"}\n', other)
    program.write(config.replace("  - {name: good, repos: [acme/one]}\n", both))
    ended = program("site")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("jobs.yaml has several targets: choose one by its name (disk, shelf)\n")
    assert program("site", "shelf").code == 0
