"""What a command imports: start-up is most of what a run over an unchanged mirror costs, and this guards it untimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror_sync import __version__
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.cli.program import CONFIG, Program
from tests.front.bucket import model
from tests.front.mirrors import by_serve
from tests.servers.bucket import S3Server
from tests.standin import Hub

DEAR = {
    *("apscheduler", "asyncio", "anyio", "boto3", "botocore", "dask", "distributed", "filelock", "h11", "httpcore2"),
    *(
        "httpx2",
        "huggingface_hub",
        "multiprocessing",
        "prometheus_client",
        "rich",
        "starlette",
        "structlog",
        "tenacity",
    ),
    *("truststore", "urllib3", "uvicorn", "opentelemetry", "google", "requests", "mirror_sync.observe.tracing"),
}
"""What no command over directories and a Hub needs, by the names of packages: libraries, and what is there for one."""
PAGES = {"jinja2", "markupsafe", "mirror_sync.catalogue", "mirror_sync.front"}
MODELS = {"mirror_sync.config", "mirror_sync.domain", "yaml"}
MEMORY = {"mirror_sync.engine", "mirror_sync.state", "sqlite3"}
NETWORK = {"http.client", "mirror_sync.net", "ssl"}

# What each must not import, and how many modules it may: ours, and all together. A tenth is left for other versions of
# libraries, and for what is added; who raises a number has seen by `python -X importtime` what for.
COMMANDS: dict[tuple[str, ...], tuple[set[str], int, int]] = {
    ("--version",): ({"argparse", "json", "logging", "pydantic", "typer", *MODELS, *MEMORY, *NETWORK, *PAGES}, 4, 90),
    ("--help",): ({"yaml", *MEMORY, *NETWORK, *PAGES}, 126, 360),
    ("check",): ({*NETWORK, *PAGES, "mirror_sync.engine", "sqlite3"}, 151, 470),
    ("status",): ({*NETWORK, *PAGES, "mirror_sync.engine.sync", "mirror_sync.sources"}, 192, 540),
    ("plan",): ({*NETWORK, *PAGES, "mirror_sync.engine.transfer", "mirror_sync.engine.upkeep"}, 261, 600),
    ("sync",): ({*NETWORK, "mirror_sync.engine.upkeep"}, 310, 670),
    ("verify",): ({*NETWORK, *PAGES, "mirror_sync.engine.sync", "mirror_sync.engine.upkeep.prune"}, 265, 590),
}
HUB = ({"ssl", "http.client", "mirror_sync.engine.upkeep"}, 325, 690)


@pytest.fixture
def synced(tmp_path: Path) -> Program:
    """A program whose one job has been done."""
    made = Program(tmp_path)
    made.write(CONFIG.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", ""))
    made.add_repo("acme/one", weights="12345")
    assert made("sync").code == 0
    return made


def imported(program: Program, *arguments: str, **environ: str) -> list[str]:
    made = Program(program.folder, ("-P", "-m", "tests.cli.modules"), program.environ)
    ended = made(*arguments, MODULES=str(program.folder / "modules"), **environ)
    assert ended.code == 0, ended.err
    return (program.folder / "modules").read_text(encoding="utf-8").splitlines()


def check(modules: list[str], forbidden: set[str], ours: int, all_of_them: int) -> None:
    barred = DEAR | forbidden
    assert [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in barred)] == []
    assert len([name for name in modules if name.split(".")[0] == "mirror_sync"]) <= ours
    assert len(modules) <= all_of_them


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_imports_what_it_needs_and_no_more(synced: Program, arguments: tuple[str, ...]) -> None:
    check(imported(synced, *arguments), *COMMANDS[arguments])


def test_a_shell_that_completes_a_repo_waits_for_no_more_than_the_names(synced: Program) -> None:
    line = {"_MIRROR_SYNC_COMPLETE": "complete_bash", "COMP_WORDS": "mirror-sync status acme/", "COMP_CWORD": "2"}
    check(imported(synced, **line), {*NETWORK, *PAGES, "mirror_sync.engine", "mirror_sync.app"}, 64, 400)


@pytest.mark.parametrize("said", ["", "state_dir: ${NOWHERE:-./kept}"])
def test_a_shell_completes_what_runs_have_found_wherever_the_state_lies(program: Program, said: str) -> None:
    program.write(CONFIG.replace("state_dir: state", said).replace("[acme/one]", "[acme/*]"))
    assert program("sync", "good").code == 0
    line = {"_MIRROR_SYNC_COMPLETE": "complete_bash", "COMP_WORDS": "mirror-sync archive acme/o", "COMP_CWORD": "2"}
    assert "acme/one" in program(**line).out.split()


def test_an_unchanged_repo_of_a_hub_needs_no_library_of_the_hubs(tmp_path: Path, hub: Hub) -> None:
    repo = hub.model("acme/one", license="mit")
    repo.commit({"README.md": b"---\nlicense: mit\n---\n"})
    program = Program(tmp_path)
    local = 'kind: directory, url: "file://FOLDER/upstream"'
    config = CONFIG.replace(local, f"kind: huggingface, endpoints: [{hub.url}]")
    program.write(config.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", ""))
    first = imported(program, "sync")
    check(first, *HUB)  # nor does the first sync of it
    for command in ("plan", "sync"):
        check(imported(program, command), *HUB)


def test_a_bucket_needs_botocore_alone_and_no_catalogue_no_templates(tmp_path: Path, moto: S3Server) -> None:
    program = Program(tmp_path)
    place = json.dumps(moto.place())[1:-1]
    program.write(f"site: {{enabled: false}}\n{CONFIG}".replace('url: "file://FOLDER/mirror"', place))
    program.add_repo("acme/one", weights="12345")
    modules = imported(program, "sync", "good")
    barred = {"boto3", "s3transfer", *PAGES}
    assert [name for name in modules if name.split(".")[0] in barred or name.startswith("mirror_sync.catalogue")] == []


def test_a_pull_imports_the_way_to_a_mirror_and_nothing_of_a_sync(tmp_path: Path) -> None:
    with by_serve(DirectoryStore(tmp_path / "bucket")) as mirror:
        repo = model(mirror.store)
        repo.publish({"f": b"pulled"})
        said = imported(Program(tmp_path), "pull", str(repo.repo), "--from", mirror.url, "--dir", "out")
    check(
        said, {*PAGES, "mirror_sync.engine.sync", "mirror_sync.signing", "mirror_sync.state", "ssl", "yaml"}, 130, 480
    )


def test_only_what_a_line_of_words_names_is_imported_of_the_commands(synced: Program) -> None:
    modules = imported(synced, "status")
    commands = [name for name in modules if name.startswith("mirror_sync.cli.commands.") and name.endswith("_command")]
    assert commands == ["mirror_sync.cli.commands.mirror.status_command"]


def test_the_version_is_the_one_of_the_package(synced: Program) -> None:
    said = {synced(*arguments).out for arguments in (("--version",), ("--version", "-q"), ("-q", "--version"))}
    assert said == {f"mirror-sync {__version__}\n"}
