"""The licence ids that the Hub knows, to tell a misspelt one from a rare one.

Source: https://huggingface.co/docs/hub/repositories-licenses, and ids that its cards carry beyond that page. The table
judges nothing: an id that is not in it works like any other and is only warned about.
"""

from __future__ import annotations

import re

from mirror_sync.config.findings import nearest_word, quoted
from mirror_sync.domain.policy.licences import NAMED_ONLY

KNOWN = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community h-research
    intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit
    mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 open-mdw openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
    other unknown
    """.split()  # noqa: SIM905  a table that a person reads and extends
)

_SIGNS = re.compile(r"[^a-z0-9]+|(?<=[a-z])v(?=[0-9])")


def license_id(text: str) -> str:
    """An id as the policy compares it: lower case, no space around. ValueError for what can be none."""
    found = text.strip().lower()
    if not found or not found.isprintable() or found == "other:":
        raise ValueError("must be a licence id of the Hub like apache-2.0, or other:<license_name>")
    return found


def allowed_id(text: str) -> str:
    """An id for `allow`, where a family of unknown licences has no place."""
    found = license_id(text)
    if found in NAMED_ONLY:
        right = "write other:<license_name> for the one you have read"
        raise ValueError(f"{quoted(text.strip())} is not one licence but any; {right}, or put {found} under review")
    return found


def doubt(text: str) -> str | None:
    """Why an id, as it was written, may be a slip of the pen; None for one that the Hub knows, and for what is none."""
    found = text.strip().lower()
    if not found or found in KNOWN or found.startswith("other:"):
        return None
    version = _of_version(found)
    near = f"; did you mean {version}?" if version else nearest_word(found, sorted(KNOWN))
    return f"{quoted(text.strip())} is no licence id that the Hub is known to use{near}"


def _of_version(found: str) -> str:
    """The id that is meant by a name and a version without their signs, as gpl3 and GPLv3 are; empty for none."""
    bare = _SIGNS.sub("", found)
    if not bare[-1:].isdigit() or bare.isdigit():
        return ""
    return min(
        (known for known in KNOWN if _SIGNS.sub("", known).startswith(bare)),
        key=lambda one: (len(one), one),
        default="",
    )
