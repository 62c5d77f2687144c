"""What a stranger can do with public keys and their own programs: ssh-keygen, sha256sum, model_signing, CycloneDX."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import STATEMENT
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import SigningError
from mirror_sync.signing.bom import cyclonedx
from mirror_sync.signing.declared import SPDX
from mirror_sync.signing.spdx3 import spdx3
from tests.clients.environments import GENERATIONS, python
from tests.front.mirrors import by_either
from tests.published_files import read_manifest
from tests.requirements import need
from tests.servers.certificates import Authority
from tests.servers.child import child
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.signing.keys import elliptic_key
from tests.signing.mirrors import REPO, SignedMirror, another_signer
from tests.signing.stranger import STRICT, by_hand, model_signing, run, validate
from tests.signing.test_at_a_front import prove
from tests.signing.test_documents_that_are_signed import file_of, root_of

MAKERS = {"bom.cdx.json": cyclonedx, "bom.spdx3.json": spdx3}


@pytest.fixture
def handed(signed: SignedMirror, tmp_path: Path) -> Path:
    """A folder as a stranger has it: a copy of the files in `model`, the list, its signature, and the public keys."""
    signed.sync()
    folder = tmp_path / "stranger"
    signed.downloaded(folder / "model")
    for name in ("SHA256SUMS", "SHA256SUMS.sig", "model.sig", *STRICT):
        (folder / name).write_bytes(signed.attachment(name))
    (folder / "allowed_signers").write_bytes(signed.signers.encode())
    return folder


def test_three_lines_of_the_manual_prove_a_copy_with_ssh_keygen_and_sha256sum_alone(handed: Path) -> None:
    found = by_hand(handed)
    assert found.returncode == 0, found.stdout + found.stderr
    assert 'Good "mirror-sync" signature for Example-models' in found.stdout


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_the_lines_on_the_page_of_a_repo_prove_a_copy_as_they_stand_there(tmp_path: Path, front: str) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()}, catalogue=True)
    signed.sync()
    need("curl")
    with by_either(front, DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as mirror:
        page = mirror.get("/-/models/acme--one.html").body.decode()
        shown = re.search(r'<pre tabindex="0" id="check"><code>(.*?)</code></pre>', page, re.DOTALL)
        assert shown, page
        lines = unescape(re.sub(r"<span.*?</span>", mirror.url, shown[1]))  # as a script puts the address there
        folder = tmp_path / "stranger"
        signed.downloaded(folder / "model")
        (folder / "allowed_signers").write_bytes(signed.signers.encode())
        found = run(["/bin/sh", "-ec", lines], folder)
        assert found.returncode == 0, found.stdout + found.stderr
        assert 'Good "mirror-sync" signature for Example-models' in found.stdout
        (folder / "model/weights.bin").write_text("12346")
        assert run(["/bin/sh", "-ec", lines], folder).returncode != 0
        verdicts = mirror.get(f"/-/trust/models/acme/one/{signed.root().commit}/verdicts.json")
    assert f"trust/models/acme/one/{signed.root().commit}/verdicts.json" in page
    assert verdicts.status == 200
    assert 'data-badge="good"' in page


@pytest.mark.parametrize("harm", ["flipped", "missing", "list", "key"])
def test_the_same_lines_fail_for_what_was_changed(handed: Path, harm: str, tmp_path: Path) -> None:
    if harm == "flipped":
        (handed / "model/weights.bin").write_text("12346")
    elif harm == "missing":
        (handed / "model/odd \\ name\nof two lines").unlink()
    elif harm == "list":
        changed = (handed / "SHA256SUMS").read_text().replace("a", "b")
        (handed / "SHA256SUMS").write_text(changed)
    else:
        other = (handed / "allowed_signers").read_text().replace("Example-models", "another")
        (handed / "allowed_signers").write_text(other)
    assert by_hand(handed).returncode != 0


def test_the_list_is_what_sha256sum_writes_of_the_same_files(handed: Path) -> None:
    names = sorted(
        path.relative_to(handed / "model").as_posix() for path in (handed / "model").rglob("*") if path.is_file()
    )
    theirs = run(["sha256sum", "--", *names], handed / "model")
    assert theirs.stdout == (handed / "SHA256SUMS").read_text()


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "secp521r1"])
def test_model_signing_verifies_our_bundle_in_a_folder_as_hf_leaves_it_and_not_one_that_was_changed(
    signed: SignedMirror, tmp_path: Path, curve: str
) -> None:
    public = elliptic_key(signed.folder, curve=curve).with_name("oms.pem.pub")
    signed.sync()
    folder = signed.downloaded(tmp_path / "copy")
    (folder / ".cache/huggingface").mkdir(parents=True)
    (folder / ".cache/huggingface/CACHEDIR.TAG").touch()
    (tmp_path / "model.sig").write_bytes(signed.attachment("model.sig"))
    words = ("key", folder, "--signature", "model.sig", "--public_key")
    found = model_signing(tmp_path, *words, public)
    assert found.returncode == 0, found.stdout + found.stderr
    (folder / "weights.bin").write_text("12346")
    assert model_signing(tmp_path, *words, public).returncode == 1
    (folder / "weights.bin").write_text("12345")
    other = elliptic_key(tmp_path, "other.pem", curve).with_name("other.pem.pub")
    assert model_signing(tmp_path, *words, other).returncode == 1


def test_model_signing_verifies_a_bundle_that_carries_a_certificate_by_its_authority(tmp_path: Path) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    (tmp_path / "other").mkdir()
    (tmp_path / "plain").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    plain = Authority(tmp_path / "plain").certify()
    plain.key.chmod(0o600)
    certificate = authority.certify("models.example.org", signs=True)
    certificate.key.chmod(0o600)
    model = {"key": str(certificate.key), "certificate": str(certificate.chain), "chain": str(authority.file)}
    signed.trust["model_signing"] = model
    signed.sync()
    folder = signed.downloaded(tmp_path / "copy")
    (tmp_path / "model.sig").write_bytes(signed.attachment("model.sig"))
    words = ("certificate", folder, "--signature", "model.sig", "--certificate_chain")
    found = model_signing(tmp_path, *words, authority.file)
    assert found.returncode == 0, found.stdout + found.stderr
    assert model_signing(tmp_path, *words, other.file).returncode == 1
    with closing(signed.mirror()) as mirror:
        assert [one.snapshots for one in mirror.sign(BY_DAEMON).repos] == [0], "it is signed already"
    for wrong, said in ((other.certify(signs=True).chain, "is of another key"), (plain.chain, "may not sign")):
        signed.trust["model_signing"] = {"key": str(plain.key), "certificate": str(wrong)}
        with closing(signed.mirror()) as mirror, pytest.raises(SigningError, match=said):
            mirror.sync(BY_DAEMON)


def assert_valid(document: str, path: Path) -> None:
    found = validate(document, path)
    assert found.returncode == 0, found.stderr


def test_the_bill_of_materials_is_valid_says_what_the_card_says_and_is_the_same_whoever_makes_it(
    handed: Path, signed: SignedMirror
) -> None:
    for document in STRICT:
        assert_valid(document, handed / document)
    bom = json.loads((handed / "bom.cdx.json").read_text())
    model = bom["metadata"]["component"]
    assert model["licenses"] == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert [one["name"] for one in model["pedigree"]["ancestors"]] == ["base"]
    assert [one["name"] for one in bom["components"]] == ["acme/texts", "acme/more"]
    files = {one["name"]: one["hashes"][0]["content"] for one in model["components"]}
    assert files["weights.bin"] == Sha256.of(b"12345")
    assert model["purl"] == f"pkg:huggingface/acme/one@{signed.root().commit}"
    root, store = signed.root(), signed.store
    files_in_order = [file for _, file in sorted(read_manifest(store, root).items())]
    info = json.loads(signed.body(root.info))
    for document, make in MAKERS.items():
        made = b"".join(make(Repo.parse(root.repo), root, files_in_order, info))
        assert made == (handed / document).read_bytes()


def test_a_bill_in_spdx_says_what_the_model_is_where_it_comes_from_and_every_file(
    handed: Path, signed: SignedMirror
) -> None:
    graph = json.loads((handed / "bom.spdx3.json").read_text())["@graph"]
    by_kind = {kind: [one for one in graph if one["type"] == kind] for kind in {one["type"] for one in graph}}
    (model,) = by_kind["ai_AIPackage"]
    assert model["software_packageVersion"] == signed.root().commit
    assert by_kind["SpdxDocument"][0]["profileConformance"] == ["core", "software", "simpleLicensing", "ai"]
    names = {one["spdxId"]: one.get("name") for one in graph if "spdxId" in one}
    related = {one["relationshipType"]: [names.get(to, to) for to in one["to"]] for one in by_kind["Relationship"]}
    assert related["trainedOn"] == ["acme/texts", "acme/more"]
    assert related["descendantOf"] == ["acme/base"]
    assert by_kind["simplelicensing_LicenseExpression"][0]["simplelicensing_licenseExpression"] == "MIT"
    assert "weights.bin" in related["contains"]
    files = {one["name"]: one["verifiedUsing"][0]["hashValue"] for one in by_kind["software_File"]}
    assert files == {path: file.sha256 for path, file in read_manifest(signed.store, signed.root()).items()}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"specVersion":"3.0.1",', ""),
        ('"releaseTime":', '"comments":'),
        ('"algorithm":"sha256"', '"algorithm":"sha0"'),
        ("#owner", "#nobody"),
        ("#contains", "#declared"),
    ],
)
def test_what_spdx_does_not_allow_is_found_by_the_same_look(handed: Path, right: str, wrong: str) -> None:
    text = (handed / "bom.spdx3.json").read_text()
    changed = handed / "changed.json"
    changed.write_text(text.replace(right, wrong, 1))
    assert changed.read_text() != text
    assert validate("bom.spdx3.json", changed).returncode != 0


@pytest.mark.parametrize(
    ("repo", "card"),
    [
        ("acme/one", {"license": [*SPDX], "base_model": ["../a path", "acme/x"], "datasets": ["a", "a", "b c"]}),
        ("dataset:acme/rows", {"license": ["cc-by-4.0", "other"], "license_name": "x", "license_link": "LICENSE.md"}),
        ("acme/two", {"license": ["llama 3", "llama-3", "llama 3"], "base_model": "acme/one"}),
        ("gpt2", {"license": "llama3.1", "license_link": "https://x.example/a%zz", "datasets": {}}),
    ],
)
def test_a_bill_of_materials_is_valid_whatever_a_card_says(tmp_path: Path, repo: str, card: dict[str, Any]) -> None:
    files = [file_of("a"), file_of("b c\n")]
    for root in (root_of(repo), replace(root_of(repo), last={})):
        for document, make in MAKERS.items():
            (tmp_path / document).write_bytes(b"".join(make(Repo.parse(repo), root, files, {"cardData": card})))
            assert_valid(document, tmp_path / document)


def test_the_keys_that_a_mirror_gives_out_are_read_by_ssh_keygen(handed: Path) -> None:
    found = run(
        ["ssh-keygen", "-Y", "find-principals", "-s", "SHA256SUMS.sig", "-f", "allowed_signers"],
        handed,
        (handed / "SHA256SUMS").read_text(),
    )
    assert (found.returncode, found.stdout) == (0, "Example-models\n")


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[tuple[SignedMirror, str]]:
    """A mirror that signs, and the address at which it is served."""
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    signed.sync()
    port = free_port()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mirror_sync",
        "-c",
        signed.jobs_yaml(),
        "serve",
        "--port",
        str(port),
    ]
    with child(command, tmp_path / "serve.log") as running:
        running.wait_until(lambda: answers(port), 60)
        yield signed, f"http://{LOOPBACK}:{port}"


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_each_generation_of_hf_downloads_is_proved_by_a_strangers_programs_and_what_was_changed_is_not(
    downloads: tuple[SignedMirror, str], tmp_path: Path, generation: str
) -> None:
    signed, url = downloads
    script = (
        "from huggingface_hub import snapshot_download\n"
        f"snapshot_download('acme/one', endpoint={url!r}, local_dir='model', token=False)\n"
    )
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    found = run([python(generation), "-c", script], stranger)
    assert found.returncode == 0, found.stderr
    for name in ("SHA256SUMS", "SHA256SUMS.sig", "model.sig"):
        (stranger / name).write_bytes(signed.attachment(name))
    for name in ("allowed_signers", "signers"):
        (stranger / name).write_bytes(signed.signers.encode())
    hand = by_hand(stranger)
    assert hand.returncode == 0, hand.stdout + hand.stderr
    public = signed.model_key.with_name("oms.pem.pub")
    words = ("key", "model", "--signature", "model.sig", "--public_key", public)
    verified = model_signing(stranger, *words)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert_proved(prove(stranger, "--from", url, "--dir", "model"))
    weights, readme = stranger / "model/weights.bin", stranger / "model/README.md"
    weights.write_text("12346")
    assert "weights.bin: FAILED" in by_hand(stranger).stdout
    assert model_signing(stranger, *words).returncode == 1
    assert_not_proved(prove(stranger, "--from", url, "--dir", "model"), "weights.bin: was changed: signed is ")
    weights.write_text("12345")
    readme.unlink()
    assert "README.md: FAILED open or read" in by_hand(stranger).stdout
    assert "README.md" in str(model_signing(stranger, *words))
    assert_not_proved(prove(stranger, "--from", url, "--dir", "model"), "README.md: is missing")


def assert_proved(found: subprocess.CompletedProcess[str]) -> None:
    assert (found.returncode, found.stderr) == (0, ""), found.stderr


def assert_not_proved(found: subprocess.CompletedProcess[str], said: str) -> None:
    """By one line, which says this."""
    (line,) = found.stderr.splitlines()
    assert found.returncode == 1
    assert line.startswith(f"mirror-sync: not proved: {said}"), line


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_an_old_statement_and_a_wrong_key_are_one_line_each_at_both_fronts(tmp_path: Path, front: str) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    signed.sync()
    old = signed.refs().encode()
    signed.add(REPO, {"weights.bin": "67890"})
    signed.sync()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "signers").write_bytes(signed.signers.encode())
    with by_either(front, DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as mirror:
        assert_proved(prove(stranger, "--from", mirror.url, "--keep", "kept"))
        statement = mirror.get(f"/-/trust/models/{REPO}/statement.json").body
        assert (stranger / "kept").read_bytes() == statement
        signed.store.put(refs_key(Repo.parse(REPO)), old, Sha256.of(old))  # all as it was, signatures and all
        before = signed.body(signed.refs().attachments[STATEMENT])
        mirror.get_until(f"/-/trust/models/{REPO}/statement.json", before)
        found = prove(stranger, "--from", mirror.url, "--since", "kept")
        assert_not_proved(found, "the statement is old: its serial is ")
        (stranger / "signers").write_bytes(another_signer(tmp_path).encode())
        found = prove(stranger, "--from", mirror.url)
        assert_not_proved(found, "the statement: the key SHA256:")
        assert found.stderr.endswith(" that signed it is not among the allowed signers\n")
