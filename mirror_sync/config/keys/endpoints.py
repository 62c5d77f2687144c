"""The upstreams and targets of jobs.yaml: where files come from and where they go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, Union
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator

from mirror_sync.config.findings import Trail, listed, nearest_word, quoted
from mirror_sync.config.keys.keep_entry import KeepEntry, fits
from mirror_sync.config.keys.limit_entries import OnlyText
from mirror_sync.config.keys.place_keys import BucketPlace, FolderPlace, TiersEntry, target_tag
from mirror_sync.config.keys.values import address_values, scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.content.manifest import OnUnproved
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.targets import DirectoryTarget, Replica, S3Target, Target
from mirror_sync.domain.job.upstreams import (
    DirectoryUpstream,
    HubUpstream,
    MirrorUpstream,
    ModelScopeUpstream,
    OwnUpstream,
    Prefer,
    Timeouts,
    Upstream,
)

Place = TypeVar("Place", DirectoryTarget, S3Target)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an upstream's entry does not say itself: `base` is the folder of jobs.yaml, `tokens` are those of files, by
    where these are named, `used` the places where variables gave a part.
    """

    base: Path
    tokens: Mapping[Trail, str]
    used: Collection[Trail]


class TimeoutsEntry(Keys):
    """When a hub that does not answer, or hardly, is given up; the call or transfer is made again then."""

    connect: scalars.Interval = Field(
        default=timedelta(seconds=10),
        description="The longest wait for a connection.",
        examples=["10s"],
        json_schema_extra={"default": "10s"},
    )
    first_byte: scalars.Interval = Field(
        default=timedelta(seconds=30),
        description="The longest wait for an answer to begin.",
        examples=["30s"],
        json_schema_extra={"default": "30s"},
    )
    stall: scalars.Interval = Field(
        default=timedelta(seconds=60),
        description="The longest silence between two arrivals of bytes.",
        examples=["60s"],
        json_schema_extra={"default": "60s"},
    )
    min_rate: scalars.Rate = Field(
        default=1000,
        description="A transfer that is slower than this is cut and resumed; 0B/s for never.",
        examples=["1KB/s"],
        json_schema_extra={"default": "1KB/s"},
    )
    over: scalars.Interval = Field(
        default=timedelta(seconds=60),
        description="How long a transfer must have been waited for before min_rate is looked at.",
        examples=["60s"],
        json_schema_extra={"default": "60s"},
    )

    @property
    def timeouts(self) -> Timeouts:
        """The time-outs as connections take them."""
        return Timeouts(
            connect=self.connect.total_seconds(),
            first_byte=self.first_byte.total_seconds(),
            stall=self.stall.total_seconds(),
            min_rate=self.min_rate,
            over=self.over.total_seconds(),
        )


class EndpointEntry(Keys):
    """One address of a hub, and the token that it is asked with."""

    url: scalars.Endpoint = Field(
        description="The address, as it would stand alone.", examples=["https://hub.example.org"]
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token for this address, best as ${NAME:-}; empty reads anonymously there.",
        examples=["${OTHER_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds this address's token, instead of token.",
        examples=["/run/credentials/other-token"],
    )


def _endpoint_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict | EndpointEntry) else f"{UNION}address"


EndpointOrAddress = Annotated[
    Annotated[scalars.Endpoint, Tag(f"{UNION}address")] | Annotated[EndpointEntry, Tag(f"{UNION}entry")],
    Discriminator(_endpoint_tag),
]


class UpstreamKeys(Keys, ABC):
    """An upstream: each kind is a class of its own, which KINDS names."""

    @abstractmethod
    def upstream(self, place: Trail, around: Surroundings) -> Upstream:
        """What the entry at `place` stands for."""


def _kind(value: object) -> object:
    """A kind of upstream; whatever is none is judged with the hub's keys."""
    if not isinstance(value, str):
        raise ValueError(f"must be {listed([*KINDS])}")  # noqa: TRY004  pydantic takes ValueError
    if value not in KINDS:
        hint = nearest_word(value, KINDS) or f"; write {listed([*KINDS])}"
        raise ValueError(f"{quoted(value)} is no kind of upstream{hint}")
    return value


_FRONT = ("http://", "https://")


def _own_url(value: object) -> str:
    """What push can put models into. ValueError with what would be right."""
    if not isinstance(value, str) or value.lower().startswith(_FRONT):
        raise ValueError("must be s3://bucket/prefix or file:///folder: push puts models there")
    if value.startswith("s3:"):
        address_values.bucket(value)
    else:
        address_values.folder(value)
    return value


def _mirror_url(value: object) -> str:
    """An address of a front, or of what a mirror publishes into. ValueError with what would be right."""
    if not isinstance(value, str):
        raise ValueError("must be an address: https://..., s3://... or file:///...")  # noqa: TRY004  for pydantic
    if value.lower().startswith(_FRONT):
        return address_values.endpoint(value)
    if value.startswith("s3:"):
        address_values.bucket(value)
        return value
    if not value.startswith("file:"):
        raise ValueError(f"{quoted(value)} has no scheme; write https://..., s3://... or file:///...")
    address_values.folder(value)
    return value


_ONE_ADDRESS = "this key chooses among endpoints, which only kind: huggingface has; remove it"


class HubEntry(UpstreamKeys):
    """A hub that speaks the Hugging Face API."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "url": "url is for kind: directory; write endpoints: [https://...] for a hub",
        "unproved": "this key is for kind: modelscope, which may tell no SHA-256 of a file; remove it",
    }

    kind: Annotated[Literal["huggingface"], BeforeValidator(_kind)] = Field(
        description="What the upstream is.", examples=["huggingface"]
    )
    endpoints: tuple[EndpointOrAddress, ...] = Field(
        default=("https://huggingface.co",),
        min_length=1,
        description="Addresses of the hub, tried in order when one does not answer; {url, token} for one's own token.",
        examples=[["https://huggingface.co"]],
    )
    prefer: Prefer = Field(
        default=Prefer.ORDER,
        description="Of several endpoints, which gives files: order, as they are written; fastest, as it is measured. "
        "What a name stands for is asked of the first either way.",
        examples=["fastest"],
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token, best as ${NAME:-}, for the first endpoint's server; empty reads anonymously.",
        examples=["${HF_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds the access token, instead of token.",
        examples=["/run/credentials/hf-token"],
    )
    timeouts: TimeoutsEntry = Field(
        default_factory=TimeoutsEntry,
        description="When a hub that does not answer, or hardly, is given up.",
        examples=[{"stall": "60s", "min_rate": "1KB/s", "over": "60s"}],
    )
    reserve: scalars.Reserve = Field(
        default=0.1,
        description="The share of the hub's rate limit that is left to others who use the token or the address.",
        examples=["10%"],
        json_schema_extra={"default": "10%"},
    )
    allow_private: scalars.Switch = Field(
        default=False,
        description="Whether a hub on the open internet may redirect to addresses that are not on it.",
        examples=[False],
    )

    @model_validator(mode="after")
    def _has_a_choice(self) -> Self:
        addresses = {one.url if isinstance(one, EndpointEntry) else one for one in self.endpoints}
        if self.prefer is Prefer.FASTEST and len(addresses) == 1:
            raise ValueError("prefer: fastest chooses among several endpoints, and there is one; remove it")
        return self

    def upstream(self, place: Trail, around: Surroundings) -> HubUpstream:
        tokens: dict[str, str | None] = {}  # by address, the first of two entries for one
        for index, one in enumerate(self.endpoints):
            if isinstance(one, EndpointEntry):
                tokens.setdefault(one.url, _token(one, (*place, "endpoints", index), around))
            else:
                tokens.setdefault(one, None)
        first = (*place, "endpoints", 0)
        return HubUpstream(
            endpoints=tuple(tokens),
            token=_token(self, place, around) or None,
            tokens={url: token for url, token in tokens.items() if token is not None},
            prefer=self.prefer,
            timeouts=self.timeouts.timeouts,
            reserve=self.reserve,
            allow_private=self.allow_private,
            veiled=any(trail[: len(first)] == first for trail in around.used),
        )


def _token(
    entry: HubEntry | EndpointEntry | MirrorEntry | ModelScopeEntry, place: Trail, around: Surroundings
) -> str | None:
    """None where nothing is said of one."""
    own = None if entry.token is None else entry.token.get_secret_value()
    return own or around.tokens.get((*place, "token_file"), own)


class ModelScopeEntry(UpstreamKeys):
    """A site that speaks ModelScope's API: modelscope.cn, modelscope.ai, or one that answers as they do."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "endpoints": "this key is for kind: huggingface; write url: https://...",
        "prefer": _ONE_ADDRESS,
        "reserve": "ModelScope tells no rate limit, so that there is nothing to reserve; remove it",
    }

    kind: Literal["modelscope"] = Field(description="What the upstream is.", examples=["modelscope"])
    url: scalars.Endpoint = Field(
        default="https://modelscope.cn", description="Its address.", examples=["https://modelscope.cn"]
    )
    token: SecretStr | None = Field(
        default=None,
        description="The access token, best as ${NAME:-}; empty reads anonymously.",
        examples=["${MODELSCOPE_API_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds the access token, instead of token.",
        examples=["/run/credentials/modelscope-token"],
    )
    unproved: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="What to do with a file of which it tells no SHA-256: refuse the commit, or accept the file when "
        "two downloads of it agree.",
        examples=["refuse"],
    )
    timeouts: TimeoutsEntry = Field(
        default_factory=TimeoutsEntry,
        description="When a site that does not answer, or hardly, is given up.",
        examples=[{"stall": "60s", "min_rate": "1KB/s", "over": "60s"}],
    )
    allow_private: scalars.Switch = Field(
        default=False,
        description="Whether a site on the open internet may redirect to addresses that are not on it.",
        examples=[False],
    )

    def upstream(self, place: Trail, around: Surroundings) -> ModelScopeUpstream:
        address = (*place, "url")
        return ModelScopeUpstream(
            url=self.url,
            token=_token(self, place, around) or None,
            timeouts=self.timeouts.timeouts,
            unproved=OnUnproved(self.unproved),
            allow_private=self.allow_private,
            veiled=any(trail[: len(address)] == address for trail in around.used),
        )


class DirectoryEntry(UpstreamKeys):
    """A folder of org/name/ folders, for an import without a network; and of what was pushed."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("endpoints", "prefer", "token", "token_file", "timeouts", "reserve", "allow_private"),
            "this key is for kind: huggingface; remove it",
        ),
        "unproved": "this key is for kind: modelscope, which may tell no SHA-256 of a file; remove it",
    }

    kind: Literal["directory"] = Field(description="What the upstream is.", examples=["directory"])
    url: scalars.FilePath = Field(
        description="The folder: file:///abs, or a path beside jobs.yaml.", examples=["file:///srv/mirror"]
    )

    def upstream(self, place: Trail, around: Surroundings) -> DirectoryUpstream:
        return DirectoryUpstream(around.base / self.url)


class _StoreKeys(UpstreamKeys, ABC):
    """An upstream that may be a bucket: how that one is reached."""

    endpoint_url: scalars.ServerUrl | None = Field(
        default=None,
        description="Of s3://: the store's address; left out or empty, AWS's own.",
        examples=["http://127.0.0.1:9000"],
    )
    region: scalars.Word | None = Field(
        default=None, description="Of s3://: the region; left out or empty, what boto3 finds.", examples=["us-east-1"]
    )
    access_key: SecretStr | None = Field(
        default=None,
        description="Of s3://: the access key; left out or empty, boto3's own chain.",
        examples=["${MIRROR_ACCESS_KEY:-}"],
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Of s3://: the secret key that belongs to access_key.",
        examples=["${MIRROR_SECRET_KEY:-}"],
    )
    addressing: Literal["path", "virtual", "auto"] = Field(
        default="auto",
        description="Of s3://: where the bucket's name stands in a request: path, virtual or auto.",
        examples=["path"],
    )

    def _target(self, url: str, base: Path) -> DirectoryTarget | S3Target:
        if not url.startswith("s3:"):
            return DirectoryTarget(base / address_values.folder(url))
        place = address_values.bucket(url)
        return S3Target(
            bucket=place.name,
            prefix=place.prefix,
            endpoint_url=self.endpoint_url or None,
            region=self.region or None,
            access_key=self.access_key.get_secret_value() or None if self.access_key else None,
            secret_key=self.secret_key.get_secret_value() or None if self.secret_key else None,
            addressing=self.addressing,
        )


class OwnEntry(_StoreKeys):
    """Models of one's own, that push has put into a bucket or a folder of theirs."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "endpoints": "this key is for kind: huggingface; write url: s3://bucket/prefix",
        **dict.fromkeys(
            ("token", "token_file", "timeouts", "reserve", "allow_private"), "this key is for a hub; remove it"
        ),
        "unproved": "this key is for kind: modelscope, which may tell no SHA-256 of a file; remove it",
    }

    kind: Literal["own"] = Field(description="What the upstream is.", examples=["own"])
    url: Annotated[str, BeforeValidator(_own_url)] = Field(
        description="Where push puts models, for that alone: s3://bucket/prefix, file:///abs, a path beside jobs.yaml.",
        examples=["s3://models/own"],
    )

    @model_validator(mode="after")
    def _of_its_place(self) -> Self:
        odd = [] if self.url.startswith("s3:") else sorted(self.model_fields_set & _OF_BUCKETS)
        if odd:
            raise ValueError(f"{odd[0]} is for url: s3://...; remove it")
        return self

    def upstream(self, place: Trail, around: Surroundings) -> OwnUpstream:
        return OwnUpstream(self.url, self.place(around.base))

    def place(self, base: Path) -> Target:
        """Where push puts models; `base` is the folder of jobs.yaml."""
        return self._target(self.url, base)


class MirrorEntry(_StoreKeys):
    """Another mirror-sync: its front, or the bucket or folder that it publishes into."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "endpoints": "a mirror has one address; write url: https://mirror.example.org",
        "prefer": _ONE_ADDRESS,
        "reserve": "this key is for kind: huggingface; remove it",
    }

    kind: Literal["mirror"] = Field(description="What the upstream is.", examples=["mirror"])
    url: Annotated[str, BeforeValidator(_mirror_url)] = Field(
        description="Its front, https://...; or what it publishes into, s3://bucket/prefix or file:///folder.",
        examples=["https://mirror.example.org"],
    )
    signers: scalars.FilePath | None = Field(
        default=None,
        description="A file of its public keys, as ssh-keygen's allowed_signers; left out, nothing is checked.",
        examples=["./mirror.signers"],
    )
    token: SecretStr | None = Field(
        default=None,
        description="A token of its front, best as ${NAME:-}; empty reads what is for everybody.",
        examples=["${MIRROR_TOKEN:-}"],
    )
    token_file: scalars.FilePath | None = Field(
        default=None,
        description="A file that holds the token, instead of token.",
        examples=["/run/credentials/mirror-token"],
    )
    timeouts: TimeoutsEntry = Field(
        default_factory=TimeoutsEntry,
        description="When a front that does not answer, or hardly, is given up.",
        examples=[{"stall": "60s"}],
    )
    allow_private: scalars.Switch = Field(
        default=False,
        description="Whether a front on the open internet may redirect to addresses that are not on it.",
        examples=[False],
    )
    public: scalars.Switch = Field(
        default=False,
        description="Of s3://: whether everybody may read it, so that nothing is signed.",
        examples=[False],
    )

    @model_validator(mode="after")
    def _of_its_place(self) -> Self:
        """Keys that say something of a front, or of a bucket, and stand beside another address."""
        said = self.model_fields_set
        if self.url.startswith(_FRONT):
            odd, meant = sorted(said & _OF_BUCKETS), "is for url: s3://...; remove it"
        else:
            odd, meant = sorted(said & _OF_FRONTS), "is for url: https://...; remove it"
            odd += [] if self.url.startswith("s3:") else sorted(said & _OF_BUCKETS)
        if odd:
            raise ValueError(f"{odd[0]} {meant}")
        return self

    def upstream(self, place: Trail, around: Surroundings) -> MirrorUpstream:
        return MirrorUpstream(
            url=self.url,
            target=None if self.url.startswith(_FRONT) else self._target(self.url, around.base),
            token=_token(self, place, around),
            signers=None if self.signers is None else around.base / self.signers,
            timeouts=self.timeouts.timeouts,
            allow_private=self.allow_private,
            unsigned=self.public,
        )


_OF_FRONTS = frozenset({"token", "token_file", "timeouts", "allow_private"})
_OF_BUCKETS = frozenset({"endpoint_url", "region", "access_key", "secret_key", "addressing", "public"})

KINDS: Mapping[str, type[UpstreamKeys]] = {
    "huggingface": HubEntry,
    "directory": DirectoryEntry,
    "own": OwnEntry,
    "mirror": MirrorEntry,
    "modelscope": ModelScopeEntry,
}
"""What an upstream may be; wiring/adapters.py has the source of each."""


class ReplicaKeys(Keys):
    """What a replica says beside where it lies."""

    name: scalars.Name = Field(
        description="What it is called beside its target, as in --replica far.", examples=["far"]
    )
    alert_behind: scalars.Interval | None = Field(
        default=None,
        description="From when on it is far behind, for metrics and their alert; left out, never.",
        examples=["1h"],
    )
    hours: OnlyText | None = Field(
        default=None,
        description="When it is copied to, and on which days; left out, after every run.",
        examples=["01:00-06:00"],
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that hours is meant in.", examples=["Asia/Shanghai"]
    )
    wait: scalars.Duration = Field(
        default=timedelta(minutes=10),
        description="How long a command waits for it at its end; what is left by then is copied the next time.",
        examples=["10m"],
        json_schema_extra={"default": "10m"},
    )

    front: scalars.FrontUrl = Field(
        default=None,
        description="The address at which readers find a front over the replica; left out, nobody is sent there.",
        examples=["https://far.example.org"],
    )

    def of(self, at: DirectoryTarget | S3Target) -> Replica:
        """The replica that the entry stands for."""
        zone = UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
        hours = None if self.hours is None else Hours(self.hours, zone)
        return Replica(self.name, at, self.alert_behind, hours, self.wait, self.front)


class FolderReplicaEntry(FolderPlace, ReplicaKeys):
    """A directory that everything is copied to."""

    def replica(self, base: Path) -> Replica:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        return self.of(self.target(base))


class BucketReplicaEntry(BucketPlace, ReplicaKeys):
    """A bucket that everything is copied to."""

    def replica(self, base: Path) -> Replica:
        """What the entry stands for."""
        return self.of(self.target(base))


def _upstream_tag(value: Any) -> str:
    given = value if isinstance(value, dict) else {}
    kind = given.get("kind", "directory" if "url" in given else None)
    return f"{UNION}{kind}" if isinstance(kind, str) and kind in KINDS else f"{UNION}huggingface"


ReplicaEntry = Annotated[
    Annotated[FolderReplicaEntry, Tag(f"{UNION}folder")] | Annotated[BucketReplicaEntry, Tag(f"{UNION}bucket")],
    Discriminator(target_tag),
]


class PublishedKeys(Keys):
    """What a target says of what it holds, and of its replicas."""

    keep: KeepEntry | None = Field(
        default=None,
        description="How many bytes it may store; where it stores more, prune lets go of what was read longest ago.",
        examples=[{"bytes": "200GB", "logs": ["/var/log/mirror-front/access.log*"]}],
    )
    tiers: TiersEntry | None = Field(
        default=None,
        description="Where files go that nobody reads: to a colder class of storage, or to another folder or bucket.",
        examples=[{"cold": {"after_unread": "30d", "class": "GLACIER_IR"}}],
    )
    replicas: tuple[ReplicaEntry, ...] = Field(
        default=(),
        description="Places that all of it is copied to after each run; each is a mirror that a front can serve.",
        examples=[[{"name": "far", "url": "s3://models-far"}]],
    )

    @model_validator(mode="after")
    def _counted_once(self) -> Self:
        if self.tiers is None:
            return self
        said = {"logs", "quiet"} & self.tiers.model_fields_set
        if self.keep is None and not self.tiers.logs:
            raise ValueError('tiers wants the logs of all fronts: write logs: ["/var/log/mirror-front/access.log*"]')
        if self.keep is not None and said:
            raise ValueError(f"tiers counts by the logs and quiet of keep; remove {sorted(said)[0]} of tiers")
        if self.keep is None and not fits(self.tiers.quiet, self.tiers.cold.after_unread):
            raise ValueError("quiet of tiers is to be 10m at least, and less than after_unread")
        return self

    def held_by(self, target: Place, base: Path) -> Place:
        """The target with its bound, its tiers and the replicas that its entry names."""
        keep = None if self.keep is None else self.keep.keep(base)
        tiers = None if self.tiers is None else self.tiers.tiers(base, keep)
        replicas = tuple(entry.replica(base) for entry in self.replicas)
        return replace(target, keep=keep, tiers=tiers, replicas=replicas)


class FolderEntry(FolderPlace, PublishedKeys):
    """A directory to publish into."""

    @model_validator(mode="after")
    def _without_classes(self) -> Self:
        if self.tiers is not None and self.tiers.cold.storage_class is not None:
            raise ValueError("class of tiers is for s3:// targets; write target: {url: file:///mnt/archive}")
        return self

    def target(self, base: Path) -> DirectoryTarget:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        return self.held_by(FolderPlace.target(self, base), base)


class BucketEntry(BucketPlace, PublishedKeys):
    """A bucket of an S3-compatible store to publish into."""

    def target(self, base: Path) -> S3Target:
        """What the entry stands for; `base` is the folder of jobs.yaml."""
        return self.held_by(BucketPlace.target(self, base), base)


if TYPE_CHECKING:
    UpstreamEntry = UpstreamKeys
else:
    _TAGGED = tuple(Annotated[entry, Tag(f"{UNION}{kind}")] for kind, entry in KINDS.items())
    UpstreamEntry = Annotated[Union[_TAGGED], Discriminator(_upstream_tag)]  # noqa: UP007  of as many as there are
TargetEntry = Annotated[
    Annotated[FolderEntry, Tag(f"{UNION}folder")] | Annotated[BucketEntry, Tag(f"{UNION}bucket")],
    Discriminator(target_tag),
]
