"""A client that speaks HTTP/3 and nothing else: requests in, answers out, all at once over one connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent

from tests.servers.ports import LOOPBACK

_PATIENCE = 60  # seconds for all answers


@dataclass(frozen=True)
class Asked:
    """A GET; the path goes over the wire as it is."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Answered:
    """What has come of an answer; names of headers are small."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Http3:
    """A server on the loopback interface, by the name that its certificate has, and the authority to trust."""

    port: int
    name: str
    authority: Path

    def get(self, *asked: Asked, source: str = LOOPBACK) -> list[Answered]:
        """Ask for all of these at once, from an address of this machine. ConnectionError when the connection ends."""
        return asyncio.run(self._get(asked, source))

    async def _get(self, asked: Sequence[Asked], source: str) -> list[Answered]:
        settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=self.name)
        settings.load_verify_locations(str(self.authority))
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((source, 0))
        loop = asyncio.get_running_loop()
        transport, speaking = await loop.create_datagram_endpoint(
            lambda: _Speaking(QuicConnection(configuration=settings)), sock=one
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                speaking.connect((LOOPBACK, self.port))
                await speaking.wait_connected()
                return await asyncio.gather(*(speaking.ask(f"{self.name}:{self.port}", each) for each in asked))
        finally:
            speaking.close()
            await speaking.wait_closed()
            transport.close()


class _Speaking(QuicConnectionProtocol):
    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic)
        self._http = H3Connection(quic)
        self._coming: dict[int, tuple[Answered, asyncio.Future[Answered]]] = {}

    async def ask(self, authority: str, asked: Asked) -> Answered:
        stream = self._quic.get_next_available_stream_id()
        fields = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": asked.path, **asked.headers}
        done: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._coming[stream] = Answered(), done
        pairs = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        self._http.send_headers(stream, pairs, end_stream=True)
        self.transmit()
        return await done

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            for _, done in self._coming.values():
                if not done.done():
                    done.set_exception(ConnectionError(event.reason_phrase or f"ended with {event.error_code}"))
            return
        for one in self._http.handle_event(event):
            self._take(one)

    def _take(self, event: H3Event) -> None:
        stream: Any = getattr(event, "stream_id", None)
        if stream not in self._coming:
            return
        answer, done = self._coming[stream]
        if isinstance(event, HeadersReceived):
            told = {name.decode(): value.decode() for name, value in event.headers}
            answer.status = int(told.pop(":status"))
            answer.headers |= told
        elif isinstance(event, DataReceived):
            answer.body += event.data
        if getattr(event, "stream_ended", False) and not done.done():
            done.set_result(answer)
