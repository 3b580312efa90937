"""A FastAPI service: one photo a request, a JSON record back.

python examples/fastapi_app.py
curl -F photo=@face.jpg http://127.0.0.1:8000/predict
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiface_runtime import Classifier
from aiface_runtime.errors import InputError

MAX_UPLOAD = 10 * 1024 * 1024  # bytes


class LimitUpload:
    """Middleware that stops reading a request at `MAX_UPLOAD` bytes, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; reading too much of it answers 413."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_UPLOAD:
                raise HTTPException(413, f"at most {MAX_UPLOAD:,} bytes")
            return message

        await self.app(scope, limited, send)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the classifier when the process starts; all its threads share it."""
    with Classifier() as app.state.classifier:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(LimitUpload)


@app.post("/predict")
def predict(photo: UploadFile, request: Request) -> dict[str, Any]:
    """Answer for one photo; not `async`, so that FastAPI runs it in its thread pool."""
    record: dict[str, Any] = request.app.state.classifier.predict(photo.file.read()).to_record()
    return record


@app.exception_handler(InputError)  # of the photo; a model or device that fails stays an error 500 of the server
def unusable(_: Request, error: InputError) -> JSONResponse:
    """Say what is wrong with the photo."""
    return JSONResponse({"error": {"code": error.code, "message": str(error)}}, status_code=422)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=8000)
