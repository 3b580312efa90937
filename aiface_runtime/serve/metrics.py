"""What the service counts, for Prometheus; of several processes together where they share a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from ..prediction import Failure
from .metrics_folder import FOLDER_VARIABLE

if TYPE_CHECKING:
    from .batcher import Answer

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PHOTOS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of this process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        if FOLDER_VARIABLE not in os.environ:
            ProcessCollector(registry=registry)
        self.requests = Counter(
            "aiface_requests", "Requests by path, method and status", ["path", "method", "status"], registry=registry
        )
        self.refused = Counter(
            "aiface_refused", "Requests refused, by the code of the problem", ["code"], registry=registry
        )
        self.request_seconds = Histogram(
            "aiface_request_seconds",
            "Time from the headers to the answer",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._photos = Counter(
            "aiface_photos", "Photos by verdict, or by the code of their error", ["outcome"], registry=registry
        )
        self._batch_photos = Histogram("aiface_batch_photos", "Photos of a batch", buckets=_PHOTOS, registry=registry)
        self._batch_seconds = Histogram(
            "aiface_batch_seconds", "Time for a batch, decoding with it", buckets=_SECONDS, registry=registry
        )
        self.queue = Gauge(
            "aiface_queue_photos",
            "Photos being received, waiting or judged",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._model = Gauge(
            "aiface_model_info",
            "The model that answers",
            ["model", "sha256", "device"],
            registry=registry,
            multiprocess_mode="livemax",
        )

    def batch(self, photos: int, seconds: float) -> None:
        """Count a batch."""
        self._batch_photos.observe(photos)
        self._batch_seconds.observe(seconds)

    def answered(self, answers: Iterable[Answer]) -> None:
        """Count what was answered."""
        for answer in answers:
            self._photos.labels(answer.code if isinstance(answer, Failure) else answer.verdict.value).inc()

    def model(self, model: str, sha256: str, device: str) -> None:
        """Say which model answers."""
        self._model.labels(model, sha256, device).set(1)

    def text(self) -> bytes:
        """Return all of it in Prometheus's text format, of all processes."""
        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        text: bytes = generate_latest(registry)
        return text
