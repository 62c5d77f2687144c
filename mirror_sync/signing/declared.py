"""What a repo declares of itself: licences, base models, datasets, as bills of materials tell of them.

It is what the Hub says of its card, believed in nothing: what has not the shape that it should have is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mirror_sync.domain.repo import Kind, Repo

HUB = "https://huggingface.co"
_MOST = 1000  # datasets, base models or licences that a card names; a card with more is none
_LONGEST = 1000  # characters of a word of a card
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# The Hub's licence ids in the letters of SPDX. Source: https://spdx.org/licenses and
# https://huggingface.co/docs/hub/repositories-licenses. What is not here is a name of its own: a family (`cc`, `bsd`),
# or terms that SPDX does not know (llama3.1, gemma). `gpl-3.0` says nothing of later versions: that version only.
_SAME = """
    AFL-3.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0
    CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0
    CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0
    CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 ISC LPPL-1.3c MIT MPL-2.0 MS-PL NCSA OFL-1.1
    OSL-3.0 PostgreSQL Unlicense WTFPL Zlib Apache-2.0
""".split()  # noqa: SIM905  a table that a person reads and extends

SPDX = {one.lower(): one for one in _SAME} | {
    "agpl-3.0": "AGPL-3.0-only",
    "c-uda": "C-UDA-1.0",
    "etalab-2.0": "etalab-2.0",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "lgpl-lr": "LGPLLR",
    "odc-by": "ODC-By-1.0",
}
"""Hub id -> SPDX id."""


class DeclaredCard:
    """What the Hub says of a repo, as far as it has the shape that it should have."""

    def __init__(self, repo: Repo, info: Mapping[str, Any]) -> None:
        card = info.get("cardData")
        self._card = card if isinstance(card, dict) else {}
        self._info, self.repo = info, repo

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(_words(self._card.get("datasets"))) if self.repo.kind is Kind.MODEL else ()

    @property
    def base_models(self) -> tuple[str, ...]:
        return tuple(_words(self._card.get("base_model"))) if self.repo.kind is Kind.MODEL else ()

    @property
    def task(self) -> str:
        return next(_words(self._info.get("pipeline_tag")), "")

    @property
    def page(self) -> str:
        """Where the Hub has the repo."""
        return f"{HUB}/{self.repo.kind.place}{self.repo.id}"

    @property
    def licenses(self) -> list[dict[str, str]]:
        """As the repo declares them: `id` in SPDX's letters where it has a name for them, else `name`, and `url`."""
        tags = (tag.removeprefix("license:") for tag in _words(self._info.get("tags")) if tag.startswith("license:"))
        declared = tuple(_words(self._card.get("license"))) or tuple(tags)
        return [self._license(one) for one in declared]

    def _license(self, said: str) -> dict[str, str]:
        found = SPDX.get(said.lower())
        if found is not None:
            return {"id": found}
        name = next(_words(self._card.get("license_name")), "") if said.lower() == "other" else ""
        link = next(_words(self._card.get("license_link")), "")
        return {"name": name or said} | ({"url": link} if _ADDRESS.fullmatch(link) else {})


def _words(value: object) -> Iterator[str]:
    """The distinct words of a card's value: one, or a list of them; whatever else stands there is none."""
    several: Iterable[object] = value[:_MOST] if isinstance(value, list) else (value,)
    seen = dict.fromkeys(one.strip() for one in several if isinstance(one, str) and len(one) <= _LONGEST)
    yield from filter(None, seen)
