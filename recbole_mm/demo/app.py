"""The page's web application. It stores nothing about visitors and reads only its own files."""

from __future__ import annotations

from collections.abc import Collection

from flask import Flask, Response, abort, request
from plotly.offline import get_plotlyjs

from recbole_mm.demo.answers import Answers
from recbole_mm.demo.new_movie import MAX_TRAILER
from recbole_mm.inference.recommender import Recommender
from recbole_mm.serve.http import protect, question

MAX_BYTES = 64 * 1024


def create_app(recommender: Recommender, trusted_hosts: Collection[str] | None = None) -> Flask:
    """The application (WSGI).

    Args:
        trusted_hosts: names and addresses allowed in a request's Host header, without port; any by default. They
            refuse requests of another site whose name was changed to this machine's address (DNS rebinding).

    Raises:
        InputError: the model is not of this package.
    """
    app, answers = Flask(__name__), Answers(recommender)
    # Plotly's file of megabytes is always the same.
    protect(app, MAX_BYTES, trusted_hosts, stored={"plotly"}, larger={"trailer": MAX_TRAILER})
    app.add_url_rule("/", "page", lambda: app.send_static_file("page.html"))
    app.add_url_rule("/api/catalogue", "catalogue", answers.catalogue)
    app.add_url_rule("/api/map", "map", answers.map)

    @app.post("/api/recommend")
    def recommend() -> dict:
        return answers.recommend(question())

    @app.post("/api/explain")
    def explain() -> dict:
        return answers.explain(question())

    @app.post("/api/new")
    def new() -> dict:
        return answers.new_movie(question())

    @app.post("/api/trailer")
    def trailer() -> dict:
        # A form of another site cannot send this type, and the browser asks before a script of another site does.
        if request.content_type != "application/octet-stream":
            abort(415, "a trailer must be sent as application/octet-stream")
        return answers.trailer(request.get_data())

    @app.get("/plotly.js")
    def plotly() -> Response:
        return Response(get_plotlyjs(), mimetype="text/javascript", headers={"Cache-Control": "max-age=3600"})

    return app
