from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("flask", reason="the extra 'serve' is not installed")
pytest.importorskip("waitress", reason="the extra 'serve' is not installed")

from recbole_mm.serve import server
from recbole_mm.serve.api import create_api

SLOW = 300


@pytest.fixture
def served(recommender):
    """``served(**settings)``: a block in which the page is served; gives its port on this machine."""

    @contextlib.contextmanager
    def serve(**settings) -> Iterator[int]:
        listening = server.create_server(create_api(recommender), "127.0.0.1", 0, **settings)
        thread = threading.Thread(target=listening.run, daemon=True)
        thread.start()
        try:
            yield listening.effective_port
        finally:
            listening.close()

    return serve


def slow_connections(port: int, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
    """Connections that begin a request and do not end it."""
    opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(count)]
    for one in opened:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    return opened


def seconds_of_a_page(port: int, patience: float = 20) -> float:
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), patience) as one:
        one.settimeout(patience)
        one.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert one.recv(15) == b"HTTP/1.0 200 OK"
    return time.perf_counter() - start


def seconds_until_closed(one: socket.socket) -> float:
    """How long a connection that sends a byte now and then stays open."""
    start = time.perf_counter()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while time.perf_counter() - start < 15:
            one.sendall(b"X")
            time.sleep(0.25)
    return time.perf_counter() - start


def test_slow_connections_lock_nobody_out(served):
    with served() as port, contextlib.ExitStack() as stack:
        slow_connections(port, stack, SLOW)
        assert seconds_of_a_page(port) < 2


def test_as_many_as_the_server_takes_are_gone_after_the_time_limit(served):
    with served(connection_limit=50, channel_timeout=1, cleanup_interval=1) as port, contextlib.ExitStack() as stack:
        slow_connections(port, stack, 60)
        assert seconds_of_a_page(port) < 10


def test_a_request_that_arrives_byte_by_byte_has_a_time_limit_too(served, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1)
    with served(cleanup_interval=1) as port, contextlib.ExitStack() as stack:
        (one,) = slow_connections(port, stack, 1)
        assert seconds_until_closed(one) < 10
