"""`make demo`: the whole way once, without a Hub, from a Hub to a loaded tokenizer.

A stand-in Hub serves a real model; mirror-sync mirrors it as jobs.yaml says, serves the mirror, and the unmodified `hf`
client downloads it back with nothing but HF_ENDPOINT set.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.real_model import LICENSE, REPO, model_folder

JOB = "embeddings"
LISTEN = os.environ.get("MIRROR_LISTEN", "127.0.0.1:8080")
WORK = Path("var/demo")
ACCESS = 'access: {roles: {readers: {read: ["*"]}}, tokens: ./tokens.yaml}\n'
BIN = Path(sys.executable).parent


def main() -> int:
    """Returns the exit code: 0 when every downloaded byte is the model's own."""
    if _is_listening():
        print(f"Something listens on {LISTEN} already. Stop it, or choose: MIRROR_LISTEN=127.0.0.1:8081 make demo")
        return 1
    shutil.rmtree(WORK, ignore_errors=True)
    print("Nine steps, about half a minute in all.")
    _say(1, f"A stand-in for the Hub offers {REPO}, a real model of {_size(model_folder())}")
    with _hub() as upstream:
        mirror = {**os.environ, "MIRROR_UPSTREAM": upstream} | _places() | {"MIRROR_SYNC_CONFIG": str(_signing())}
        _say(2, f"mirror-sync sync {JOB}: fetch, prove by SHA-256, publish into {WORK / 'mirror'}")
        _run([BIN / "mirror-sync", "--quiet", "sync", JOB], mirror)
        _say(3, "Once more: nothing has changed, so nothing is fetched")
        _run([BIN / "mirror-sync", "--quiet", "sync", JOB], mirror)
        _say(4, "A new commit turns out to be bad: mirror-sync rollback, and readers of main have the version before")
        _commit(upstream)
        _run([BIN / "mirror-sync", "--quiet", "sync", JOB], mirror)
        why = ["--why", "the new one answers nonsense", "--no-wait"]
        _run([BIN / "mirror-sync", "--quiet", "rollback", REPO, *why], mirror)
        _run([BIN / "mirror-sync", "channel", REPO], mirror)
    _say(5, "mirror-sync token new you --role readers: who may read more than everybody")
    client = {**os.environ, "HF_ENDPOINT": f"http://{LISTEN}", "HF_HOME": str((WORK / "hf").absolute())}
    client["HF_TOKEN"] = _token(mirror)
    _say(6, f"The Hub is gone now. mirror-sync serve answers on http://{LISTEN}; then hf auth whoami")
    with _serving(mirror):
        folder = WORK / "downloaded"
        _run([BIN / "hf", "auth", "whoami"], client)
        _say(7, f"HF_ENDPOINT=http://{LISTEN} HF_TOKEN=hf_... hf download {REPO}")
        _run([BIN / "hf", "download", REPO, "--local-dir", folder, "--quiet"], client)
        _say(8, "What came back: the version before")
        sound = _compare(folder)
        _tokenize(folder)
    _say(9, "The mirror has signed all of it: mirror-sync prove, as a stranger who has its public key and nothing else")
    signers = WORK / "allowed_signers"
    shutil.copy(WORK / "mirror/trust/allowed_signers", signers)  # by another way than the mirror, where it matters
    origin = (WORK / "mirror").absolute().as_uri()
    _run([BIN / "mirror-sync", "prove", REPO, "--from", origin, "--signers", signers, "--dir", folder], os.environ)
    _what_next()
    return 0 if sound else 1


def _commit(upstream: str) -> None:
    """Something new upstream, as its authors would push it."""
    said = {"do": "commit", "repo": REPO, "files": {"NEWS.md": "all new, all better"}}
    request = Request(f"{upstream}/__control__", json.dumps(said).encode(), method="POST")
    with urlopen(request, timeout=10) as answer:
        print(f"   upstream is at {json.load(answer)['commit']} now")


def _token(environment: Mapping[str, str]) -> str:
    """A token of a reader, as the program prints it: this once. The demo's own front is its only use."""
    command: list[str | Path] = [BIN / "mirror-sync", "token", "new", "you", "--role", "readers", "--expires", "1h"]
    made: str = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    print(made)
    return made


def _places() -> dict[str, str]:
    return {
        "MIRROR_TARGET": str((WORK / "mirror").absolute()),
        "MIRROR_STATE": str((WORK / "state").absolute()),
        "MIRROR_LISTEN": LISTEN,
    }


def _signing() -> Path:
    """The shipped jobs.yaml, and a key that signs what it publishes."""
    WORK.mkdir(parents=True)
    key = WORK.absolute() / "signing.key"
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key.touch(0o600)
    key.write_bytes(private)
    jobs = WORK / "jobs.yaml"
    jobs.write_text(
        f"{Path('jobs.yaml').read_text(encoding='utf-8')}\ntrust: {{key: {key}}}\n{ACCESS}", encoding="utf-8"
    )
    return jobs


@contextmanager
def _hub() -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "tests.standin",
        "--steerable",
        "--folder",
        f"{REPO}={model_folder()},license={LICENSE}",
    ]
    with _running(command, os.environ, stdout=subprocess.PIPE) as hub:
        line = hub.stdout.readline() if hub.stdout else ""
        yield line.split()[1]


@contextmanager
def _serving(environment: Mapping[str, str]) -> Iterator[None]:
    with _running([BIN / "mirror-sync", "serve"], environment) as server:
        for _ in range(200):
            if _is_listening():
                break
            if server.poll() is not None:
                raise SystemExit(f"mirror-sync serve ended with {server.returncode}")
            time.sleep(0.1)
        yield


@contextmanager
def _running(
    command: Sequence[str | Path], environment: Mapping[str, str], stdout: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, env=environment, stdout=stdout, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _is_listening() -> bool:
    host, _, port = LISTEN.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    outcome = subprocess.run(command, env=environment, check=False)
    if outcome.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {outcome.returncode}")


def _compare(folder: Path) -> bool:
    """Compare what was downloaded with the model's own files, byte for byte."""
    sound = True
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts):
        name = path.relative_to(folder)
        digest = _sha256(path)
        same = digest == _sha256(model_folder() / name)
        sound = sound and same
        print(f"   {digest[:16]}…  {path.stat().st_size:>10,} bytes  {name}{'' if same else '   DIFFERS'}")
    return sound


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tokenize(folder: Path) -> None:
    from tokenizers import Tokenizer

    text = "A mirror that every team runs."
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).tokens
    print(f"   {text!r} -> {' '.join(token for token in tokens if token != '[PAD]')}")


def _size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"


def _say(step: int, text: str) -> None:
    print(f"\n{step}. {text}", flush=True)


def _what_next() -> None:
    told = {name: os.path.relpath(value) if "/" in value else value for name, value in _places().items()}
    if "MIRROR_LISTEN" not in os.environ:
        del told["MIRROR_LISTEN"]  # jobs.yaml has the same
    places = " ".join(f"{name}={value}" for name, value in told.items())
    print(f"""
Done. What to try next:
   serve the demo's mirror     {places} {BIN.parent.name}/bin/mirror-sync serve
   see it in a browser         open http://{LISTEN} while it is served
   and read from it            HF_ENDPOINT=http://{LISTEN} {BIN.parent.name}/bin/hf download {REPO}
   check every byte of it      {places} {BIN.parent.name}/bin/mirror-sync verify
   how a stranger checks       {BIN.parent.name}/bin/mirror-sync prove {REPO} \\
                               --from file://$PWD/{WORK}/mirror --signers {WORK}/allowed_signers --dir {WORK}/downloaded
                               or with ssh-keygen and sha256sum alone: docs/guide/trust.md
   your own mirror             edit jobs.yaml, then: {BIN.parent.name}/bin/mirror-sync plan; make run
""")


if __name__ == "__main__":
    sys.exit(main())
