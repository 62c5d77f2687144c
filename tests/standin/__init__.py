"""A stand-in for the Hugging Face Hub: real sockets, two origins, faults on request.

Only the standard library and PyYAML are used here, and nothing of the program under test.
"""

from . import faults
from .answer import Answer, Request
from .content import Content, Disk, Generated, Memory
from .hub import Hub
from .limits import ANONYMOUS, Quotas
from .log import Record
from .repo import Commit, Repo
from .rules import Rule
from .settings import Settings
from .tree import LFS, File, Small
from .world import SIDE_CALLS, Behaviour, Clock, Token

__all__ = [
    "ANONYMOUS",
    "LFS",
    "SIDE_CALLS",
    "Answer",
    "Behaviour",
    "Clock",
    "Commit",
    "Content",
    "Disk",
    "File",
    "Generated",
    "Hub",
    "Memory",
    "Quotas",
    "Record",
    "Repo",
    "Request",
    "Rule",
    "Settings",
    "Small",
    "Token",
    "faults",
]
