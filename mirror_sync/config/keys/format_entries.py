"""`policy.formats` and `policy.scan` of jobs.yaml: what may be published by what is in its files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from shutil import which
from typing import Any, Literal

from pydantic import Field

from mirror_sync.config.findings import Finding, Trail, quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.domain.formats.file_class import FileClass
from mirror_sync.domain.policy.format_policy import FormatPolicy
from mirror_sync.domain.policy.scan_policy import FILE, OnFailure, ScanCommand, ScanLimits, ScanPolicy

_LISTS = ("refuse", "hold", "allow")
_LIMITS = ("timeout", "memory")
_MILDER = (OnFailure.REFUSE, OnFailure.HOLD)  # of all jobs, and of one


class FormatsEntry(Keys):
    """What becomes of a snapshot by the classes of its files, as their bytes tell them; what is on no list is held."""

    refuse: tuple[FileClass, ...] | None = Field(
        default=None, description="Classes of which a snapshot holds no file, or is refused.", examples=[["executable"]]
    )
    hold: tuple[FileClass, ...] | None = Field(
        default=None, description="Classes that wait for a person.", examples=[["pickle", "code", "unknown"]]
    )
    allow: tuple[FileClass, ...] | None = Field(
        default=None, description="Classes that may be published.", examples=[["data", "text", "container"]]
    )

    def policy(self) -> FormatPolicy:
        """These lists, where they stand alone."""
        return FormatPolicy.of(self.refuse or (), self.allow or ())

    def upon(self, common: FormatPolicy) -> FormatPolicy:
        """These lists of a job, beside those that are common to all."""
        return common.tightened(self.refuse or (), self.hold or ())

    def doubled(self, trail: Trail) -> Iterator[Finding]:
        """Classes that stand on two lists, or twice on one."""
        first: dict[FileClass, str] = {}
        for name in _LISTS:
            for index, of in enumerate(getattr(self, name) or ()):
                if of in first:
                    where = "above already" if first[of] == name else f"under {first[of]} as well"
                    yield Finding((*trail, name, index), f"{quoted(of)} is {where}; keep one of them")
                first.setdefault(of, name)

    def loosened(self, trail: Trail, common: FormatsEntry) -> Iterator[Finding]:
        """Classes that a job would let in, and that are kept out for all jobs."""
        policy = common.policy()
        for index, of in enumerate(self.allow or ()):
            if of in policy.refuse | policy.hold:
                kept = "refused" if of in policy.refuse else "held"
                message = f"{quoted(of)} is {kept} by policy.formats, which holds for all jobs; remove it here"
                yield Finding((*trail, "allow", index), message)


class ScanEntry(Keys):
    """Who scans the files of a snapshot. What is not clean, failed or was not scanned is held."""

    hub: Literal["hold"] | None = Field(
        default=None, description="hold: what the upstream's own scanners do not call safe waits.", examples=["hold"]
    )
    picklescan: scalars.Switch = Field(
        default=False, description="Scan pickles with picklescan: the extra mirror-sync[scan].", examples=[True]
    )
    command: tuple[scalars.Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="A program that is started for each file, {file} being its path: 0 clean, 1 found, else failed.",
        examples=[["/usr/bin/scanner", "{file}"]],
    )
    version: tuple[scalars.Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="A command that says the version of the scanner and its signatures: another one scans all anew.",
        examples=[["/usr/bin/scanner", "--version"]],
    )
    timeout: scalars.Interval = Field(
        default=timedelta(minutes=10),
        description="How long the command, or picklescan, may take for one file; then it is ended, and has failed.",
        examples=["10m"],
        json_schema_extra={"default": "10m"},
    )
    memory: scalars.Size = Field(
        default=4 << 30,
        description="How much address space the command, or picklescan, may take; 0: any.",
        examples=["4GiB"],
        json_schema_extra={"default": "4GiB"},
    )
    on_failure: OnFailure = Field(
        default=OnFailure.HOLD,
        description="What becomes of a snapshot where a scan failed, or did not take place; it never passes.",
        examples=["hold"],
    )

    def policy(self, common: ScanEntry | None = None) -> ScanPolicy | None:
        """Who is asked; None for nobody. `common` holds for all jobs: its limits count where these are silent."""
        limits = ScanLimits(*(self._limit(name, common) for name in _LIMITS))
        command = None if self.command is None else ScanCommand(self.command, limits, self.version or ())
        if not (self.hub or self.picklescan or command):
            return None
        return ScanPolicy(self.hub is not None, self.picklescan, command, self.on_failure, limits)

    def faults(self, trail: Trail) -> Iterator[Finding]:
        """A command that is not told which file."""
        if self.command is not None and not any(FILE in word for word in self.command[1:]):
            yield Finding((*trail, "command"), f"does not say which file; write [{self.command[0]}, {quoted(FILE)}]")
        if self.version is not None and self.command is None:
            yield Finding((*trail, "version"), "is of a command; write command: [...] beside it, or remove it")
        if self.policy() is None:
            yield Finding(trail, "names no scanner; write hub: hold, picklescan: true or command: [...]")

    def doubts(self, trail: Trail) -> Iterator[Finding]:
        """A scanner that is not installed on this machine: then no pickle, or no file at all, is clean."""
        if self.picklescan and find_spec("picklescan") is None:
            message = "picklescan is not installed here, so that every pickle is held: pip install 'mirror-sync[scan]'"
            yield Finding((*trail, "picklescan"), message)
        if self.command is not None and not _is_found(self.command[0]):
            message = (
                f"{self.command[0]} is no program here, so that every file is held or refused; write its whole path"
            )
            yield Finding((*trail, "command"), message)

    def loosened(self, trail: Trail, common: ScanEntry) -> Iterator[Finding]:
        """What a job would take away: another command than that of all jobs, more time for it, and the like."""
        here = "which holds for all jobs; remove it here"
        if common.command is not None and self.command not in (None, common.command):
            yield Finding((*trail, "command"), f"policy.scan has a command already, {here}")
        elif common.version is not None and self.version not in (None, common.version):
            yield Finding((*trail, "version"), f"policy.scan has a version already, {here}")
        if common.picklescan and "picklescan" in self.model_fields_set and not self.picklescan:
            yield Finding((*trail, "picklescan"), f"policy.scan asks picklescan, {here}")
        if "on_failure" in self.model_fields_set and (common.on_failure, self.on_failure) == _MILDER:
            yield Finding((*trail, "on_failure"), f"policy.scan.on_failure is refuse, {here}")
        if (self.command and common.command) or (self.picklescan and common.picklescan):
            for name in self._widened(common):
                yield Finding((*trail, name), f"is more than policy.scan.{name}, {here}")

    def _limit(self, name: str, common: ScanEntry | None) -> Any:
        return getattr(self if common is None or name in self.model_fields_set else common, name)

    def _widened(self, common: ScanEntry) -> Iterator[str]:
        """The limits that are set here, and let a scanner take more than they do for all jobs."""
        own = self.model_fields_set
        if "timeout" in own and self.timeout > common.timeout:
            yield "timeout"
        if "memory" in own and common.memory and not 0 < self.memory <= common.memory:
            yield "memory"


def _is_found(program: str) -> bool:
    """Whether a command would start here: it runs in a folder of its own, where a relative path leads nowhere."""
    return ("/" not in program or program.startswith("/")) and which(program) is not None
