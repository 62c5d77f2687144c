"""Who is told when a repo's state changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.outcome.notices import HookCommand, HookPost, Hooks, Shape, StateChange


class HookKeys(Keys):
    """What every hook says."""

    timeout: scalars.Interval = Field(
        default=timedelta(seconds=30),
        description="How long it may take in all, further tries of a POST included; a command is ended then.",
        examples=["30s"],
        json_schema_extra={"default": "30s"},
    )


class CommandEntry(HookKeys):
    """A program that is run, with the notice as JSON on its standard input."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "post": "stands beside run, where only one can be; write two entries",
        "shape": "this key is for post; remove it",
        "headers": "this key is for post; remove it",
    }

    run: tuple[scalars.Argument, ...] = Field(
        min_length=1,
        description="The program and its arguments, each a word of its own; no shell is between.",
        examples=[["/usr/local/bin/notify", "--channel=models"]],
    )
    env: tuple[scalars.Variable, ...] = Field(
        default=(),
        description="Names of variables of our environment that it gets beside PATH, HOME, USER, LOGNAME, LANG, "
        "LC_ALL, TZ and TMPDIR; their values are kept out of the log.",
        examples=[["TICKET_TOKEN"]],
    )

    @property
    def hook(self) -> HookCommand:
        """The command as whoever delivers notices takes it."""
        return HookCommand(self.run, self.timeout, self.env)


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110, 5.6.2
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"})


def _header_name(value: str) -> str:
    if _HEADER.fullmatch(value) is None or value.lower() in _OURS:
        raise ValueError(f"{quoted(value)} is no header that can be added; write one like X-Webhook-Secret")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]


class PostEntry(HookKeys):
    """An address that gets the notice by HTTP POST."""

    post: Annotated[SecretStr, scalars.HOOK_URL] = Field(
        description="The address, best as ${NAME}, since it mostly holds a secret.", examples=["${SLACK_URL}"]
    )
    shape: Shape = Field(
        default=Shape.JSON,
        description="The body: json has all that is known; slack, wecom, feishu and dingtalk get one line of text; "
        "hub-webhook is what /webhook of another mirror-sync takes.",
        examples=["slack"],
    )
    headers: dict[HeaderName, SecretStr] = Field(
        default_factory=dict,
        description="Headers that go with it, best as ${NAME}; their values are kept out of the log.",
        examples=[{"X-Webhook-Secret": "${EDGE_SECRET}"}],
    )

    @property
    def hook(self) -> HookPost:
        """The address as whoever delivers notices takes it."""
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        return HookPost(self.post.get_secret_value(), self.shape, self.timeout, headers)


def _tag(value: Any) -> str:
    return f"{UNION}run" if isinstance(value, dict) and "run" in value else f"{UNION}post"


HookEntry = Annotated[
    Annotated[CommandEntry, Tag(f"{UNION}run")] | Annotated[PostEntry, Tag(f"{UNION}post")],
    Discriminator(_tag),
]
_SLACK = [{"post": "${SLACK_URL}", "shape": "slack"}]


class OnEntry(Keys):
    """Hooks by the change that they are told of: once a change, and once a run for all repos with one cause."""

    published: tuple[HookEntry, ...] = Field(
        default=(), description="A snapshot was published.", examples=[[{"run": ["/usr/local/bin/warm-cache"]}]]
    )
    failed: tuple[HookEntry, ...] = Field(
        default=(), description="A repo failed, and had not before.", examples=[_SLACK]
    )
    held: tuple[HookEntry, ...] = Field(
        default=(), description="A repo is held for a person, and was not for this cause before.", examples=[_SLACK]
    )
    recovered: tuple[HookEntry, ...] = Field(
        default=(), description="A repo that had failed, or was held, is as it should be.", examples=[_SLACK]
    )
    moved: tuple[HookEntry, ...] = Field(
        default=(),
        description="A person has moved a name of a repo: promote, tag, rollback, unpin.",
        examples=[_SLACK],
    )
    unusual: tuple[HookEntry, ...] = Field(
        default=(),
        description="A client reads what it never did, as the traffic command finds in a front's log.",
        examples=[_SLACK],
    )

    @model_validator(mode="after")
    def _of_changes(self) -> Self:
        """What the Hub's payload can say: that files have changed, or where a name leads."""
        for turn in set(StateChange) - {StateChange.PUBLISHED, StateChange.MOVED}:
            for entry in getattr(self, turn):
                if isinstance(entry, PostEntry) and entry.shape is Shape.HUB_WEBHOOK:
                    raise ValueError(f"{turn}: shape hub-webhook is for published and moved; write another shape")
        return self

    @property
    def hooks(self) -> Hooks:
        """By change; a change that nobody is told of is left out."""
        named = {turn: tuple(entry.hook for entry in getattr(self, turn)) for turn in StateChange}
        return {turn: found for turn, found in named.items() if found}
