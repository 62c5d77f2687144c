"""The Hub's licence ids in the letters of SPDX.

Source: https://spdx.org/licenses and https://huggingface.co/docs/hub/repositories-licenses. What is not here is a
name of its own: a family (`cc`, `bsd`, `lgpl`), or terms that SPDX does not know (llama3.1, gemma, openrail). `gpl-3.0`
says nothing of later versions, so it is stated as that version only.
"""

from __future__ import annotations

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
