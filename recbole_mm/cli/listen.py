"""Options and checks of the commands that listen at an address."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

from recbole_mm.errors import InputError

if TYPE_CHECKING:
    from recbole_mm.inference.recommender import Recommender


class CreateApp(Protocol):
    """Makes a web application from a model and the names under which it is asked for; None: any."""

    def __call__(self, recommender: Recommender, trusted_hosts: Collection[str] | None) -> Any: ...


def add_arguments(parser: argparse.ArgumentParser, port: int) -> None:
    """``--checkpoint``, ``--data_path``, ``--host`` and ``--port``."""
    parser.add_argument(
        "--checkpoint", required=True, help="file that a run of MMFS, MMSP or MMASP or `recbole-mm export` wrote"
    )
    parser.add_argument("--port", type=int, default=port, help=f"(default: {port}; 0: any free one)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which other machines cannot reach)",
    )
    parser.add_argument("--data_path", help="folder that holds the data set's folder (default: as in training)")


def check(options: argparse.Namespace, what: str, extra: str) -> None:
    """Refuse what can be refused before the model is loaded, and warn of an address that others can reach.

    Args:
        what: is served, for messages.
        extra: of the package, that it needs.

    Raises:
        InputError: the extra is not installed, or the address is none.
    """
    try:
        import flask  # noqa: F401
        import waitress  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"{what} needs {error.name}: pip install 'recbole-mm[{extra}]'") from error
    if not 0 <= options.port < 1 << 16:
        raise InputError(f"--port={options.port}: must be from 0 to 65535")
    _check_host(options.host, options.port)
    if not _is_local(options.host):
        print(
            f"recbole-mm: warning: --host={options.host}: everybody who can reach this machine can use {what}",
            file=sys.stderr,
        )


def create_server(options: argparse.Namespace, create_app: CreateApp):
    """The server (waitress) of the model's application, listening.

    Raises:
        InputError: the address cannot be listened at, or what `recbole_mm.load` refuses.
    """
    from recbole_mm.inference.load import load
    from recbole_mm.serve.server import create_server as listen

    app = create_app(load(options.checkpoint, data_path=options.data_path), _trusted_hosts(options.host))
    try:
        return listen(app, options.host, options.port)
    except OSError as error:
        raise InputError(f"--host={options.host} --port={options.port}: {error.strerror}; give another") from error


def answer(server: Any, host: str) -> int:
    """Print the address and answer until interrupted; returns the exit status."""
    host, port = getattr(server, "effective_listen", [(host, getattr(server, "effective_port", None))])[0]
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port} (Ctrl+C ends it)", flush=True)
    try:
        server.run()
    finally:
        server.close()
    return 0


def _check_host(host: str, port: int) -> None:
    """Refuse a name that no address is known of, before the model is loaded."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host={host}: has no address ({reason}); give an address such as 127.0.0.1") from error


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _trusted_hosts(host: str) -> set[str] | None:
    """Names under which the page is asked for; None, which is any, where it listens at every address there is."""
    address = _address(host)
    return None if address is not None and address.is_unspecified else {"localhost", "127.0.0.1", "::1", host.lower()}
