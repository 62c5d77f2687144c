"""A token of SoftHSM, as OpenSC's own program fills it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "83540271"


@dataclass(frozen=True)
class TokenOfTests:
    """A token `mirror`, whose library finds it by `environ`; `pin` is the file of its PIN."""

    pin: Path
    environ: Mapping[str, str]

    def address(self, key: str = "object=oms", of: str = "token=mirror", module: str = MODULE) -> str:
        """What jobs.yaml says of a key there."""
        return f"pkcs11:{of};{key}?module-path={module}&pin-source={self.pin}"

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


def new_token(folder: Path) -> TokenOfTests:
    """A token in an empty folder, with one pair of keys: `oms`."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    environ = {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
    pin = folder / "pin"
    pin.write_text(f"{PIN}\n", encoding="utf-8")
    pin.chmod(0o600)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "mirror", "--so-pin", "11223344", "--pin", PIN]
    subprocess.run(command, env={**os.environ, **environ}, check=True, capture_output=True)
    found = TokenOfTests(pin, environ)
    found.make("oms", "01")
    return found
