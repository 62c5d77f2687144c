"""What `check` warns of: what is allowed, and was hardly meant; and secrets that everybody on the machine may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mirror_sync.config.load import load
from mirror_sync.errors import ConfigError
from tests.config.texts import JOBS, LICENSES, REST, TARGETS, UPSTREAMS, faults, settings, warnings


def approving(repo: str, repos: str = "[acme/small, dataset:acme/rows, 'other/*', '!other/x']") -> list[str]:
    licenses = f"licenses: {{allow: [mit], approved: [{{repo: '{repo}', by: Jane, why: read}}]}}\n"
    return warnings(f"{UPSTREAMS}{TARGETS}{licenses}jobs: [{{name: one, repos: {repos}}}]\n")


@pytest.mark.parametrize("repo", ["acme/small", "dataset:acme/rows", "other/y"])
def test_an_approval_of_what_a_job_names_is_in_order(repo: str) -> None:
    assert approving(repo) == []


@pytest.mark.parametrize(
    ("repo", "why"),
    [
        ("acme/smal", "job one does not name it; did you mean acme/small?"),
        ("Acme/Small", "job one does not name it; did you mean acme/small?"),
        ("acme/rows", "job one does not name it; did you mean dataset:acme/rows?"),
        ("nobody/else", "job one does not name it"),
        ("other/x", "'!other/x' under repos of job one denies it"),
    ],
)
def test_an_approval_of_what_no_job_names_is_told_with_what_was_likely_meant(repo: str, why: str) -> None:
    assert approving(repo) == [f"3:44: licenses.approved[0].repo: '{repo}' is approved, and {why}"]


def test_a_jobs_own_approval_is_for_what_that_job_names() -> None:
    own = "licenses: {approved: [{repo: acme/b, by: Jane, why: read}]}"
    text = f"{REST}jobs:\n- {{name: one, repos: [acme/a], {own}}}\n- {{name: two, repos: [acme/b]}}\n"
    (said,) = warnings(text)
    assert "jobs[0].licenses.approved[0].repo: 'acme/b' is approved, and job one does not name it" in said


@pytest.mark.parametrize("url", ["my-bucket/models", "bucket", "s3.example.org/bucket", "srv/mirror"])
def test_a_target_without_a_scheme_is_told_which_folder_it_becomes(url: str, tmp_path: Path) -> None:
    text = f"{UPSTREAMS}targets: {{t: {{url: {url}}}}}\n{LICENSES}{JOBS}"
    (warning,) = settings(text, tmp_path).warnings
    becomes = f"'{url}' has no scheme, and becomes the folder {tmp_path / url}"
    assert warning.message == f"{becomes}; write './{url}' if that is meant, else s3://..."


def test_a_bound_is_told_where_nobody_can_know_here_what_is_read(tmp_path: Path) -> None:
    keep = "keep: {bytes: 1GB, logs: [logs/one*, logs/two*]}"
    text = f"{UPSTREAMS}targets: {{t: {{url: ./t, {keep}}}}}\n{LICENSES}{JOBS}front: {{by_digest: true}}\n"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/one.log").touch()
    told = (one.message for one in settings(text, tmp_path).warnings)
    assert sorted(one for one in told if "may read everything" not in one) == [
        f"there is no {tmp_path}/logs/two* on this machine: no prune lets anything go here",
        "what front: {by_digest} gives is of no repo: after each such read counting begins anew",
    ]
    (tmp_path / "logs/two.log").touch()
    assert not any("on this machine" in one.message for one in settings(text, tmp_path).warnings)


def test_tiers_say_what_they_are_less_without(tmp_path: Path) -> None:
    tiers = "tiers: {logs: [log*], cold: {after_unread: 30d, target: {url: 's3://archive'}}}"
    text = f"{UPSTREAMS}targets: {{t: {{url: ./t, {tiers}}}}}\n{LICENSES}{JOBS}"
    told = (one.message for one in settings(text, tmp_path).warnings)
    assert sorted(one for one in told if "may read everything" not in one) == [
        (
            "files are moved after each prune of the daemon, and there is none: write maintenance: {prune: ...}, or "
            "have mirror-sync archive --all-due run by a timer"
        ),
        (
            "fronts ask the daemon for files that they cannot give at once, and it answers only those that know its "
            'secret; write http: {front_secret: "${FRONT_SECRET}"}'
        ),
        f"there is no {tmp_path}/log* on this machine: nothing goes cold here by itself",
    ]


@pytest.mark.parametrize("url", ["./mirror", "../mirror", "/srv/mirror", "file:mirror", "file:///srv/m", "s3://bucket"])
def test_a_target_that_says_what_it_is_gives_no_doubt(url: str) -> None:
    assert warnings(f"{UPSTREAMS}targets: {{t: {{url: '{url}'}}}}\n{LICENSES}{JOBS}") == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("gpl3", "gpl-3.0"),
        ("GPLv3", "gpl-3.0"),
        ("apache2", "apache-2.0"),
        ("lgpl2.1", "lgpl-2.1"),
        ("cc-by-4", "cc-by-4.0"),
        ("MITT", "mit"),
        ("lama3", "llama3"),
    ],
)
def test_a_misspelt_licence_is_quoted_as_it_was_written_and_its_version_counts(said: str, meant: str) -> None:
    (told,) = warnings(f"{UPSTREAMS}{TARGETS}licenses: {{allow: [mit, {said}]}}\n{JOBS}")
    assert told.endswith(f": {said!r} is no licence id that the Hub is known to use; did you mean {meant}?")


def test_a_misspelt_licence_is_told_beside_the_faults_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    select = "select: {author: acme, licenses: [mitt]}, licenses: {review: [gemmma], allow: [other]}"
    licenses = "licenses: {allow: [apache2], zzz: 1}\n"
    path.write_text(f"{UPSTREAMS}{TARGETS}{licenses}jobs: [{{name: 'a b', {select}}}]\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert [fault.where for fault in caught.value.faults] == [
        "licenses.zzz",
        "jobs[0].name",
        "jobs[0].licenses.allow[0]",
    ]
    assert [warning.where for warning in caught.value.warnings] == [
        "licenses.allow[0]",
        "jobs[0].select.licenses[0]",
        "jobs[0].licenses.review[0]",
    ]


@pytest.mark.parametrize(
    ("repos", "told"),
    [
        ("[acme/x, acme/y, acme/x]", "[2]: 'acme/x' stands above already; one of them is enough"),
        ("[acme/x, Acme/X]", "[1]: 'Acme/X' stands above already as 'acme/x', in other letters; one of them is enough"),
        ("['acme/*', 'acme/*']", "[1]: 'acme/*' stands above already; one of them is enough"),
        ("['acme/*', '!acme/x', '!acme/x']", "[2]: '!acme/x' stands above already; one of them is enough"),
        (
            "[gpt2, openai-community/gpt2]",
            (
                "[0]: 'gpt2' is likely 'openai-community/gpt2', to which an old name without an owner leads; "
                "one of them is enough"
            ),
        ),
    ],
)
def test_a_repo_that_one_job_names_twice_is_a_warning(repos: str, told: str) -> None:
    (warning,) = warnings(f"{REST}jobs:\n- name: one\n  repos: {repos}\n")
    assert warning.endswith(f": jobs[0].repos{told}")


@pytest.mark.parametrize("repos", ["[acme/x, 'dataset:acme/x']", "[acme/x, 'acme/*']", "['acme/X*', 'acme/x*']"])
def test_what_may_be_two_repos_and_a_name_beside_a_glob_are_no_repetition(repos: str) -> None:
    assert warnings(f"{REST}jobs:\n- name: one\n  repos: {repos}\n") == []


def test_folders_that_differ_in_letters_alone_are_two_repos() -> None:
    upstreams = "upstreams: {disk: {kind: directory, url: ./import}}\n"
    text = f"{upstreams}{TARGETS}licenses: {{allow: [mit]}}\njobs: [{{name: a, repos: [acme/x, acme/X]}}]\n"
    assert warnings(text) == []


def test_what_looks_like_a_commit_that_is_not_whole_is_a_warning() -> None:
    whole = "0123456789abcdef0123456789abcdef01234567"
    said = [whole, whole[:39], whole[:7] + "a", whole + "0", whole.upper(), "main", "deadbeef", "20240101"]
    text = (
        f"{REST}defaults: {{revisions: ['{whole[1:]}']}}\njobs:\n- name: one\n  repos: [acme/x]\n  revisions: {said}\n"
    )
    taken, has = "is taken for the name of a branch or tag", "the id of a commit has"
    assert [one.partition(": ")[2] for one in warnings(text)] == [
        f"defaults.revisions[0]: '{whole[1:]}' {taken}: {has} 40 digits (0-9, a-f), not 39",
        f"jobs[0].revisions[1]: '{whole[:39]}' {taken}: {has} 40 digits (0-9, a-f), not 39",
        f"jobs[0].revisions[2]: '{whole[:7]}a' {taken}: {has} 40 digits (0-9, a-f), not 8",
        f"jobs[0].revisions[3]: '{whole}0' {taken}: {has} 40 digits (0-9, a-f), not 41",
        f"jobs[0].revisions[4]: '{whole.upper()}' {taken}: {has} small letters alone",
    ]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which those of pytest are not."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


SECRETS = """\
upstreams: {hub: {kind: huggingface, token: SAID}}
targets: {s3: {url: "s3://bucket", access_key: AKIDEXAMPLE, secret_key: "${KEY}"}}
"""
OPEN = 'write "${NAME}" and set it in the environment, or let none but its readers read the file: chmod o='


def write(folder: Path, said: str, mode: int) -> list[str]:
    path = folder / "jobs.yaml"
    path.write_text(SECRETS.replace("SAID", said) + LICENSES + JOBS, encoding="utf-8")
    path.chmod(mode)
    environ = {"KEY": "secretsecret", "TOKEN": "hf_1234567"}
    return [f"{found.where}: {found.message}" for found in load(path, environ).warnings]


@pytest.mark.parametrize("said", ["hf_literal", "pre-${TOKEN}", "${NOT_SET:-hf_default}"])
def test_a_secret_that_stands_in_a_file_that_everybody_may_read_is_told(open_folder: Path, said: str) -> None:
    """Not repeated, and not what a variable holds, nor an access key, which names an account."""
    (warning,) = write(open_folder, f"'{said}'", 0o644)
    told = "stands here as text, and jobs.yaml may be read by everybody here (mode 0644); "
    assert warning == f"upstreams.hub.token: {told}{OPEN}"


@pytest.mark.parametrize(("said", "mode"), [("'${TOKEN}'", 0o644), ("'${NONE:-}'", 0o644), ("hf_literal", 0o640)])
def test_a_variable_and_a_file_that_others_may_not_read_give_no_doubt(open_folder: Path, said: str, mode: int) -> None:
    assert write(open_folder, said, mode) == []


def test_a_file_below_a_folder_that_others_may_not_enter_is_not_open(open_folder: Path) -> None:
    assert write(open_folder, "hf_literal", 0o604)
    open_folder.chmod(0o700)
    assert write(open_folder, "hf_literal", 0o604) == []


def test_a_tokens_file_that_everybody_may_read_is_told_by_its_name(open_folder: Path) -> None:
    tokens = "upstreams: {hub: {kind: huggingface, token_file: token, endpoints: [https://a.org, ENDPOINT]}}\n"
    text = tokens.replace("ENDPOINT", "{url: https://b.org, token_file: other}") + TARGETS + LICENSES + JOBS
    for name in ("token", "other"):
        (open_folder / name).write_text("hf_1234567", encoding="utf-8")
        (open_folder / name).chmod(0o644)
    said = [f"{one.where}: {one.message}" for one in settings(text, open_folder).warnings]
    places = {"upstreams.hub.token_file": "token", "upstreams.hub.endpoints[1].token_file": "other"}
    assert sorted(said) == sorted(
        f"{place}: '{name}' may be read by everybody here (mode 0644); chmod 600 it" for place, name in places.items()
    )
    for name in ("token", "other"):
        (open_folder / name).chmod(0o640)
    assert settings(text, open_folder).warnings == ()


def test_a_repo_that_no_registry_can_name_is_a_warning_where_that_door_is_open() -> None:
    jobs = "jobs:\n- {name: one, repos: [acme/fine, acme/_odd, 'acme/*']}\n"
    assert warnings(f"{REST}{jobs}") == []
    (said,) = warnings(f"{REST}front: {{oci: true}}\n{jobs}")
    assert "'acme/_odd' is not in the registry (front: {oci: true}): its clients take no such name" in said


def test_torrents_want_an_address_of_the_mirror_and_trackers_that_are_addresses() -> None:
    (said,) = faults(f"{REST}front: {{torrents: true}}\n{JOBS}")
    assert "front.torrents" in said
    assert "wants front.url: torrents name the address of the mirror; write url: https://models.example.org" in said
    front = "url: 'https://m.example.org', torrents: {trackers: ["
    assert settings(f"{REST}front: {{{front}'udp://t.example.org:6969']}}}}\n{JOBS}").warnings == ()
    for bad in ("t.example.org:6969", "ftp://t.example.org/", "http://user:word@t.example.org/", "http://t/a b"):
        (said,) = faults(f"{REST}front: {{{front}{bad!r}]}}}}\n{JOBS}")
        assert "must be an address like http://tracker.example.org:6969/announce" in said
    (doubt,) = warnings(f"{REST}site: {{enabled: false}}\nfront: {{{front}'udp://t.example.org:6969']}}}}\n{JOBS}")
    assert "is made with the catalogue, which is off" in doubt


def test_images_that_an_nginx_would_not_have_are_a_warning_until_that_is_meant() -> None:
    (doubt,) = warnings(f"{REST}front: {{oci: {{images: true}}}}\n{JOBS}")
    assert 'an nginx has no layer of them, so that it gives none: write layers: "" where that is meant' in doubt
    for layers in ("''", "'http://127.0.0.1:8081'"):
        assert warnings(f"{REST}front: {{oci: {{images: true, layers: {layers}}}}}\n{JOBS}") == []


def test_a_front_does_not_pass_layers_to_itself() -> None:
    front = "front: {listen: '127.0.0.1:8081', oci: {images: true, layers: 'http://127.0.0.1:8081'}}\n"
    (said,) = faults(f"{REST}{front}{JOBS}")
    assert "front.oci.layers: is where this front listens itself" in said


def test_what_the_s3_door_cannot_give_is_told() -> None:
    front = "front: {s3: true}\nsite: {enabled: false}\n"
    text = f"{UPSTREAMS}{TARGETS}{LICENSES}{front}jobs: [{{name: one, repos: [gpt2, acme/a]}}]\n"
    listless, keyless = warnings(text)
    assert "front.s3: no list of repos is published" in listless
    assert "'gpt2' has no key of S3" in keyless


@pytest.mark.parametrize(
    ("front", "why"),
    [
        ("s3_listen: 127.0.0.1:9000", "s3_listen is a port of the S3 door, which is shut; write s3: true beside it"),
        ("s3: true, s3_listen: 127.0.0.1:8080", "s3_listen is the port of listen, 8080; write another one"),
    ],
)
def test_the_s3_doors_own_port_is_of_an_open_door_and_no_other(front: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        settings(f"{UPSTREAMS}{TARGETS}{LICENSES}front: {{{front}}}\n{JOBS}")


def test_the_front_of_a_replica_is_another_one_than_the_targets_and_of_that_replica_alone() -> None:
    def written(replicas: str) -> str:
        text = REST.replace("targets:", "front: {url: 'https://m.example.org/hub/'}\ntargets:")
        return text.replace("url: ./mirror", f"url: ./mirror, replicas: [{replicas}]") + JOBS

    far, near = "{name: far, url: ./far, front: 'https://%s'}", "{name: near, url: ./near, front: 'https://%s/'}"
    fine = settings(written(far % "far.example.org" + ", " + near % "far.example.org/two"))
    assert [one.url for one in fine.fronts_beside("disk")] == ["https://far.example.org", "https://far.example.org/two"]
    (fault,) = faults(written(far % "m.example.org/hub"))
    assert "targets.disk.replicas[0].front" in fault
    assert "is front.url, where readers are already" in fault
    (fault,) = faults(written(far % "far.example.org" + ", " + near % "far.example.org"))
    assert "is that of 'far', too: each replica has a front of its own" in fault
    (fault,) = faults(written(far % "user:word@far.example.org"))
    assert "an address with a user or password" in fault
