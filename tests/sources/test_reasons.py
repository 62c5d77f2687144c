"""The reason of a request that got no answer is its own, in words."""

from __future__ import annotations

import socket
import threading

import pytest

from mirror_sync.errors import Unreachable
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.breaker import Resting
from tests.servers.ports import LOOPBACK, free_port
from tests.sources.reading import TINY
from tests.sources.test_hub_refusals import Verb, every_verb


@every_verb
def test_it_is_not_that_of_the_one_before_which_is_handled_meanwhile(verb: Verb) -> None:
    """A call that is made again is made where the error of the first one is handled."""
    url = f"http://{LOOPBACK}:{free_port()}"
    try:
        raise Resting("nobody was asked")  # noqa: TRY301  it is to be handled while the next call is made
    except Resting:
        with pytest.raises(Unreachable, match=f"^{url} does not answer: Connection refused$"):
            verb(HubSource(url, None, Transport()))


def test_a_connection_that_was_closed_without_an_answer_is_said_in_words() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def close() -> None:
            connection, _ = server.accept()
            connection.recv(10_000)
            connection.close()

        closing = threading.Thread(target=close)
        closing.start()
        url = f"http://{LOOPBACK}:{server.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"^{url} does not answer: it closed the connection$"):
            HubSource(url, None, Transport()).resolve(TINY, "main")
        closing.join()
