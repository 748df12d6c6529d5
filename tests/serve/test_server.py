from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("flask", reason="the extra 'serve' is not installed")
pytest.importorskip("waitress", reason="the extra 'serve' is not installed")

from flask import Flask, request

from recbole_mm.serve import server
from recbole_mm.serve.api import create_api
from recbole_mm.serve.http import protect

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


def status_of(port: int, path: str, length: int, sent: int = 0) -> bytes:
    """The status line of the answer to a request whose header declares ``length`` bytes, of which ``sent`` are sent."""
    with socket.create_connection(("127.0.0.1", port), 5) as one:
        header = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        one.sendall(f"{header}Content-Length: {length}\r\n\r\n".encode() + bytes(sent))
        with contextlib.suppress(TimeoutError):
            return one.recv(12)
        return b"waits for the body"


@pytest.fixture
def small_and_large() -> Iterator[int]:
    """A server whose endpoint /large reads 64 MB, /small 1,000 bytes."""
    app = Flask(__name__)
    protect(app, 1_000, None, larger={"large": 64 << 20})
    for name in ("large", "small"):
        app.add_url_rule(f"/{name}", name, lambda: {"bytes": len(request.get_data())}, methods=["POST"])
    listening = server.create_server(app, "127.0.0.1", 0, cleanup_interval=1)
    threading.Thread(target=listening.run, daemon=True).start()
    yield listening.effective_port
    listening.close()


def test_a_large_body_is_refused_before_it_arrives_except_where_files_are_read(small_and_large):
    assert status_of(small_and_large, "/small", 1_001) == b"HTTP/1.1 413"
    assert status_of(small_and_large, "/nowhere", 1_001) == b"HTTP/1.1 413"
    assert status_of(small_and_large, "/large", (64 << 20) + 1) == b"HTTP/1.1 413"
    assert status_of(small_and_large, "/large", 64 << 20) == b"waits for the body"
    assert status_of(small_and_large, "/large?x=1", 2_000, 2_000) == b"HTTP/1.1 200"
    assert status_of(small_and_large, "/small", 1_000, 1_000) == b"HTTP/1.1 200"


def test_a_large_file_on_a_slow_line_arrives_and_a_body_of_a_byte_now_and_then_does_not(small_and_large, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1)
    header = b"POST /large HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1200000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", small_and_large), 20) as one:
        one.sendall(header)
        for _ in range(24):  # 200 KB a second, 6 seconds
            one.sendall(bytes(50_000))
            time.sleep(0.25)
        assert one.recv(15) == b"HTTP/1.0 200 OK"
    with socket.create_connection(("127.0.0.1", small_and_large), 20) as one:
        one.sendall(header)
        assert seconds_until_closed(one) < 10
