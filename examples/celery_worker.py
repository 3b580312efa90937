"""A Celery task: the path of a photo in, a JSON record out, also where the photo cannot be used.

    celery --app examples.celery_worker worker
    python -m examples.celery_worker face.jpg another.jpg

Broker and result backend are a Redis on this machine unless CELERY_BROKER_URL and CELERY_RESULT_BACKEND say otherwise.
Messages carry paths, not photos: workers must see the same storage as the client.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any

from celery import Celery, group

from aiface_runtime import Classifier

_REDIS = "redis://127.0.0.1:6379/0"

app = Celery(
    "aiface",
    broker=os.environ.get("CELERY_BROKER_URL", _REDIS),
    backend=os.environ.get("CELERY_RESULT_BACKEND", _REDIS),
)


@cache
def classifier() -> Classifier:
    """Return the worker process's classifier, opened at its first task; one core, as Celery has a process a core."""
    return Classifier(threads=1)


@app.task(name="aiface.predict")
def predict(path: str) -> dict[str, Any]:
    """Answer for one photo; a model or device that fails makes the task fail."""
    (answer,) = classifier().predict_many([path])
    return answer.to_record()


if __name__ == "__main__":
    for record in group(predict.s(path) for path in sys.argv[1:])().get(timeout=60):
        print(json.dumps(record))
