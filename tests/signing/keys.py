"""Keys for tests, made by the programs by which people make theirs."""

from __future__ import annotations

import subprocess
from pathlib import Path


def ssh_key(folder: Path, name: str = "signing.key", passphrase: str = "") -> Path:
    """An Ed25519 key as ssh-keygen makes it; its public half lies beside it, in NAME.pub."""
    path = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def elliptic_key(folder: Path, name: str = "oms.pem", curve: str = "secp256r1") -> Path:
    """A key in PEM as openssl makes it; its public half lies beside it, in NAME.pub."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = ec.generate_private_key(
        {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}[curve]
    )
    path = folder / name
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    path.chmod(0o600)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_name(f"{name}.pub").write_bytes(public)
    return path
