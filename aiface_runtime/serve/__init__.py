"""The HTTP service behind `aiface serve`: photos in, the command's records out.

Requests come in through `front.py` (request id, token, log), `app.py` (routes) and `body.py` (photos of a body). Photos
wait in `batcher.py`, which hands them to one `Classifier` by the batch. `server.py` runs one process, `workers.py`
several. starlette, uvicorn, python-multipart and prometheus-client are imported here alone: the extra `serve`.
"""
