"""The Flask app: pages, API, and what every answer carries and every request is held to.

Nothing of a request reaches the disk: bodies stay in memory, and no part of a request names a file.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import io
import re
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

from bench.core.errors import TooSlowError
from bench.core.options import LOOPBACK
from bench.deploy.serving.answers import answer, describe_loaded, pack_pixels
from bench.deploy.serving.asked import read_asked
from bench.deploy.serving.limits import Deadline, RateLimit
from bench.deploy.serving.openapi import describe_api

if TYPE_CHECKING:
    from typing import IO

    from werkzeug.wrappers import Response as BaseResponse

    from bench.deploy.serving.playground import Playground

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HOST, _OWN_NAMES = re.compile(r":\d+$"), (*LOOPBACK[:2], "[::1]")
_COUNTED = ("/api/", "/report")
"""What the rate limit counts; the pages' own files are small and kept by browsers."""
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class _MemoryRequest(Request):
    """A request whose uploads stay in memory, where werkzeug would write large ones to a file."""

    def _get_file_stream(self, *_words: Any, **_named: Any) -> IO[bytes]:
        return io.BytesIO()


class _App(Flask):
    request_class = _MemoryRequest


def create_app(playground: Playground, *, is_loopback: bool = True) -> Flask:
    """The app.

    Args:
        playground: What it answers from.
        is_loopback: Whether it is reached from this machine alone; then it answers to no other name, so that a page of
            the internet whose name was made to mean this machine cannot read it.
    """
    app, limits = _App("playground", static_folder=None), playground.limits
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = limits.body_bytes
    app.config["MAX_FORM_PARTS"] = 8
    _add_guards(app, RateLimit(limits.rate), is_loopback=is_loopback)
    _add_refusals(app)
    _add_pages(app, playground)
    _add_api(app, playground)
    return app


def _add_guards(app: Flask, rates: RateLimit, *, is_loopback: bool) -> None:
    """What every request is held to and every response carries."""

    @app.before_request
    def hold_back() -> Response | None:
        if is_loopback and _HOST.sub("", request.headers.get("Host", "")) not in _OWN_NAMES:
            return _refuse(400, "Only this machine is answered, as 127.0.0.1 or localhost; --host lets others in.")
        if not request.path.startswith(_COUNTED):
            return None
        if wait := rates.take(request.remote_addr or ""):
            refused = _refuse(429, f"Too many requests; try again in {wait:.1f} s.")
            refused.headers["Retry-After"] = str(max(1, round(wait)))
            return refused
        return None

    @app.after_request
    def guard(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", _spell(_POLICY))
        response.headers.setdefault("Cache-Control", "no-store" if request.path.startswith("/api/") else "no-cache")
        return response


def _add_refusals(app: Flask) -> None:
    """Whatever goes wrong is told as JSON, one line."""

    @app.errorhandler(HTTPException)
    def explain(fault: HTTPException) -> BaseResponse:
        response = _refuse(fault.code or 500, fault.description or fault.name)
        for name, value in fault.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def confess(fault: Exception) -> Response:
        app.logger.error("Answering %s failed", request.path, exc_info=fault)
        return _refuse(500, "A fault of the server; its output has the traceback.")


def _add_pages(app: Flask, playground: Playground) -> None:
    """The playground with its files, and the report."""
    folder = importlib.resources.files("bench.deploy.serving") / "page"
    files = {
        each.name: (each.read_bytes(), kind)
        for each in folder.iterdir()
        if (kind := _TYPES.get(each.name[each.name.rfind(".") :]))
    }

    @app.get("/")
    def show_playground() -> Response:
        content, kind = files["index.html"]
        return Response(content, mimetype=kind)

    @app.get("/page/<name>")
    def show_file(name: str) -> Response:
        content, kind = files.get(name) or abort(404, "No such file.")
        return Response(content, mimetype=kind)

    @app.get("/report")
    def show_report() -> Response:
        try:
            content = playground.report.read_bytes()
        except OSError:
            abort(404, "No report yet; python runner.py --report writes it.")
        scripts = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(content)]
        policy = _POLICY | {
            "script-src": " ".join(f"'sha256-{script}'" for script in scripts) or "'none'",
            "style-src": "'unsafe-inline'",
            "img-src": "data:",
            "connect-src": "'none'",
        }
        return Response(content, mimetype="text/html", headers={"Content-Security-Policy": _spell(policy)})


def _add_api(app: Flask, playground: Playground) -> None:
    @app.get("/healthz")
    def tell_health() -> Response:
        loaded = playground.current()
        return jsonify(
            status="stale" if playground.is_stale else "ok",
            study=loaded.chosen.study,
            architectures=len(loaded.nets),
            version=loaded.version,
        )

    @app.get("/api/openapi.json")
    def describe() -> Response:
        return jsonify(describe_api(playground.limits))

    @app.get("/api/architectures")
    def list_architectures() -> Response:
        return jsonify(describe_loaded(playground.current()))

    @app.get("/api/examples")
    def list_examples() -> Response:
        examples = playground.current().examples
        return jsonify(examples=[{"label": label, **pack_pixels(pixels)} for label, pixels in examples])

    @app.post("/api/predict")
    def predict() -> Response:
        started, deadline = time.perf_counter(), Deadline(playground.limits.seconds)
        loaded = playground.current()
        try:
            asked = read_asked(request, loaded, prepare=playground.prepare)
            deadline.check()
            found = answer(asked.prepared, loaded, asked.nets, watched=asked.watched, deadline=deadline)
        except TooSlowError:
            abort(503, f"The answer took more than {playground.limits.seconds:g} s; give a smaller picture, or later.")
        return jsonify(found | {"milliseconds": round(1000 * (time.perf_counter() - started), 3)})


def _refuse(code: int, text: str) -> Response:
    response = jsonify(error=text)
    response.status_code = code
    return response


def _spell(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())
