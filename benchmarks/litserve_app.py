"""The bundled model under LitServe, for comparison: `python benchmarks/litserve_app.py PORT WORKERS`."""

# Without `from __future__ import annotations`: LitServe looks at the type of decode_request's argument.
import sys
from collections.abc import Sequence
from typing import Any

import litserve
from fastapi import Request

from aiface_runtime import Classifier
from aiface_runtime.cpu_limits import usable_cores

MAX_BATCH, MAX_WAIT = 16, 0.002  # photos, seconds; `aiface serve` judges two batches of 8 at once, a worker here one


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """One photo a request, in a form; answers are records."""

    def setup(self, device: str) -> None:  # noqa: ARG002 by its name
        """Open the model in a worker."""
        self.classifier = Classifier(threads=max(1, usable_cores() // int(sys.argv[2])))

    def decode_request(self, request: Request) -> Any:
        """Return the photo's bytes, of what LitServe makes of a form."""
        return request["photo"].file.read()

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Leave the photos as they are: LitServe would make an array of them."""
        return list(inputs)

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Leave the answers as they are."""
        return output

    def predict(self, photos: list[bytes]) -> list[Any]:
        """Answer for a batch."""
        return list(self.classifier.predict_many(photos))

    def encode_response(self, output: Any) -> Any:
        """Return the record."""
        return output.to_record()


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_BATCH, batch_timeout=MAX_WAIT)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=int(sys.argv[2]))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
