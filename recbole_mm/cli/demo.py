"""``recbole-mm demo``: serve the page until interrupted."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys

from recbole_mm.errors import InputError

HELP = "serve a local page on which a trained model is tried"
DESCRIPTION = """Serve a page on which the model is tried: choose movies, see recommendations and why.

  recbole-mm demo --checkpoint=saved/MMASP-….pt

Needs pip install 'recbole-mm[demo]', and no network. Ctrl+C ends it.
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--checkpoint", required=True, help="file that a run of MMFS, MMSP or MMASP saved")
    parser.add_argument("--port", type=int, default=7860, help="(default: 7860; 0: any free one)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, which other machines cannot reach)",
    )
    parser.add_argument("--data_path", help="folder that holds the data set's folder (default: as in training)")


def run(options: argparse.Namespace) -> int:
    """Load the model, print the page's address and answer until interrupted.

    Raises:
        InputError: the extra is not installed, the address cannot be listened at, or what `recbole_mm.load` refuses.
    """
    server = create_server(options)
    host, port = getattr(server, "effective_listen", [(options.host, getattr(server, "effective_port", None))])[0]
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port} (Ctrl+C ends it)", flush=True)
    try:
        server.run()
    finally:
        server.close()
    return 0


def create_server(options: argparse.Namespace):
    """The server (waitress), listening; what `run` says of errors holds here."""
    try:
        import flask  # noqa: F401
        import waitress  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs {error.name}: pip install 'recbole-mm[demo]'") from error
    if not 0 <= options.port < 1 << 16:
        raise InputError(f"--port={options.port}: must be from 0 to 65535")
    _check_host(options.host, options.port)
    if not _is_local(options.host):
        print(
            f"recbole-mm: warning: --host={options.host}: everybody who can reach this machine can use the page",
            file=sys.stderr,
        )
    from recbole_mm.demo.app import create_app
    from recbole_mm.demo.server import create_server as listen
    from recbole_mm.inference.load import load

    app = create_app(load(options.checkpoint, data_path=options.data_path), _trusted_hosts(options.host))
    try:
        return listen(app, options.host, options.port)
    except OSError as error:
        raise InputError(f"--host={options.host} --port={options.port}: {error.strerror}; give another") from error


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
