"""Laws of `trust`: which keys sign, in whose name, and what each fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror_sync.config.keys.trust_entries import Trust, principal_of
from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from tests.cli.program import CONFIG, Program
from tests.config.texts import JOBS, REST, fault, settings
from tests.signing.keys import elliptic_key, ssh_key

BASE = REST + JOBS
NO_ADDRESSES = [
    ("/etc/oms.pem", "is no address of a key in hardware"),
    ("pkcs11:token=a;object=b", "names no module-path"),
    ("pkcs11:object=b?module-path=/c", "names no token"),
    ("pkcs11:token=a?module-path=/c", "names no key"),
    ("pkcs11:token=a;object=b;type=cert?module-path=/c", "is no private key"),
    ("pkcs11:token=a;object=b?module-path=c.so", "module-path is no absolute path"),
    ("pkcs11:token=a;object=b?module-path=/c&pin-value=1234", "holds a PIN, which stands in a file"),
    ("pkcs11:token=a;object=b;slot-id=1?module-path=/c", "an attribute that is not known"),
    ("pkcs11:token=a;token=b;object=b?module-path=/c", "says token twice"),
    ("pkcs11:token=a%2;object=b?module-path=/c", "writes as %20"),
]


def test_nothing_is_signed_when_it_is_left_out() -> None:
    found = settings(BASE).trust
    assert (found.keys, found.boms) == ({}, ())


def test_keys_lie_beside_jobs_yaml_or_where_their_path_says(tmp_path: Path) -> None:
    trust = "trust: {key: signing.key, model_signing: {key: /etc/oms.pem}, bom: [cyclonedx]}\n"
    found = settings(BASE + trust + "site: {name: Example models}\n", tmp_path).trust
    assert found == Trust("Example-models", tmp_path / "signing.key", Path("/etc/oms.pem"), boms=("cyclonedx",))


def test_a_key_in_hardware_is_named_by_its_address() -> None:
    address = "pkcs11:token=my%20token;id=%01%ff;type=private?module-path=/usr/lib/a.so&pin-source=file:/etc/pin"
    found = settings(f"{BASE}trust: {{model_signing: {{pkcs11: '{address}'}}}}\n").trust
    wanted = Pkcs11Uri(Path("/usr/lib/a.so"), "my token", id=b"\x01\xff", pin=Path("/etc/pin"))
    assert found.keys == {"model_signing.key": wanted}
    assert str(wanted) == "id 01ff token my token"


def test_the_name_of_a_mirror_is_one_plain_word() -> None:
    assert principal_of("Example models", "https://models.example.org") == "Example-models"
    assert principal_of("模型", None, "https://models.example.org/hf") == "models.example.org"
    assert principal_of(None, None) == "mirror-sync"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("{key: ''}", "8:14: trust.key: "),
        ("{model_signing: {}}", "one key signs; write key: FILE, or pkcs11: ADDRESS"),
        ("{model_signing: {chain: a.pem, key: b.pem}}", "chain leads from a certificate"),
        ("{model_signing: {pkcs11: 'pkcs11:token=a;object=b?module-path=/c', key: b.pem}}", "one key signs"),
        *((f"{{model_signing: {{pkcs11: '{address}'}}}}", wrong) for address, wrong in NO_ADDRESSES),
        ("{bom: [spdx]}", "'spdx' is no kind of bill of materials; write cyclonedx or spdx3"),
        ("{keys: a}", "did you mean key?"),
    ],
)
def test_a_fault_says_what_would_be_right(said: str, wrong: str) -> None:
    found = fault(f"{BASE}trust: {said}\n")
    assert wrong.removeprefix("8:14: ") in found, found


def test_check_looks_at_the_keys_and_says_where_a_bad_one_is_named(tmp_path: Path) -> None:
    program = Program(tmp_path)
    trust = f"trust:\n  key: {ssh_key(tmp_path)}\n  model_signing:\n    key: {elliptic_key(tmp_path)}\n"
    program.write(CONFIG + trust)
    sound = program("check")
    assert sound.code == 0, sound.err
    (tmp_path / "signing.key").chmod(0o644)
    (tmp_path / "oms.pem").unlink()
    found = program("check")
    assert found.code == 2
    lines = [line for line in found.err.splitlines() if line.startswith("jobs.yaml:")]
    assert len(lines) == 2
    assert "trust.key: " in lines[0]
    assert "others may use it (mode 0644)" in lines[0]
    assert "trust.model_signing.key: " in lines[1]
    assert "No such file" in lines[1]
    assert [line.split(":")[1] for line in lines] == ["13", "15"]
