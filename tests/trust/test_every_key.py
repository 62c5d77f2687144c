"""Every key of `trust`, `decisions` and `policy` does what readers see, on both targets and by both fronts.

`EFFECTS` has a function for each key, which asks a front what has come of it in the world of keys. A key of the
configuration's models that has none here is a failure of the first test.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mirror_sync.config.decisions.decision_entries import DecisionEntry
from mirror_sync.config.keys.model import File, JobEntry
from mirror_sync.config.keys.trust_entries import BOM_KINDS
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.load import load
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.file_class import FileClass
from mirror_sync.domain.policy.decisions import RuleKey
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.trust import TRUST
from mirror_sync.wiring.adapters import open_store
from tests.cli.program import Program
from tests.front.mirrors import OPENED, Mirror, Reply, by_nginx, by_serve
from tests.requirements import need
from tests.servers.bucket import S3Server
from tests.signing.stranger import model_signing, validate
from tests.trust import recipes
from tests.trust.world_of_keys import ALLOWED, CLASSES, OWNERS, WorldOfKeys

REASON = "approved by Ada, legal: terms read ("
SIGNED = ("README.md", "data/weights.bin", ".gitattributes")
OWN = ("README.md", "own.txt")
STATEMENTS = ("statement.json", "statement.json.sig")
RULES = ["forbidden", "licence", "restricted", "cooldown", "base_model", "formats", "scan"]
OTHERWISE = (RuleKey.FORBIDDEN, RuleKey.GUARD, RuleKey.GATED, RuleKey.PRIVATE)  # which have tests of their own


@dataclass(frozen=True)
class Seen:
    """What a reader of a front is given of the world."""

    world: WorldOfKeys
    front: Mirror

    def head(self, repo: str) -> str:
        """The commit that upstream's main is at."""
        return self.world.heads[repo]

    def file(self, repo: str, revision: str = "main", path: str = "README.md") -> Reply:
        return self.front.get(f"/{repo}/resolve/{revision}/{path}")

    def document(self, repo: str, name: str, revision: str = "main") -> bytes:
        """What is beside a snapshot; it must be there."""
        reply = self.front.get(f"/-/trust/models/{repo}/{revision}/{name}")
        assert reply.status == 200, (name, reply)
        return reply.body

    def verdict(self, repo: str, rule: str, revision: str = "") -> tuple[str, str]:
        """What a rule has said of a commit, main's at upstream where none is named: its outcome, and why."""
        said = json.loads(self.document(repo, "verdicts.json", revision or self.head(repo)))["verdicts"]
        (found,) = (one for one in said if one["rule"] == rule)
        return found["outcome"], found["reason"]

    def expect_served(self, repo: str, revision: str = "main") -> None:
        """Its words are given."""
        reply = self.file(repo, revision)
        assert (reply.status, reply.body) == (200, f"words of {repo}\n".encode()), reply

    def expect_refused(self, repo: str, why: str, state: str = "refused") -> None:
        """Nothing of it is given, at any of its addresses, and each says why."""
        for address in (
            f"/{repo}/resolve/main/README.md",
            f"/api/models/{repo}",
            f"/{repo}/resolve/{self.head(repo)}/a",
        ):
            reply = self.front.get(address)
            assert (reply.error, reply.header("X-Mirror-State")) == ((403, "GatedRepo"), state), (address, reply)
            assert why in (reply.header("X-Error-Message") or ""), reply.header("X-Error-Message")

    def expect_held(self, repo: str, rule: str, why: str) -> None:
        """Nothing of it is given, and who may see the repo is told which rule holds it."""
        self.expect_refused(repo, why, "held")
        outcome, reason = self.verdict(repo, rule)
        assert (outcome, why in reason) == ("held", True), reason


Effect = Callable[[Seen], None]
EFFECTS: dict[str, Effect] = {}


def effect(*keys: str) -> Callable[[Effect], Effect]:
    """This function shows what these keys, values and addresses do."""

    def noted(function: Effect) -> Effect:
        assert not EFFECTS.keys() & set(keys), "one function for each"
        EFFECTS.update(dict.fromkeys(keys, function))
        return function

    return noted


def keys_below(model: type[Keys], begin: str) -> Iterator[str]:
    """Every key of a mapping of jobs.yaml, and of those within it."""
    for name, field in model.model_fields.items():
        key = f"{begin}{field.alias or name}"
        yield key
        for inner, mark in _models_in(field.annotation, "."):
            yield from keys_below(inner, f"{key}{mark}")


def _models_in(annotation: Any, mark: str) -> Iterator[tuple[type[Keys], str]]:
    if isinstance(annotation, type) and issubclass(annotation, Keys):
        yield annotation, mark
        return
    listed = getattr(annotation, "__origin__", None) is tuple
    for one in get_args(annotation):
        if not isinstance(one, str):
            yield from _models_in(one, "[]." if listed else mark)


def every_key() -> Iterator[str]:
    """What wants an effect: keys, the values of those that are one of a few, and the addresses of proofs."""
    for name in ("trust", "decisions", "policy"):
        yield name
        model = File.model_fields[name].annotation
        yield from (keys_below(model, f"{name}.") if isinstance(model, type) and issubclass(model, Keys) else ())
    yield from keys_below(DecisionEntry, "decisions[].")
    yield from ("jobs[].policy" for name in JobEntry.model_fields if name == "policy")
    yield from (f"trust.bom: {kind}" for kind in BOM_KINDS)
    yield from (f"policy.formats: {of}" for of in FileClass)
    yield from (f"decisions[].rule: {rule}" for rule in RuleKey)
    made: tuple[Any, Any] = (TRUST.constants["SWITCHES"], TRUST.constants["OF_REPO"])
    proofs = [*made[0], *made[1], "verdicts.json", "allowed_signers"]
    yield from (f"/-/trust/.../{name}" for name in proofs)


def test_no_key_value_or_address_of_trust_is_without_a_test_of_its_effect() -> None:
    assert set(every_key()) <= EFFECTS.keys()
    ours = ("command ", "in jobs")
    assert {key for key in EFFECTS if not key.startswith(ours)} <= set(every_key()), "and none that is no more"


@pytest.fixture(scope="module")
def directory_world(tmp_path_factory: pytest.TempPathFactory) -> WorldOfKeys:
    folder = tmp_path_factory.mktemp("keys")
    return made_in(folder, {"url": (folder / "mirror").as_uri()})


@pytest.fixture(scope="module")
def moto_world(moto: S3Server, tmp_path_factory: pytest.TempPathFactory) -> WorldOfKeys:
    return made_in(tmp_path_factory.mktemp("keys"), moto.place("some/prefix/"))


def made_in(folder: Path, place: dict[str, str]) -> WorldOfKeys:
    need("hsm")
    made = WorldOfKeys(folder, place)
    made.make()
    return made


@pytest.fixture(scope="module", params=["directory-serve", "directory-nginx", "moto-serve", "moto-nginx"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    kind, _, front = request.param.partition("-")
    world: WorldOfKeys = request.getfixturevalue(f"{kind}_world")
    target = load(world.folder / "jobs.yaml", {}).targets["it"]
    store = open_store(target)
    if front == "nginx":
        need("nginx")
        options = NginxOptions(target, by_digest=True, access=OPENED)
        running = by_nginx(store, options, tmp_path_factory.mktemp("front"))
    else:
        running = by_serve(store)
    with running as answering:
        yield Seen(world, answering)


@pytest.mark.parametrize("key", EFFECTS)
def test_what_a_key_does_is_what_readers_see(seen: Seen, key: str) -> None:
    EFFECTS[key](seen)


@cache
def signed(body: bytes, signature: bytes, signers: bytes) -> bool:
    """Whether ssh-keygen says so. Both fronts give the same bytes: it is asked once."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "signers").write_bytes(signers)
        (folder / "signature").write_bytes(signature)
        command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "Example-models", "-n", "mirror-sync"]
        found = subprocess.run([*command, "-s", "signature"], cwd=folder, input=body, capture_output=True, check=False)
    return found.returncode == 0


@effect("trust", "trust.key", "/-/trust/.../SHA256SUMS", "/-/trust/.../SHA256SUMS.sig")
def sums_are_signed_as_ssh_keygen_verifies_it(seen: Seen) -> None:
    sums, signers = seen.document("acme/signed", "SHA256SUMS"), seen.front.get("/-/trust/allowed_signers").body
    assert signed(sums, seen.document("acme/signed", "SHA256SUMS.sig"), signers)
    named = {path: digest for digest, path in (line.split("  ", 1) for line in sums.decode().splitlines())}
    assert named == {path: Sha256.of(seen.file("acme/signed", path=path).body) for path in SIGNED}


@effect("/-/trust/.../statement.json", "/-/trust/.../statement.json.sig")
def the_statement_is_signed_and_names_the_head(seen: Seen) -> None:
    statement, signature = (seen.front.get(f"/-/trust/models/acme/signed/{name}").body for name in STATEMENTS)
    assert signed(statement, signature, seen.front.get("/-/trust/allowed_signers").body)
    assert json.loads(statement)["refs"]["names"]["refs/heads/main"] == seen.head("acme/signed")


@effect("/-/trust/.../allowed_signers", "command sign")
def a_key_that_was_retired_is_valid_no_longer_and_all_is_signed_by_the_new_one(seen: Seen) -> None:
    old, new = seen.front.get("/-/trust/allowed_signers").body.decode().splitlines()
    assert ("valid-before=" in old, "valid-before=" in new) == (True, False)
    for repo in ("acme/signed", "acme/resigned", "acme/back"):
        proof = (seen.document(repo, "SHA256SUMS"), seen.document(repo, "SHA256SUMS.sig"))
        assert signed(*proof, new.encode()), repo
        assert not signed(*proof, re.sub(r",valid-before=\S+", "", old).encode()), repo


@cache
def bundle_verified(files: tuple[tuple[str, bytes], ...], bundle: bytes, *how: str) -> bool:
    """Whether OpenSSF's program says so of a copy of the files."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        for path, body in files:
            (folder / "model" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "model" / path).write_bytes(body)
        (folder / "model.sig").write_bytes(bundle)
        return model_signing(folder, how[0], "model", "--signature", "model.sig", *how[1:]).returncode == 0


def bundled(seen: Seen, repo: str, paths: tuple[str, ...], *how: str | Path) -> bool:
    files = tuple((path, seen.file(repo, path=path).body) for path in paths)
    return bundle_verified(files, seen.document(repo, "model.sig"), *map(str, how))


@effect("trust.model_signing", "trust.model_signing.key", "/-/trust/.../model.sig")
def the_bundle_is_verified_by_model_signing_with_the_public_key(seen: Seen) -> None:
    old, new = (key.with_name(f"{key.name}.pub") for key in seen.world.model_keys)
    assert bundled(seen, "acme/signed", SIGNED, "key", "--public_key", new)
    assert not bundled(seen, "acme/signed", SIGNED, "key", "--public_key", old)


@effect("trust.model_signing.pkcs11")
def a_key_in_hardware_signs_a_bundle(seen: Seen) -> None:
    assert bundled(seen, "acme/hardware", OWN, "key", "--public_key", seen.world.hardware.public("oms"))


@effect("trust.model_signing.certificate")
def a_bundle_with_a_certificate_is_verified_by_its_authority(seen: Seen) -> None:
    assert bundled(seen, "acme/certified", OWN, "certificate", "--certificate_chain", seen.world.authority.file)


@effect("trust.model_signing.chain")
def a_bundle_carries_the_chain_that_leads_to_the_authority(seen: Seen) -> None:
    material = json.loads(seen.document("acme/certified", "model.sig"))["verificationMaterial"]
    carried = [base64.b64decode(one["rawBytes"]) for one in material["x509CertificateChain"]["certificates"]]
    authority = x509.load_pem_x509_certificate(seen.world.authority.file.read_bytes())
    assert (len(carried), carried[-1]) == (2, authority.public_bytes(Encoding.DER))


@cache
def is_valid(document: str, body: bytes) -> bool:
    """Whether a strict look at a bill of materials finds nothing."""
    with TemporaryDirectory() as place:
        path = Path(place) / document
        path.write_bytes(body)
        return validate(document, path).returncode == 0


@effect("trust.bom", "trust.bom: cyclonedx", "/-/trust/.../bom.cdx.json")
def the_bill_in_cyclonedx_is_valid_and_names_every_file(seen: Seen) -> None:
    body = seen.document("acme/signed", "bom.cdx.json")
    model = json.loads(body)["metadata"]["component"]
    assert is_valid("bom.cdx.json", body)
    assert {one["name"] for one in model["components"]} == set(SIGNED)
    assert [one["name"] for one in model["pedigree"]["ancestors"]] == ["base"]


@effect("trust.bom: spdx3", "/-/trust/.../bom.spdx3.json")
def the_bill_in_spdx_is_valid_and_names_every_file(seen: Seen) -> None:
    body = seen.document("acme/signed", "bom.spdx3.json")
    assert is_valid("bom.spdx3.json", body)
    assert {one["name"] for one in json.loads(body)["@graph"] if one["type"] == "software_File"} == set(SIGNED)


@effect("in jobs.yaml no key of a document")
def what_no_key_makes_is_not_there_and_the_line_says_which_would(seen: Seen) -> None:
    reply = seen.front.get("/-/trust/models/acme/certified/main/bom.cdx.json")
    assert (reply.status, "trust: {bom: [cyclonedx]}" in reply.body.decode()) == (404, True)


@effect("decisions", "decisions[].repo", "decisions[].by", "decisions[].why", "decisions[].outcome")
def what_a_person_approved_or_rejected_by_name_is_given_or_refused_in_their_words(seen: Seen) -> None:
    seen.expect_served("strict/restricted-free")
    outcome, reason = seen.verdict("strict/restricted-free", "restricted")
    assert (outcome, reason.startswith(REASON)) == ("allowed", True), reason
    seen.expect_held("strict/restricted-held", "restricted", "it waits for a decision")
    seen.expect_refused("acme/rejected", "rejected by Ada, legal: terms read")


@effect("decisions[].commit", "policy.restricted[].pin", "policy.restricted[].repos")
def of_a_pinned_repo_each_commit_waits_for_its_own_decision(seen: Seen) -> None:
    seen.expect_served("pinned/one", "v1")
    assert seen.verdict("pinned/one", "restricted", seen.head("pinned/one@v1"))[1].startswith(REASON)
    for revision in ("main", seen.head("pinned/one")):
        assert seen.file("pinned/one", revision).status == 404
    outcome, reason = seen.verdict("pinned/one", "restricted")
    assert (outcome, reason) == ("held", "policy.restricted has pinned/*: each commit of it waits for a decision")


@effect("decisions[].rule")
def an_approval_of_another_rule_lets_nothing_go(seen: Seen) -> None:
    seen.expect_held("strict/other-rule", "restricted", "it waits for a decision")


@effect("decisions[].until")
def an_approval_that_has_ended_lets_nothing_new_go(seen: Seen) -> None:
    seen.expect_held("strict/ended", "restricted", "it waits for a decision")
    seen.expect_served("strict/ticket")


@effect("decisions[].ticket")
def the_ticket_stands_in_the_verdict(seen: Seen) -> None:
    assert "Ada, legal: terms read (LEGAL-42)" in seen.verdict("strict/ticket", "restricted")[1]


@effect("policy", "policy.restricted")
def what_is_restricted_waits(seen: Seen) -> None:
    seen.expect_held("strict/restricted-held", "restricted", "policy.restricted has strict/*")


@effect("policy.forbidden", "decisions[].rule: forbidden")
def what_is_forbidden_is_refused_whatever_was_approved(seen: Seen) -> None:
    for end in ("held", "free"):
        seen.expect_refused(f"evil/forbidden-{end}", "policy.forbidden has evil/*")


@effect("policy.cooldown")
def a_young_commit_waits_and_it_is_said_until_when(seen: Seen) -> None:
    seen.expect_held("acme/cooldown-held", "cooldown", "policy.cooldown (3d) holds it until 20")


@effect("policy.inherit_base_model")
def a_model_waits_for_the_licence_of_its_base(seen: Seen) -> None:
    seen.expect_held("acme/base_model-held", "base_model", "of its base model far/base: licence proprietary is not in")
    assert seen.verdict("acme/signed", "base_model") == ("allowed", "the licence of base model acme/base is allowed")


@effect("policy.formats", "policy.formats.allow", *(f"policy.formats: {of}" for of in ALLOWED))
def an_allowed_class_is_given_and_the_verdict_counts_its_files(seen: Seen) -> None:
    outcome, reason = seen.verdict("classes/allowed", "formats")
    assert (outcome, reason) == ("allowed", "files by class: 1 data, 2 text, 1 container, 1 pickle")
    for of in ALLOWED:
        assert seen.file("classes/allowed", path=CLASSES[of]).body == recipes.FILES[CLASSES[of]][1]


@effect("policy.formats.hold", "policy.formats: unknown", "policy.formats: code")
def a_held_class_waits_and_so_does_one_on_no_list(seen: Seen) -> None:
    for of in (FileClass.UNKNOWN, FileClass.CODE):
        seen.expect_held(f"classes/{of}", "formats", f"policy.formats holds {of}: {CLASSES[of]}")
    seen.expect_held("own/holds", "formats", "policy.formats holds text: README.md")


@effect("policy.formats.refuse", "policy.formats: executable")
def a_refused_class_is_refused(seen: Seen) -> None:
    seen.expect_refused("classes/executable", "policy.formats refuses executable: library (ELF)")


@effect("policy.scan", "policy.scan.hub")
def what_the_hub_calls_unsafe_waits(seen: Seen) -> None:
    seen.expect_held("acme/scan-held", "scan", "weights.safetensors is dangerous (all: unsafe)")
    assert ": 3 files clean" in seen.verdict("acme/signed", "scan")[1]


@effect("policy.scan.picklescan")
def what_picklescan_finds_waits(seen: Seen) -> None:
    seen.expect_held("acme/picklescan", "scan", "delta.pkl is suspicious (datetime.timedelta)")


@effect("policy.scan.command")
def what_a_command_finds_waits(seen: Seen) -> None:
    seen.expect_held("own/finds", "scan", "README.md is dangerous (Found: a mark)")


@effect("policy.scan.timeout")
def a_scan_without_an_answer_in_time_has_failed(seen: Seen) -> None:
    seen.expect_held("own/sleeps", "scan", "README.md is failed (no answer in 1 s)")


@effect("policy.scan.memory")
def a_scanner_has_no_more_memory_than_it_may_take(seen: Seen) -> None:
    seen.expect_held("own/takes", "scan", "MemoryError")


@effect("policy.scan.on_failure")
def a_scan_that_failed_is_refused_where_jobs_yaml_says_so(seen: Seen) -> None:
    seen.expect_refused("own/fails", "README.md is failed (exit status 2: no database)")


@effect("policy.scan.version")
def what_was_found_is_looked_for_again_by_another_version(seen: Seen) -> None:
    """The program and its words are the same; what it found at first, it finds no more."""
    seen.expect_served("own/ruled")


@effect("jobs[].policy")
def a_job_adds_to_the_policy_of_all(seen: Seen) -> None:
    seen.expect_held("own/older", "cooldown", "policy.cooldown (9999d) holds it until 2053-")


@effect(*(f"decisions[].rule: {rule}" for rule in RuleKey if rule not in OTHERWISE))
def of_two_repos_alike_the_approved_one_is_given_and_the_other_waits(seen: Seen) -> None:
    for rule in RuleKey:
        if rule not in OTHERWISE:
            seen.expect_held(f"{OWNERS.get(rule, 'acme')}/{rule}-held", rule, "")
            seen.expect_served(f"{OWNERS.get(rule, 'acme')}/{rule}-free")
            assert seen.verdict(f"{OWNERS.get(rule, 'acme')}/{rule}-free", rule)[1].startswith(REASON)


@effect("decisions[].rule: guard")
def a_commit_that_removes_too_much_waits_and_what_was_published_stays(seen: Seen) -> None:
    assert (seen.file("acme/guard-held", path="0.txt").status, seen.file("acme/guard-free", path="0.txt").status) == (
        200,
        404,
    )
    assert seen.verdict("acme/guard-held", "guard")[0] == "held"
    assert REASON in seen.verdict("acme/guard-free", "guard")[1]


@effect("decisions[].rule: gated", "decisions[].rule: private")
def what_a_glob_found_behind_a_door_is_given_to_nobody_before_a_person_has_approved_it(seen: Seen) -> None:
    for name in ("gated", "private"):
        seen.expect_served(f"closed/{name}-free")
        assert seen.verdict(f"closed/{name}-free", "licence")[1] == f"{REASON}{name}: name it explicitly or approve it)"
    assert seen.file("closed/gated-held").error == (403, "GatedRepo")
    assert seen.verdict("closed/gated-held", "licence")[0] == "held"
    hidden = seen.front.get(f"/-/trust/models/closed/private-held/{seen.head('closed/private-held')}/verdicts.json")
    assert (seen.file("closed/private-held").status, hidden.status) == (404, 404), "nobody is told that it is there"


@effect("/-/trust/.../verdicts.json")
def every_rule_that_was_asked_has_its_say(seen: Seen) -> None:
    said = json.loads(seen.document("acme/signed", "verdicts.json"))
    assert [one["rule"] for one in said["verdicts"]] == RULES
    assert (said["repo"], said["commit"]) == ("acme/signed", seen.head("acme/signed"))


@effect("command withdraw")
def what_was_taken_down_is_given_nowhere_and_the_reason_is_told(seen: Seen) -> None:
    seen.expect_refused("acme/down", "by J. Doe, legal: its licence was withdrawn", "withdrawn")
    assert seen.front.get(f"/{blob_key(Sha256.of(b'what down has alone'))}").status == 404


@effect("command restore")
def what_was_restored_is_given_again(seen: Seen) -> None:
    seen.expect_served("acme/back")
    assert seen.front.get(f"/{blob_key(Sha256.of(b'what back has alone'))}").body == b"what back has alone"


@effect("command rescan")
def a_new_commit_that_has_what_turned_bad_waits_and_the_old_one_stays(seen: Seen) -> None:
    assert seen.file("own/turned", path="more.txt").status == 404
    seen.expect_served("own/turned", seen.head("own/turned@first"))
    outcome, reason = seen.verdict("own/turned", "scan")
    assert (outcome, "README.md is dangerous" in reason) == ("held", True), reason


@effect("command prove")
def prove_needs_nothing_but_the_address_of_a_front_and_the_public_keys(seen: Seen) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "signers").write_bytes(seen.front.get("/-/trust/allowed_signers").body)
        found = Program(folder)(
            "prove", "acme/signed", "--from", seen.front.url, "--signers", "signers", "--keep", "kept"
        )
        assert (found.code, "proved" in found.out) == (0, True), found.err
        refused = Program(folder)("prove", "acme/down", "--from", seen.front.url, "--signers", "signers")
    assert (refused.code, "J. Doe, legal: its licence was withdrawn" in refused.err) == (2, True)


@effect("in jobs.yaml what the catalogue shows")
def the_catalogue_says_what_is_signed_scanned_and_of_which_class(seen: Seen) -> None:
    lines = {one["repo"]: one for one in seen.front.get("/-/status.json").json["repos"]}
    told = {
        name: [lines[name][key] for key in ("signed", "scanned", "class")]
        for name in ("acme/signed", "classes/allowed")
    }
    assert told == {"acme/signed": [True, True, "text"], "classes/allowed": [True, True, "pickle"]}
    page = seen.front.get("/-/models/acme--signed.html").body.decode()
    assert 'data-badge="good"' in page
    assert "ssh-keygen -Y verify" in page
