"""The classes of files, the mildest first, and what a name alone tells of one.

A name may raise a class, never lower it: `weights.bin` may be unpickled whatever its text looks like, and nothing that
is called `model.safetensors` is data for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FileClass(StrEnum):
    """What a file may do to who loads it; a later class is never milder than an earlier one."""

    DATA = "data"  # safetensors, plain npy, parquet, arrow, images, audio, video; what is empty
    TEXT = "text"  # UTF-8
    CONTAINER = "container"  # GGUF, ONNX, HDF5, npz, zip, tar, gzip and the like, in which no code was found
    UNKNOWN = "unknown"  # never data
    PICKLE = "pickle"  # runs what it says when it is unpickled: pickles, torch files, joblib, npy of objects
    CODE = "code"  # .py, TorchScript, Keras with Lambda, a config that asks for trust_remote_code
    EXECUTABLE = "executable"  # ELF, PE, scripts with #!

    @property
    def runs(self) -> bool:
        """Whether it runs code when it is loaded as what it is."""
        return self in RUNNING


RUNNING = (FileClass.PICKLE, FileClass.CODE, FileClass.EXECUTABLE)
_ORDER = tuple(FileClass)
_PICKLES = (
    *(".pkl", ".pickle", ".dill", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".pdparams", ".pdopt"),
    *(".pkl.gz", ".pkl.bz2", ".pkl.xz", ".pkl.zst", ".pickle.gz", ".joblib.gz", ".joblib.z"),
)
_CODE = (".py", ".pyc", ".pyw", ".pyx", ".pyz")
_EXECUTABLES = (
    *(".so", ".exe", ".dll", ".dylib", ".pyd", ".com", ".msi"),
    *(".sh", ".bash", ".zsh", ".ksh", ".bat", ".cmd", ".ps1"),
)
_VERSIONED = re.compile(r"\.so(\.\d+)+$")
_DOUBTED = (".keras", ".h5", ".hdf5")  # which may hold a Lambda: a name alone does not tell
_NO_TEXT = (
    *(".safetensors", ".npy", ".npz", ".parquet", ".arrow", ".gguf", ".onnx", ".h5", ".hdf5", ".keras"),
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".wav", ".flac", ".mp3", ".ogg", ".mp4", ".zip", ".tar", ".gz"),
)
ZIPS = (".zip", ".keras", ".npz", ".pt", ".pth", ".whl", ".egg", ".pyz", ".jar")
"""Names that readers open as a zip whatever it begins with."""


@dataclass(frozen=True, slots=True)
class Classified:
    """A file's class, and what it is in a few words, for a person."""

    of: FileClass
    what: str

    def raised(self, least: FileClass, what: str) -> Classified:
        """The same, or what is told by something else where that is worse."""
        return Classified(least, what) if rank(least) > rank(self.of) else self


def rank(of: FileClass) -> int:
    """The mildest class is 0."""
    return _ORDER.index(of)


def worse(one: Classified, other: Classified) -> Classified:
    """The one of the worse class; of two alike the first."""
    return other if rank(other.of) > rank(one.of) else one


def by_name(path: str) -> FileClass | None:
    """The class of a file that runs code when it is loaded, as far as its name says so; None where it does not."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(_EXECUTABLES) or _VERSIONED.search(name):
        return FileClass.EXECUTABLE
    if name.endswith(_CODE):
        return FileClass.CODE
    return FileClass.PICKLE if name.endswith(_PICKLES) else None


def may_run(path: str) -> bool:
    """Whether a file may run code when it is loaded, as far as its name tells: no byte of it is known."""
    return by_name(path) is not None or path.lower().endswith(_DOUBTED)


def judged_by_name(path: str, found: Classified, *, packed: bool = False) -> Classified:
    """What was found in a file's bytes, raised by its name. `packed`: it is a compressed stream, which loaders of
    pickles open, too.
    """
    name, least = path.rpartition("/")[2].lower(), by_name(path)
    if least is FileClass.PICKLE:
        told = found.of in (FileClass.TEXT, FileClass.UNKNOWN) or packed
        return found.raised(least, f"{found.what} that is named as a pickle") if told else found
    if least is not None:
        return found.raised(least, f"{found.what} that is named as code")
    if found.of is FileClass.TEXT and name.endswith(_NO_TEXT):
        return Classified(FileClass.UNKNOWN, "text that is named as something else")
    return found
