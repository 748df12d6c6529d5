"""What every web application of this package has in common: headers, names of the host, errors as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from recbole_mm.errors import InputError

HEADERS = {
    # Only files of this server. Inline styles are allowed because plotly writes them.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_STORED = {"Cache-Control": "no-store"}


def protect(
    app: Flask,
    max_bytes: int,
    trusted_hosts: Collection[str] | None,
    stored: Collection[str] = (),
    larger: Mapping[str, int] | None = None,
) -> None:
    """Limits, headers and JSON errors for an application.

    Args:
        max_bytes: largest body of a request.
        trusted_hosts: names and addresses allowed in a request's Host header, without port; any by default. They
            refuse requests of another site whose name was changed to this machine's address (DNS rebinding).
        stored: endpoints whose answers a browser may keep.
        larger: endpoints whose requests may be larger, and how large.
    """
    larger = larger or {}
    app.config.update(MAX_CONTENT_LENGTH=max([max_bytes, *larger.values()]), MAX_BYTES=max_bytes, LARGER=larger)
    app.json.sort_keys = False

    @app.before_request
    def check_host() -> None:
        if trusted_hosts is not None and urlsplit(f"//{request.host}").hostname not in trusted_hosts:
            abort(400, f"this server does not accept the host name '{request.host}'")

    @app.before_request
    def check_size() -> None:
        most = larger.get(request.endpoint or "", max_bytes)
        if (request.content_length or 0) > most:
            abort(413, f"the request has {request.content_length:,} bytes, but at most {most:,} are read")

    @app.errorhandler(InputError)
    def wrong_input(error: InputError) -> tuple[dict, int]:
        return {"error": str(error)}, 400

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[dict, int]:
        return {"error": error.description or error.name}, error.code or 500

    @app.after_request
    def with_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.endpoint not in stored:
            response.headers.update(NOT_STORED)
        return response


def question() -> Any:
    """The JSON body of the request. Only bodies declared as JSON: a form of another site cannot send one."""
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "the question is nested too deeply; it must be a JSON object of lists of text")
