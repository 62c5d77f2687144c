"""SSH signatures and allowed_signers, held against the real ssh-keygen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from mirror_sync.errors import SigningError
from mirror_sync.signing.allowed_signers import AllowedSigners, Signer
from mirror_sync.signing.private_keys import read_ed25519, read_elliptic
from mirror_sync.signing.sshsig import PublicKey, read_signature, sign
from tests.signing.keys import elliptic_key, ssh_key

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
MESSAGE = b"what a mirror says\n"


def keygen(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=given, capture_output=True, check=False)


@pytest.mark.parametrize("message", [b"", MESSAGE, b"\xff\0" * 5000])
def test_a_signature_is_byte_for_byte_that_of_ssh_keygen(tmp_path: Path, message: bytes) -> None:
    key = ssh_key(tmp_path)
    theirs = keygen("-Y", "sign", "-q", "-n", "mirror-sync", "-f", key, given=message)
    assert theirs.returncode == 0, theirs.stderr
    assert sign(read_ed25519(key), message) == theirs.stdout


def test_what_we_sign_ssh_keygen_verifies_by_our_allowed_signers_and_what_it_signs_we_do(tmp_path: Path) -> None:
    key = ssh_key(tmp_path)
    private = read_ed25519(key)
    signers = AllowedSigners().with_key("models.example.org", PublicKey.of(private))
    (tmp_path / "signers").write_bytes(signers.encode())
    (tmp_path / "sig").write_bytes(sign(private, MESSAGE))

    def verified(identity: str, message: bytes = MESSAGE) -> bool:
        paths = ("-f", tmp_path / "signers", "-s", tmp_path / "sig")
        found = keygen("-Y", "verify", *paths, "-n", "mirror-sync", "-I", identity, given=message)
        return found.returncode == 0

    assert verified("models.example.org")
    assert not verified("elsewhere")
    assert not verified("models.example.org", b"another")
    theirs = keygen("-Y", "sign", "-q", "-n", "mirror-sync", "-f", key, given=MESSAGE).stdout
    assert signers.expect(read_signature(theirs), MESSAGE, NOW, "models.example.org").key == PublicKey.of(private)


def test_a_key_that_is_retired_stays_in_the_file_and_neither_we_nor_ssh_keygen_take_it_from_then_on(
    tmp_path: Path,
) -> None:
    private = read_ed25519(ssh_key(tmp_path))
    public = PublicKey.of(private)
    signers = AllowedSigners().with_key("mirror", public).retired(public.fingerprint, NOW)
    assert AllowedSigners.decode(signers.encode()) == signers
    signature = read_signature(sign(private, MESSAGE))
    assert signers.expect(signature, MESSAGE, NOW.replace(hour=11))
    with pytest.raises(SigningError, match="not valid since 20261129120000Z"):
        signers.expect(signature, MESSAGE, LATER)
    (tmp_path / "signers").write_bytes(signers.encode())
    (tmp_path / "sig").write_bytes(sign(private, MESSAGE))
    paths = ("-f", tmp_path / "signers", "-s", tmp_path / "sig", "-n", "mirror-sync", "-I", "mirror")
    for when, taken in (("20261129110000Z", True), ("20270101000000Z", False)):
        found = keygen("-Y", "verify", *paths, "-O", f"verify-time={when}", given=MESSAGE)
        assert (found.returncode == 0) is taken
    assert signers.with_key("mirror", public).encode().count(b"ssh-ed25519") == 2, "a line anew, not an old one changed"


def test_lines_that_are_not_ours_stay_and_allow_nothing(tmp_path: Path) -> None:
    private = read_ed25519(ssh_key(tmp_path))
    public = PublicKey.of(private)
    lines = (
        "# who signs here",
        "",
        f"a cert-authority ssh-ed25519 {public.wire}",
        "b ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB",
        f'c namespaces="git" ssh-ed25519 {public.wire} a comment',
        f'd valid-after="2030" ssh-ed25519 {public.wire}',
        f'e namespaces="git",namespaces="mirror-sync" ssh-ed25519 {public.wire}',
        f"f no-such-option ssh-ed25519 {public.wire}",
        f"# one line to ssh-keygen\u2028g ssh-ed25519 {public.wire}",
        f"h\u00a0ssh-ed25519 {public.wire}",
    )
    body = "".join(f"{line}\n" for line in lines).encode()
    signers = AllowedSigners.decode(body)
    assert [str(line) for line in signers.lines][:4] == list(lines[:4])
    with pytest.raises(SigningError, match="may not sign for mirror-sync"):
        signers.expect(read_signature(sign(private, MESSAGE)), MESSAGE, NOW)
    after = signers.with_key("mirror", public)
    assert after.expect(read_signature(sign(private, MESSAGE)), MESSAGE, NOW) == Signer(("mirror",), public)
    assert after.with_key("mirror", public) is after


@pytest.mark.parametrize(
    ("principals", "identity"),
    [("a", "a"), ("a*", "abc"), ("*,!abc", "abc"), ("?b", "ab"), ("[a]", "a"), ('"a,b"', "b"), ("!a", "b"), ("a", "b")],
)
def test_whom_a_line_lets_sign_ssh_keygen_says_too(tmp_path: Path, principals: str, identity: str) -> None:
    private = read_ed25519(ssh_key(tmp_path))
    line = f"{principals} ssh-ed25519 {PublicKey.of(private).wire} a comment\n".encode()
    (tmp_path / "signers").write_bytes(line)
    (tmp_path / "sig").write_bytes(sign(private, MESSAGE))
    paths = ("-f", tmp_path / "signers", "-s", tmp_path / "sig")
    theirs = keygen("-Y", "verify", *paths, "-n", "mirror-sync", "-I", identity, given=MESSAGE).returncode == 0
    (signer,) = AllowedSigners.decode(line).signers
    assert (signer.allows(read_signature(sign(private, MESSAGE)), identity, NOW) == "") is theirs


def test_a_signature_for_something_else_or_of_other_bytes_or_by_a_stranger_does_not_hold(tmp_path: Path) -> None:
    private = read_ed25519(ssh_key(tmp_path))
    signers = AllowedSigners().with_key("mirror", PublicKey.of(private))
    with pytest.raises(SigningError, match="signed for 'git', not for mirror-sync"):
        signers.expect(read_signature(sign(private, MESSAGE, "git")), MESSAGE, NOW)
    with pytest.raises(SigningError, match="not of these bytes"):
        signers.expect(read_signature(sign(private, MESSAGE)), b"another", NOW)
    stranger = read_ed25519(ssh_key(tmp_path, "stranger"))
    with pytest.raises(SigningError, match="not among the allowed signers"):
        signers.expect(read_signature(sign(stranger, MESSAGE)), MESSAGE, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"-----BEGIN SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n",
    ],
)
def test_what_is_no_signature_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(SigningError, match="not an SSH signature"):
        read_signature(body)


def test_a_signature_that_is_cut_anywhere_is_none(tmp_path: Path) -> None:
    whole = sign(read_ed25519(ssh_key(tmp_path)), MESSAGE)
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(SigningError):
            read_signature(whole[:end])


def test_a_key_is_read_in_either_format_and_refused_in_one_line_otherwise(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ssh_key(tmp_path)
    private = load_ssh_private_key(key.read_bytes(), None)
    pem = tmp_path / "key.pem"
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem.chmod(0o600)
    assert PublicKey.of(read_ed25519(pem)) == PublicKey.of(read_ed25519(key))
    words: dict[str, tuple[Callable[[Path], object], Path]] = {}
    pem.chmod(0o640)
    words["others may use it (mode 0640)"] = (read_ed25519, pem)
    locked = ssh_key(tmp_path, "locked", passphrase="secret")
    words["has a passphrase"] = (read_ed25519, locked)
    words["holds a key of another kind (secp256r1), and an Ed25519 key is needed"] = (
        read_ed25519,
        elliptic_key(tmp_path),
    )
    words["a key on P-256, P-384 or P-521 is needed"] = (read_elliptic, key)
    text = tmp_path / "text"
    text.write_text("hello")
    text.chmod(0o600)
    words["holds no private key"] = (read_ed25519, text)
    words["No such file"] = (read_ed25519, tmp_path / "none")
    words["is no file"] = (read_ed25519, tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    words[": is no file"] = (read_ed25519, tmp_path / "pipe")
    for said, (read, path) in words.items():
        with pytest.raises(SigningError) as caught:
            read(path)
        assert said in str(caught.value)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert f"-out {path}" not in str(caught.value), "openssl writes over what is there, which may be another key"
