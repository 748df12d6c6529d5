"""The page's web application. It stores nothing about visitors and reads only its own files."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from plotly.offline import get_plotlyjs
from werkzeug.exceptions import HTTPException

from recbole_mm.demo.answers import Answers
from recbole_mm.errors import InputError
from recbole_mm.inference.recommender import Recommender

MAX_BYTES = 64 * 1024
HEADERS = {
    # Only files of this server. Inline styles are allowed because plotly writes them.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_STORED = {"Cache-Control": "no-store"}


def create_app(recommender: Recommender, trusted_hosts: Collection[str] | None = None) -> Flask:
    """The application (WSGI).

    Args:
        trusted_hosts: names and addresses allowed in a request's Host header, without port; any by default. They
            refuse requests of another site whose name was changed to this machine's address (DNS rebinding).

    Raises:
        InputError: the model is not of this package.
    """
    app, answers = Flask(__name__), Answers(recommender)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BYTES)
    app.json.sort_keys = False

    @app.before_request
    def check_host() -> None:
        if trusted_hosts is not None and urlsplit(f"//{request.host}").hostname not in trusted_hosts:
            abort(400, f"this server does not accept the host name '{request.host}'")

    app.add_url_rule("/", "page", lambda: app.send_static_file("page.html"))
    app.add_url_rule("/api/catalogue", "catalogue", answers.catalogue)
    app.add_url_rule("/api/map", "map", answers.map)

    def question() -> Any:
        try:
            return request.get_json()
        except RecursionError:
            abort(400, "the question is nested too deeply; it must be a JSON object of lists of text")

    # Only bodies declared as JSON are accepted: a form of another site cannot send one.
    @app.post("/api/recommend")
    def recommend() -> dict:
        return answers.recommend(question())

    @app.post("/api/explain")
    def explain() -> dict:
        return answers.explain(question())

    @app.get("/plotly.js")
    def plotly() -> Response:
        return Response(get_plotlyjs(), mimetype="text/javascript", headers={"Cache-Control": "max-age=3600"})

    @app.errorhandler(InputError)
    def wrong_input(error: InputError) -> tuple[dict, int]:
        return {"error": str(error)}, 400

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[dict, int]:
        return {"error": error.description or error.name}, error.code or 500

    @app.after_request
    def with_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.endpoint != "plotly":  # a file of megabytes that no visitor changes
            response.headers.update(NOT_STORED)
        return response

    return app
