"""Keys in hardware, by a token of SoftHSM that OpenSC's own program has filled: they sign, and a stranger verifies."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.errors import SigningError
from mirror_sync.signing.hardware_keys import HardwareKey
from tests.cli.program import Program
from tests.clients.environments import environment
from tests.requirements import need
from tests.servers.certificates import Authority
from tests.signing.keys import elliptic_key
from tests.signing.mirrors import SignedMirror

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "83540271"


@dataclass(frozen=True)
class TokenOfTests:
    """A token `mirror`, whose library finds it by `environ`; `pin` is the file of its PIN."""

    pin: Path
    environ: Mapping[str, str]

    def tool(self, *words: str) -> bytes:
        """OpenSC's pkcs11-tool, with the right PIN."""
        command = ["pkcs11-tool", "--module", MODULE, "--token-label", "mirror", "--login", "--pin", PIN, *words]
        return self._run(command)

    def make(self, label: str, number: str, kind: str = "EC:prime256v1") -> None:
        """A pair of keys there, as the manual has it."""
        self.tool("--keypairgen", "--key-type", kind, "--label", label, "--id", number)

    def public(self, label: str) -> Path:
        """The public half of a pair, as a stranger is given it."""
        der, pem = self.pin.with_name(f"{label}.der"), self.pin.with_name(f"{label}.pub")
        self.tool("--read-object", "--type", "pubkey", "--label", label, "--output-file", str(der))
        self._run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", str(der), "-out", str(pem)])
        return pem

    def take(self, key: Path, label: str, number: str) -> None:
        """Brings a pair in from a file."""
        words = ["--import", str(key), "--label", label, "--id", number, "--token", "mirror", "--pin", PIN]
        self._run(["softhsm2-util", *words])

    def _run(self, command: list[str]) -> bytes:
        return subprocess.run(command, env={**os.environ, **self.environ}, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenOfTests]:
    """One for all, since a process reads once where its tokens are."""
    need("hsm")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    environ = {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
    pin = folder / "pin"
    pin.write_text(f"{PIN}\n", encoding="utf-8")
    pin.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", environ["SOFTHSM2_CONF"])
        command = ["softhsm2-util", "--init-token", "--free", "--label", "mirror", "--so-pin", "11223344", "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        found = TokenOfTests(pin, environ)
        found.make("oms", "01")
        yield found
        import pkcs11

        pkcs11.unload(MODULE)


def address(token: TokenOfTests, key: str = "object=oms", of: str = "token=mirror", module: str = MODULE) -> str:
    return f"pkcs11:{of};{key}?module-path={module}&pin-source={token.pin}"


def program(signed: SignedMirror, token: TokenOfTests) -> Program:
    signed.jobs_yaml()
    return Program(signed.folder, environ=dict(token.environ))


def verified(signed: SignedMirror, *how: str | Path) -> subprocess.CompletedProcess[str]:
    """What OpenSSF's program says of a copy of what is published, in an environment without anything of ours."""
    copy = signed.folder / "copy"
    if not copy.exists():
        signed.downloaded(copy)
    (signed.folder / "model.sig").write_bytes(signed.attachment("model.sig"))
    verify: list[str | Path] = [environment("trust") / "bin" / "model_signing", "verify", how[0], copy]
    return subprocess.run(
        [*verify, "--signature", "model.sig", *how[1:]],
        cwd=signed.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_a_key_in_hardware_signs_a_bundle_that_model_signing_verifies_on_both_targets(
    signed: SignedMirror, token: TokenOfTests
) -> None:
    signed.trust["model_signing"] = {"pkcs11": address(token)}
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
    model = {"pkcs11": address(token, "id=%07"), "certificate": str(certificate.chain), "chain": str(authority.file)}
    signed.trust["model_signing"] = model
    synced = program(signed, token)("sync")
    assert synced.code == 0, synced.err
    found = verified(signed, "certificate", "--certificate_chain", authority.file)
    assert found.returncode == 0, found.stdout + found.stderr
    signed.trust["model_signing"] = model | {"pkcs11": address(token)}
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
    signed.trust["model_signing"] = {"pkcs11": address(token, f"object={curve}")}
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
    right = address(token)
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

    key = HardwareKey(Pkcs11Uri.parse(address(token)))
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
        HardwareKey(Pkcs11Uri.parse(address(token, "object=pair")))
