"""What an upload says of itself, so that a later process can go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mirror_sync.stores.parts import Parts


@dataclass(frozen=True, slots=True)
class Token:
    """`upload` names it in its store; `kept` are its leading parts, `proof` what the store must still say of them."""

    upload: str
    size: int  # bytes of the object
    part_size: int  # bytes
    kept: int
    proof: str = ""

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    def fits(self, parts: Parts) -> bool:
        """Whether the object is still cut as it was, and the kept parts are among its parts."""
        return (self.size, self.part_size) == (parts.size, parts.part_size) and 0 <= self.kept <= len(parts)


def read_token(text: str) -> Token | None:
    """None for what no upload of this version has given."""
    try:
        fields = json.loads(text)
        token = Token(**fields)
    except (ValueError, TypeError):
        return None
    numbers = (token.size, token.part_size, token.kept)
    words = (token.upload, token.proof)
    sound = all(type(each) is int for each in numbers) and all(type(each) is str for each in words)
    return token if sound else None
