"""The page's web application. It keeps nothing of a visitor and opens no file but its own."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from plotly.offline import get_plotlyjs
from werkzeug.exceptions import HTTPException

from recbole_mm.demo.answers import Answers
from recbole_mm.errors import InputError
from recbole_mm.inference.recommender import Recommender

MAX_BYTES = 64 * 1024
HEADERS = {
    # plotly writes styles of its own; nothing else, and nothing from another host, is let in.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(recommender: Recommender, trusted_hosts: Collection[str] | None = None) -> Flask:
    """The application (WSGI).

    Args:
        trusted_hosts: names and addresses that a request's Host header may give, without port; any by default. They
            keep out a page of another site whose name was pointed at this machine (DNS rebinding).

    Raises:
        InputError: the model is not of this package.
    """
    app, answers = Flask(__name__), Answers(recommender)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BYTES)
    app.json.sort_keys = False

    @app.before_request
    def check_host() -> None:
        if trusted_hosts is not None and urlsplit(f"//{request.host}").hostname not in trusted_hosts:
            abort(400, f"this page is not served under the name '{request.host}'")

    app.add_url_rule("/", "page", lambda: app.send_static_file("page.html"))
    app.add_url_rule("/api/catalogue", "catalogue", answers.catalogue)
    app.add_url_rule("/api/map", "map", answers.map)

    # A body that is not declared as JSON is refused: a form of another site can declare none.
    @app.post("/api/recommend")
    def recommend() -> dict:
        return answers.recommend(request.get_json())

    @app.post("/api/explain")
    def explain() -> dict:
        return answers.explain(request.get_json())

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
        return response

    return app
