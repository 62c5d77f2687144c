"""How an object of a known size is cut into parts."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from mirror_sync.errors import StoreError

MIB = 1024 * 1024
PART_SIZE = 16 * MIB
"""Bytes of a part, unless the object is so large that it would have too many."""

_LEAST = 5 * MIB  # S3's smallest part, the last excepted: the same page
_HUGE = 64  # parts, from which on they are twice as large: fewer calls, and what a kill costs stays a small share
_FEWEST = 8  # parts of an object that has any: a kill costs those in flight, which should not be all of them
_MOST_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of `size` bytes, counted from 0; an empty object has one empty part."""

    size: int
    part_size: int

    @classmethod
    def of(cls, size: int, part_size: int = PART_SIZE) -> Parts:
        """Parts of `part_size` bytes; of whole MiB less where there would be few, twice that or more where many."""
        if size >= _HUGE * part_size:
            part_size *= 2
        small = min(part_size, max(_LEAST, _whole(-(-size // _FEWEST))))
        return cls(size, max(small, _whole(-(-size // _MOST_PARTS))))

    def __len__(self) -> int:
        return max(1, -(-self.size // self.part_size))

    def length(self, number: int) -> int:
        """Bytes of part `number`."""
        return min(self.part_size, self.size - number * self.part_size)

    def check(self, number: int, length: int) -> None:
        """ValueError when a body of `length` bytes is not part `number`: a fault of the caller."""
        if not 0 <= number < len(self):
            raise ValueError(f"part {number} of {len(self)}")
        if length != self.length(number):
            raise ValueError(f"part {number} has {self.length(number)} bytes, got {length}")

    def check_all(self, key: str, put: Container[int]) -> None:
        """StoreError when one of the parts is not among `put`."""
        missing = [number for number in range(len(self)) if number not in put]
        if missing:
            raise StoreError(f"{key}: {len(missing)} of {len(self)} parts were never put, the first is {missing[0]}")


def _whole(size: int) -> int:
    """Rounded up to MiB."""
    return -(-size // MIB) * MIB
