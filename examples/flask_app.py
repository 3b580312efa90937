"""A Flask service: one photo a request, a JSON record back.

    python examples/flask_app.py
    curl -F photo=@face.jpg http://127.0.0.1:5000/predict

For production: `gunicorn --threads 4 'examples.flask_app:create_app()'`.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge

from aiface_runtime import Classifier
from aiface_runtime.errors import InputError

MAX_UPLOAD = 10 * 1024 * 1024  # bytes


def create_app() -> Flask:
    """Return the application with its classifier, which all its threads share."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    classifier = Classifier()

    @app.post("/predict")
    def predict() -> tuple[dict[str, Any], int]:
        photo = request.files.get("photo")
        if photo is None:
            return _error("no_photo", "send the photo as the form's field 'photo'"), 400
        return classifier.predict(photo.read()).to_record(), 200

    @app.errorhandler(InputError)  # of the photo; a model or device that fails stays an error 500 of the server
    def unusable(error: InputError) -> tuple[dict[str, Any], int]:
        return _error(error.code, str(error)), 422

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> tuple[dict[str, Any], int]:
        return _error("upload_too_large", f"at most {MAX_UPLOAD:,} bytes"), 413

    return app


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


if __name__ == "__main__":
    create_app().run("127.0.0.1", 5000)
