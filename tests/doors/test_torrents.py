"""Torrents are a function of the snapshot, made once from what is stored; and one wrong byte costs one piece."""

from __future__ import annotations

from pathlib import Path

import libtorrent
import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from tests.doors.test_documents_of_doors import doors
from tests.signing.mirrors import REPO, SignedMirror


def test_x(tmp_path: Path) -> None:
    m = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()}, front={"torrents": True, "url": "http://127.0.0.1:1"})
    m.trust = {}
    (tmp_path/"upstream/acme/one/odd \\ name\nof two lines").unlink()
    m.sync()
    r = m.root()
    print(r.attachments)
    print(m.attachment("torrent.json"), m.attachment("torrent.info"))
    assert 0
