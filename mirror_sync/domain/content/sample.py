"""A part of all blobs, so that looking at a part of them again and again looks at all."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_sync.domain.digest import Sha256

_DIGITS = 12  # hexadecimal digits of a digest that place it between 0 and 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The blobs whose digests lie in a window of size `share` (above 0, up to 1).

    The windows of successive rounds lie side by side: after 1/share rounds every blob was in one.
    """

    share: float = 1.0
    round: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"a sample is a share above 0% and up to 100%, not {self.share!r}")

    def wants(self, digest: Sha256) -> bool:
        """Whether a blob is looked at in this round."""
        place = int(digest[:_DIGITS], 16) / float(16**_DIGITS)
        return (place - self.round * self.share) % 1.0 < self.share
