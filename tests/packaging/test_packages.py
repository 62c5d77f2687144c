"""What is packed: man pages and completion made from the commands, a wheel and a Debian package that run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mirror_sync.domain.outcome.events import RepoFinished
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind
from mirror_sync.state.history import History
from tests.parts import program
from tests.requirements import need

TOP = Path(__file__).parents[2]
UNITS = TOP / "systemd"
BUILDS = pytest.mark.timeout(900)  # the first of them fetches what the program needs


def ran(*command: str | Path, cwd: Path = TOP, **environ: str) -> str:
    outcome = subprocess.run(command, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man1")
    ran(sys.executable, "packaging/man.py", folder)
    return folder


def test_every_command_has_a_man_page_that_roff_takes_without_a_warning(pages: Path) -> None:
    need("man")
    commands = ["check", "daemon", "front-nginx", "plan", "sync", "verify"]
    assert {f"mirror-sync-{name}.1" for name in commands} < {page.name for page in pages.iterdir()}
    outcome = subprocess.run(
        [program("groff"), "-man", "-Tutf8", "-ww", *sorted(pages.iterdir())], capture_output=True, check=True
    )
    assert outcome.stderr == b""


def test_a_page_says_what_help_says(pages: Path) -> None:
    need("man")
    page = subprocess.run(
        [program("groff"), "-man", "-Tascii", "-P-c", "-P-b", "-P-u", pages / "mirror-sync-verify.1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    told = " ".join(page.split())
    assert "mirror-sync-verify - Prove by SHA-256 that what is published is whole" in told
    assert "--rate RATE Read no faster than this, like 50MB/s." in told


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mirror-sync ver", ["verify"]),
        ("mirror-sync sync ", ["one", "two"]),
        ("mirror-sync status acme/", ["acme/found", "acme/named"]),
        ("mirror-sync status dataset:acme/", ["acme/rows"]),  # behind the colon: what stands before it is there already
        ("mirror-sync -c other.yaml status ", ["acme/elsewhere"]),
        ("mirror-sync trigger t", ["two"]),
        ("mirror-sync verify nobody/", [""]),
        ("mirror-sync doctor --target ", ["main"]),
    ],
)
def test_bash_completes_commands_and_names_of_jobs_targets_and_repos(
    tmp_path: Path, line: str, offered: list[str]
) -> None:
    need("man")
    jobs = "[{name: one, repos: [acme/named, 'acme/*', '!acme/not', 'dataset:acme/rows']}, {name: two}, {nme: x}, 3]"
    (tmp_path / "jobs.yaml").write_text(f"targets: {{main: {{}}}}\njobs: {jobs}\n")
    (tmp_path / "other.yaml").write_text("state_dir: none\njobs: [{repos: [acme/elsewhere]}]\n")
    (tmp_path / "var/state").mkdir(parents=True)
    history = History(tmp_path / "var/state/history.db")
    history(RepoFinished("r", RepoReport("one", Kind.MODEL, "acme/found", "main", RepoOutcome.FAILED)))
    history.close()
    (tmp_path / "mirror-sync").write_text(f'#!/bin/sh\nexec {sys.executable} -m mirror_sync "$@"\n')
    (tmp_path / "mirror-sync").chmod(0o755)
    script = (
        f"eval \"$(mirror-sync completion bash)\"; COMP_LINE='{line}'; COMP_POINT={len(line)}; "
        '_mirror_sync_completion mirror-sync; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = ran(program("bash"), "-c", script, cwd=tmp_path, PATH=path, PYTHONPATH=str(TOP))
    assert said.splitlines() == offered


def test_a_wheel_made_from_the_sdist_holds_all_that_the_program_reads(tmp_path: Path) -> None:
    ran(sys.executable, "-m", "build", "--outdir", tmp_path, TOP)
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {str(path.relative_to(TOP)) for path in (TOP / "mirror_sync").rglob("*") if path.is_file()}
    assert {name for name in here if "__pycache__" not in name} <= names
    assert not any(name.startswith(("tests/", "bench/")) for name in names)
    assert sdist.stat().st_size < 5_000_000
    [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
    assert "\nLicense-Expression: Apache-2.0\n" in zipfile.ZipFile(wheel).read(about).decode()
    assert zipfile.ZipFile(wheel).read(about.replace("METADATA", "licenses/LICENSE")) == (TOP / "LICENSE").read_bytes()
    with tarfile.open(sdist) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    assert {path.name for path in (*TOP.glob("*.md"), *TOP.glob("LICENSE"))} <= held


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("venv")
    copy = tmp_path_factory.mktemp("checkout")
    ran("cp", "-a", *(TOP / name for name in ("mirror_sync", "packaging", "systemd", "docs", "monitoring")), copy)
    ran(
        "cp",
        *(TOP / name for name in ("pyproject.toml", "LICENSE", "jobs.yaml")),
        *TOP.glob("*.md"),
        copy,
    )
    ran(copy / "packaging/deb.sh", cwd=copy, PYTHON=sys.executable, DPKG_DEB_COMPRESSOR_TYPE="none")
    [built] = (copy / "dist").glob("mirror-sync_*.deb")
    return built


@BUILDS
def test_a_debian_package_holds_a_program_that_runs(package: Path, tmp_path: Path) -> None:
    ran("dpkg-deb", "-x", package, tmp_path)
    venv = tmp_path / "opt/mirror-sync"
    assert "mirror-sync " in program_in(venv, "--version")
    assert (venv / "bin/mirror-sync").read_text().startswith("#!/opt/mirror-sync/bin/python")
    jobs = tmp_path / "etc/mirror-sync/jobs.yaml"
    assert ": ok, " in program_in(venv, "-c", jobs, "check")
    assert "url: file:///srv/mirror" in jobs.read_text()
    for name in (
        *(f"usr/lib/systemd/system/{unit.name}" for kind in ("service", "timer") for unit in UNITS.glob(f"*.{kind}")),
        "usr/share/man/man1/mirror-sync-sync.1.gz",
        "usr/share/doc/mirror-sync/copyright",
        "usr/share/doc/mirror-sync/docs/guide/configuration.md",
        "usr/share/doc/mirror-sync/monitoring/alerts.yml",
        "usr/share/doc/mirror-sync/examples/rsyncd.conf",
        "usr/share/doc/mirror-sync/examples/rsync-pull",
    ):
        assert (tmp_path / name).is_file()
    assert (tmp_path / "usr/bin/mirror-sync").read_bytes() == (TOP / "packaging/mirror-sync").read_bytes()


ENVIRONMENT = """# what the unit reads, too
HF_TOKEN=hf_a$b&c;d
; a comment
S3_SECRET_KEY='a"b\\c $HOME'
PROXY="http://a b"
EMPTY=
LAST=1"""


def test_the_command_of_the_package_knows_its_configuration_and_the_variables_of_its_unit(tmp_path: Path) -> None:
    said = wrapped(tmp_path, ENVIRONMENT)
    assert said == {
        "MIRROR_SYNC_CONFIG": f"{tmp_path}/etc/jobs.yaml",
        "HF_TOKEN": "hf_a$b&c;d",
        "S3_SECRET_KEY": 'a"b\\c $HOME',
        "PROXY": "http://a b",
        "EMPTY": "",
        "LAST": "1",
    }
    mine = {"HF_TOKEN": "", "MIRROR_SYNC_CONFIG": "mine.yaml"}
    assert wrapped(tmp_path, ENVIRONMENT, **mine) == said | mine, "what the caller has set stands"


@pytest.mark.parametrize("line", ["HF_TOKEN = x", "export A=1", "A='x'y", "A=a\\b", 'A="x\\ty"', "1A=3", " A=3", "x"])
def test_a_line_that_a_shell_and_systemd_may_read_apart_is_told_and_nothing_runs(tmp_path: Path, line: str) -> None:
    with pytest.raises(AssertionError, match=r"etc/environment, line 2: write NAME='value', without spaces around"):
        wrapped(tmp_path, f"A=1\n{line}\n")


def wrapped(folder: Path, environment: str, **caller: str) -> dict[str, str]:
    """The variables with which the package's command starts the program, of those that a caller may have set."""
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "environment").write_text(environment, encoding="utf-8")
    script = (TOP / "packaging/mirror-sync").read_text(encoding="utf-8")
    (folder / "mirror-sync").write_text(
        script.replace("/etc/mirror-sync\n", f"{etc}\n").replace("/opt/mirror-sync/bin/mirror-sync", "env -0"),
        encoding="utf-8",
    )
    command = (program("env"), "-i", *(f"{name}={value}" for name, value in caller.items()), program("sh"))
    lines = ran(*command, folder / "mirror-sync").split("\0")
    told = dict(line.partition("=")[::2] for line in lines if line)
    return {name: value for name, value in told.items() if name not in {"PWD", "OLDPWD", "SHLVL", "_"}}


def program_in(venv: Path, *arguments: str | Path) -> str:
    """What the program says on the Python of these tests: that of the package is Debian's, which need not be here."""
    [site] = venv.glob("lib/python3.*/site-packages")
    return ran(
        sys.executable, "-m", "mirror_sync", *arguments, cwd=venv, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE=""
    )


@BUILDS
def test_it_runs_on_the_python_that_it_depends_on_and_writes_nothing_beside_itself(
    package: Path, tmp_path: Path
) -> None:
    ran("dpkg-deb", "-x", package, tmp_path)
    venv = tmp_path / "opt/mirror-sync"
    assert re.fullmatch(r"/usr/bin/python3\.\d+", str((venv / "bin/python3").readlink()))
    assert str((venv / "bin/python").readlink()) == "python3"
    assert [path.name for path in sorted((venv / "bin").glob("python*"))] == ["python", "python3"]
    assert "home = /usr/bin\n" in (venv / "pyvenv.cfg").read_text()
    before = set(venv.rglob("*.pyc"))
    assert len(before) > 1000
    program_in(venv, "--help")
    assert set(venv.rglob("*.pyc")) == before


class Dpkg:
    """dpkg on a root of its own that holds nothing else, without chroot: what it depends on is this machine's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("info", "updates"):
            (root / "var/lib/dpkg" / folder).mkdir(parents=True)
        for name in ("var/lib/dpkg/status", "var/lib/dpkg/available"):
            (root / name).touch()

    def __call__(self, *arguments: str | Path) -> None:
        forced = "--force-depends,script-chrootless,confold"
        ran("dpkg", f"--root={self.root}", f"--log={self.root}/log", forced, *arguments)

    @property
    def state(self) -> str:
        shown = ("--show", "--showformat", "${db:Status-Abbrev}${Version}", "mirror-sync")
        return ran("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", *shown)

    def owned(self, name: str) -> tuple[str, str]:
        """A file's mode, and its owner by the users of this root."""
        found = (self.root / name).stat()
        users = (line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines())
        return f"{found.st_mode & 0o777:o}", {int(user[2]): user[0] for user in users}.get(found.st_uid, "root")


@BUILDS
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")
def test_dpkg_installs_upgrades_removes_and_purges_it(package: Path, tmp_path: Path) -> None:
    """A configuration that was edited outlives upgrades and removal; what was mirrored outlives the purge, too."""
    need("systemd")
    dpkg = Dpkg(tmp_path / "root")
    version = ran("dpkg-deb", "--field", package, "Version").strip()
    dpkg("--install", package)
    assert dpkg.state == f"ii {version}"
    assert dpkg.owned("srv/mirror") == ("755", "mirror-sync")
    assert dpkg.owned("etc/mirror-sync") == ("755", "root")
    assert dpkg.owned("var/lib/mirror-sync") == ("750", "mirror-sync"), "whoever runs it first, root has not made it"

    jobs, state = dpkg.root / "etc/mirror-sync/jobs.yaml", dpkg.root / "var/lib/mirror-sync"
    jobs.write_text("mine")
    (dpkg.root / "etc/mirror-sync/environment").write_text("HF_TOKEN=secret")
    (dpkg.root / "srv/mirror/blob").touch()
    dpkg("--install", newer(package, tmp_path / "newer"))
    assert dpkg.state == f"ii {version}+1"
    assert (jobs.read_text(), jobs.with_suffix(".yaml.dpkg-dist").read_text()) == ("mine", "theirs")
    assert dpkg.owned("etc/mirror-sync/environment") == ("600", "root")

    dpkg("--remove", "mirror-sync")
    assert dpkg.state == f"rc {version}+1"
    assert not (dpkg.root / "opt").exists()
    assert (jobs.read_text(), state.exists()) == ("mine", True)

    dpkg("--purge", "mirror-sync")
    assert not jobs.parent.exists()
    assert not state.exists()
    assert (dpkg.root / "srv/mirror/blob").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")
def test_a_state_folder_that_is_there_stays_with_all_that_is_in_it_whose_it_is(tmp_path: Path) -> None:
    """What the package does when it is configured, and a boot does, on a machine whose program runs by root's cron."""
    need("systemd")
    for kind, kept in (("sysusers", "sysusers.d"), ("tmpfiles", "tmpfiles.d")):
        folder = tmp_path / "usr/lib" / kept
        folder.mkdir(parents=True)
        (folder / "mirror-sync.conf").write_bytes((TOP / f"systemd/mirror-sync.{kind}").read_bytes())
    (tmp_path / "etc").mkdir()
    state = tmp_path / "var/lib/mirror-sync"
    ran("sh", TOP / "packaging/postinst", "configure", DPKG_ROOT=str(tmp_path))
    made = state.stat()
    assert (made.st_mode & 0o777, made.st_uid != 0) == (0o750, True), "the first time it is not there"
    os.chown(state, 0, 0)
    state.chmod(0o700)
    (state / "history.db").touch()
    ran("sh", TOP / "packaging/postinst", "configure", "1.0", DPKG_ROOT=str(tmp_path))
    ran("systemd-tmpfiles", f"--root={tmp_path}", "--create", "--boot", "mirror-sync.conf")
    for path in (state, state / "history.db"):
        assert path.stat().st_uid == 0
    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("argument", "ended"), [("remove", True), ("upgrade", False), ("deconfigure", False)])
def test_every_unit_is_ended_before_its_file_goes(argument: str, ended: bool, tmp_path: Path) -> None:
    """prerm as dpkg runs it, with a folder in the place of systemd's own, and a systemctl that notes its words."""
    said, script = tmp_path / "said", (TOP / "packaging/prerm").read_text(encoding="utf-8")
    assert "/run/systemd/system" in script
    (tmp_path / "prerm").write_text(script.replace("/run/systemd/system", str(tmp_path)), encoding="utf-8")
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {said}\n', encoding="utf-8")
    (tmp_path / "systemctl").chmod(0o755)
    ran("sh", tmp_path / "prerm", argument, PATH=f"{tmp_path}:/usr/bin:/bin", DPKG_ROOT="")
    assert said.exists() is ended
    if ended:
        disable, now, *units = said.read_text(encoding="utf-8").split()
        assert (disable, now) == ("disable", "--now")
        assert set(units) == {unit.name for kind in ("service", "timer") for unit in UNITS.glob(f"*.{kind}")}


def newer(package: Path, folder: Path) -> Path:
    """The next version of a package, with another jobs.yaml."""
    ran("dpkg-deb", "--raw-extract", package, folder)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+1", control.read_text()))
    (folder / "etc/mirror-sync/jobs.yaml").write_text("theirs")
    built = folder.with_suffix(".deb")
    ran("dpkg-deb", "-Znone", "--build", folder, built)
    return built
