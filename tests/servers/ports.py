"""Free ports of the loopback interface."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port nobody listens on now. Somebody may take it before you do: start your server at once."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many ports, no two the same: all are held until the last is found."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Does something accept connections on this port?"""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
