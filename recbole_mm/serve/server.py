"""The server of pages and of the API (waitress), with limits of time and number that slow or many connections meet.

A server that waits forever, for at most 100 connections, is locked by whoever opens 100 and sends nothing.
"""

from __future__ import annotations

import copy
from time import monotonic
from types import MethodType
from typing import Any

import waitress
from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer

REQUEST_SECONDS = 20  # from the first byte of a request to its last, and more for a body that arrives steadily:
BYTES_PER_SECOND = 64 << 10  # a body may be this slow on average; 64 MB then take 17 minutes
SETTINGS: dict[str, Any] = {
    "connection_limit": 800,  # below the 1,024 open files that many systems allow
    "channel_timeout": 10,  # seconds without a byte, after which a connection is closed
    "cleanup_interval": 2,  # seconds between two looks for such connections
    "threads": 4,
    "max_request_header_size": 16 * 1024,
    "asyncore_use_poll": True,  # select() watches 1,024 files at most
    "ident": None,
}


def create_server(app: Flask, host: str, port: int, **settings: Any):
    """The server, listening.

    Args:
        settings: waitress's, in place of those of `SETTINGS`.

    Raises:
        OSError: the address cannot be listened at.
    """
    sockets: dict[int, Any] = {}
    given = {**SETTINGS, "max_request_body_size": app.config["MAX_CONTENT_LENGTH"], **settings}
    server = waitress.create_server(app, map=sockets, host=host, port=port, **given)
    for listener in [one for one in sockets.values() if isinstance(one, BaseWSGIServer)]:
        _limit_requests(listener)
        _limit_bodies(listener, app)
    return server


def _limit_requests(listener: BaseWSGIServer) -> None:
    """Close connections whose request takes too long to arrive: a byte a second would keep them open forever."""
    started: dict[Any, tuple[Any, float]] = {}
    close_silent = listener.maintenance

    def maintenance(self: BaseWSGIServer, now: float) -> None:
        close_silent(now)
        arriving = {channel: channel.request for channel in self.active_channels.values() if channel.request}
        for channel in started.keys() - arriving.keys():
            del started[channel]
        for channel, request in arriving.items():
            if started.get(channel, (None, 0.0))[0] is not request:
                started[channel] = request, monotonic()
            elif monotonic() - started[channel][1] > REQUEST_SECONDS + request.body_bytes_received / BYTES_PER_SECOND:
                channel.will_close = True

    listener.maintenance = MethodType(maintenance, listener)


def _limit_bodies(listener: BaseWSGIServer, app: Flask) -> None:
    """Refuse a body that is too large for its path when its header has arrived, not after the body."""

    def adjustments(most: int) -> Any:
        adjusted = copy.copy(listener.adj)
        adjusted.max_request_body_size = most + 1  # waitress refuses this size and above
        return adjusted

    larger = app.config.get("LARGER", {})
    usual = adjustments(app.config.get("MAX_BYTES", app.config["MAX_CONTENT_LENGTH"]))
    of_path = {
        rule.rule: adjustments(larger[rule.endpoint]) for rule in app.url_map.iter_rules() if rule.endpoint in larger
    }

    class Parser(HTTPRequestParser):
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            self.adj = of_path.get(self.path, usual)

    class Channel(HTTPChannel):
        parser_class = Parser

    listener.channel_class = Channel
