"""Keys in hardware, by a token of SoftHSM that OpenSC's own program has filled: they sign, and a stranger verifies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.errors import SigningError
from mirror_sync.signing.hardware_keys import HardwareKey
from tests.cli.program import Program
from tests.requirements import need
from tests.servers.certificates import Authority
from tests.signing.hardware import MODULE, PIN, TokenOfTests, new_token
from tests.signing.keys import elliptic_key
from tests.signing.mirrors import SignedMirror
from tests.signing.stranger import model_signing


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenOfTests]:
    """One for all, since a process reads once where its tokens are."""
    need("hsm")
    found = new_token(tmp_path_factory.mktemp("token"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", found.environ["SOFTHSM2_CONF"])
        yield found
        import pkcs11

        pkcs11.unload(MODULE)


def program(signed: SignedMirror, token: TokenOfTests) -> Program:
    signed.jobs_yaml()
    return Program(signed.folder, environ=dict(token.environ))


def verified(signed: SignedMirror, *how: str | Path) -> subprocess.CompletedProcess[str]:
    """What OpenSSF's program says of a copy of what is published, in an environment without anything of ours."""
    copy = signed.folder / "copy"
    if not copy.exists():
        signed.downloaded(copy)
    (signed.folder / "model.sig").write_bytes(signed.attachment("model.sig"))
    return model_signing(signed.folder, how[0], copy, "--signature", "model.sig", *how[1:])


def test_a_key_in_hardware_signs_a_bundle_that_model_signing_verifies_on_both_targets(
    signed: SignedMirror, token: TokenOfTests
) -> None:
    signed.trust["model_signing"] = {"pkcs11": token.address()}
    checked, synced = program(signed, token)("check"), program(signed, token)("sync")
    assert (checked.code, synced.code) == (0, 0), checked.err + synced.err
    public = token.public("oms")
    sound = verified(signed, "key", "--public_key", public)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    (signed.folder / "copy/weights.bin").write_text("12346")
    assert verified(signed, "key", "--public_key", public).returncode == 1
    again = program(signed, token)("sign", "--all", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["repos"][0]["snapshots"] == 0, "what is signed by this key already stays"
    said = "".join(one.out + one.err for one in (checked, synced, again))
    kept = b"".join(path.read_bytes() for path in (signed.folder / "state").rglob("*") if path.is_file())
    assert PIN not in said
    assert PIN.encode() not in kept


def test_a_bundle_of_a_key_in_hardware_carries_the_certificate_that_a_file_holds(
    tmp_path: Path, token: TokenOfTests
) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    authority = Authority(tmp_path)
    certificate = authority.certify("models.example.org", signs=True)
    token.take(certificate.key, "certified", "07")
    model = {"pkcs11": token.address("id=%07"), "certificate": str(certificate.chain), "chain": str(authority.file)}
    signed.trust["model_signing"] = model
    synced = program(signed, token)("sync")
    assert synced.code == 0, synced.err
    found = verified(signed, "certificate", "--certificate_chain", authority.file)
    assert found.returncode == 0, found.stdout + found.stderr
    signed.trust["model_signing"] = model | {"pkcs11": token.address()}
    wrong = program(signed, token)("check")
    assert wrong.code == 2
    assert "trust.model_signing.certificate: " in wrong.err
    assert "is of another key" in wrong.err


@pytest.mark.parametrize("curve", ["secp384r1", "secp521r1"])
def test_longer_keys_sign_as_well(tmp_path: Path, token: TokenOfTests, curve: str) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    file, plain = elliptic_key(tmp_path, f"{curve}.pem", curve), tmp_path / "plain.pem"
    command = ["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", str(file), "-out", str(plain)]
    subprocess.run(command, check=True, capture_output=True)
    token.take(plain, curve, curve[4:6])
    public = file.with_name(f"{file.name}.pub")
    signed.trust["model_signing"] = {"pkcs11": token.address(f"object={curve}")}
    synced = program(signed, token)("sync")
    assert synced.code == 0, synced.err
    found = verified(signed, "key", "--public_key", public)
    assert found.returncode == 0, found.stdout + found.stderr


def test_check_says_in_one_line_what_is_wrong_with_a_key_in_hardware(tmp_path: Path, token: TokenOfTests) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    token.make("rsa", "20", "rsa:2048")
    wrong, open_to_all = tmp_path / "wrong", tmp_path / "open"
    wrong.write_text("1234\n", encoding="utf-8")
    wrong.chmod(0o600)
    open_to_all.write_text(PIN, encoding="utf-8")
    open_to_all.chmod(0o644)
    right = token.address()
    faults = {
        right.replace(MODULE, "/nowhere/module.so"): "/nowhere/module.so: cannot be used as a PKCS#11 module: ",
        right.replace("token=mirror", "token=other"): "has no token other; there: mirror",
        right.replace(str(token.pin), str(wrong)): f"token mirror: the PIN in {wrong} is wrong",
        right.replace(str(token.pin), str(tmp_path / "none")): f"{tmp_path / 'none'}: No such file or directory",
        right.replace(str(token.pin), str(open_to_all)): f"{open_to_all}: others may use it (mode 0644)",
        right.replace("object=oms", "object=none"): "there is no private key object none token mirror",
        right.partition("&")[0]: "there is no private key object oms token mirror; without ?pin-source=FILE",
        right.replace("object=oms", "object=rsa"): "is a key of another kind, and one on P-256, P-384 or P-521",
    }
    for named, said in faults.items():
        signed.trust["model_signing"] = {"pkcs11": named}
        found = program(signed, token)("check")
        (line,) = (line for line in found.err.splitlines() if line.startswith("jobs.yaml:"))
        assert found.code == 2
        assert "trust.model_signing.pkcs11: " in line
        assert said in line, line
        assert "1234" not in line.replace(str(wrong), "")


def test_a_session_that_the_hardware_has_ended_is_opened_anew(token: TokenOfTests) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256
    from pkcs11 import lib

    key = HardwareKey(Pkcs11Uri.parse(token.address()))
    lib(MODULE).finalize()  # every session and login of the process is gone, as when a token was taken out
    key.public_key().verify(key.sign(b"said", ECDSA(SHA256())), b"said", ECDSA(SHA256()))


def test_a_key_beside_which_another_public_one_lies_is_refused(tmp_path: Path, token: TokenOfTests) -> None:
    token.make("pair", "30")
    token.make("stray", "31")
    stray = tmp_path / "stray.der"
    token.tool("--read-object", "--type", "pubkey", "--label", "stray", "--output-file", str(stray))
    token.tool("--delete-object", "--type", "pubkey", "--label", "pair")
    token.tool("--write-object", str(stray), "--type", "pubkey", "--label", "pair", "--id", "30")
    with pytest.raises(SigningError, match="the public key beside it is of another key"):
        HardwareKey(Pkcs11Uri.parse(token.address("object=pair")))
