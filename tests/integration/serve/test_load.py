"""Many clients at once: nothing is lost or exchanged, more than can be answered is refused, the end is in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import threading
import time
from collections import Counter

import httpx
import pytest

from tests.support.service import SECONDS, Service

from .conftest import picture

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")

JPEG = {"Content-Type": "image/jpeg"}


async def ask(client: httpx.AsyncClient, photos: list[bytes], chosen: list[int]) -> httpx.Response:
    """Send some of the photos by their numbers: one as the body, several as a form."""
    if len(chosen) == 1:
        return await client.post(f"/v1/predict?name={chosen[0]}", content=photos[chosen[0]], headers=JPEG)
    return await client.post("/v1/predict", files=[("photo", (str(each), photos[each])) for each in chosen])


def check(response: httpx.Response, expected: list[float], chosen: list[int]) -> None:
    """Hold each record of a response to the photo of its name."""
    answers = [(record["input"], record["p_ai"]) for record in response.json()["records"]]
    assert answers == [(str(each), pytest.approx(expected[each], abs=1e-6)) for each in chosen]


async def run_clients(url: str, photos: list[bytes], expected: list[float], clients: int, requests: int) -> None:
    async def run_client(number: int) -> None:
        rng = random.Random(number)
        async with httpx.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False) as client:
            for _ in range(requests):
                chosen = [rng.randrange(len(photos)) for _ in range(rng.choice((1, 1, 2, 5)))]
                response = await ask(client, photos, chosen)
                assert response.status_code == 200, response.text
                check(response, expected, chosen)

    await asyncio.gather(*(run_client(number) for number in range(clients)))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_answer_is_lost_or_exchanged(photos: list[bytes], expected: list[float], workers: str) -> None:
    with Service("--workers", workers, "--max-batch", "5") as service:
        asyncio.run(run_clients(service.url, photos, expected, clients=8, requests=8))
        sizes = [service.metric(f'aiface_batch_photos_bucket{{le="{size}"}}') for size in ("1.0", "4.0", "8.0", "+Inf")]
        assert sizes[0] < sizes[2]  # some photos shared a batch
        assert sizes[2] == sizes[3]


def test_overload_is_refused_and_the_rest_is_right(photos: list[bytes], expected: list[float]) -> None:
    async def overload(url: str) -> list[tuple[int, httpx.Response]]:
        async with httpx.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False) as client:
            chosen = [number % len(photos) for number in range(60)]
            responses = await asyncio.gather(*(ask(client, photos, [each]) for each in chosen))
            return list(zip(chosen, responses, strict=True))

    with Service("--max-queue", "4", "--max-photos", "4", "--max-batch", "2") as service:
        answers = asyncio.run(overload(service.url))
        counts = Counter(response.status_code for _, response in answers)
        assert counts[200] + counts[503] == 60
        assert counts[200] >= 4
        assert counts[503] > 0
        for each, response in answers:
            if response.status_code == 200:
                check(response, expected, [each])
            else:
                assert response.json()["code"] == "queue_full"
                assert int(response.headers["Retry-After"]) >= 1
        assert service.metric('aiface_refused_total{code="queue_full"}') == counts[503]
        assert service.metric('aiface_requests_total{method="POST",path="/v1/predict",status="503"}') == counts[503]


def begin(service: Service, requests: int) -> tuple[list[httpx.Response], list[threading.Thread]]:
    """Send requests of eight large photos each, and wait until all of them have been let in."""
    responses: list[httpx.Response] = []
    large = picture(0, 2000, 2000, "PNG")
    files = [("photo", (str(number), large)) for number in range(8)]
    threads = [threading.Thread(target=lambda: responses.append(service.post(files=files))) for _ in range(requests)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    while service.metric("aiface_queue_photos") < 8 * requests:
        assert time.monotonic() < until
    return responses, threads


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_begun_is_answered_and_the_rest_refused(workers: str) -> None:
    with Service("--workers", workers, "--drain", "0.5") as service, service.connect() as kept:
        responses, threads = begin(service, 4)
        service.process.send_signal(signal.SIGTERM)
        ready = 200
        while ready == 200:
            ready = service.get("/readyz").status_code
        refused = service.post(content=picture(0), headers=JPEG)
        assert (ready, refused.status_code, refused.json()["code"]) == (503, 503, "stopping")
        assert service.process.wait(SECONDS) == 0
        for thread in threads:
            thread.join(SECONDS)
        assert [response.status_code for response in responses] == [200] * 4
        assert {len(response.json()["records"]) for response in responses} == {8}
        assert kept.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", service.port), SECONDS)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_ends_them(workers: str, number: signal.Signals) -> None:
    with Service("--workers", workers) as service:
        os.killpg(service.process.pid, number)  # as a terminal and systemd do
        assert service.process.wait(SECONDS) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(service.process.pid, 0)


def test_a_worker_that_dies_is_replaced_and_counts_stay(photos: list[bytes], expected: list[float]) -> None:
    with Service("--workers", "2") as service:
        for number in range(6):
            check(service.post(f"/v1/predict?name={number}", content=photos[number], headers=JPEG), expected, [number])
        worker = service.wait_for("request", path="/v1/predict")["process"]
        os.kill(worker, signal.SIGKILL)
        died = service.wait_for("a worker died and is replaced")
        assert (died["worker"], died["exit_code"]) == (worker, -signal.SIGKILL)
        asyncio.run(run_clients(service.url, photos, expected, clients=2, requests=3))
        verdicts = [
            service.metric(f'aiface_photos_total{{outcome="{verdict}"}}') for verdict in ("real", "ai", "uncertain")
        ]
        assert sum(verdicts) >= 6 + 6
        assert service.stop() == 0


def test_workers_end_when_the_process_that_started_them_is_killed() -> None:
    with Service("--workers", "2") as service:
        service.process.kill()
        service.process.wait()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                os.killpg(service.process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        raise AssertionError("its workers go on")


def test_a_request_that_takes_too_long_is_answered_in_time(photos: list[bytes], expected: list[float]) -> None:
    large = picture(0, 2600, 2600, "PNG")
    with Service("--seconds", "0.4", "--max-batch", "2") as service:
        files = [("photo", (str(number), large)) for number in range(16)]
        late = service.post(files=files)
        assert (late.status_code, late.json()["code"]) in ((503, "deadline"), (408, "too_slow"))
        until = time.monotonic() + SECONDS
        while service.metric("aiface_queue_photos"):
            assert time.monotonic() < until
        judged = service.metric('aiface_photos_total{outcome="real"}') + service.metric("aiface_batch_photos_sum")
        assert judged < 16  # what nobody waits for is taken out of the queue
        response = service.post("/v1/predict?name=2", content=photos[2], headers=JPEG)
        while response.status_code == 503:  # the batch that was begun goes on
            response = service.post("/v1/predict?name=2", content=photos[2], headers=JPEG)
        check(response, expected, [2])


def test_a_second_signal_ends_at_once() -> None:
    with Service("--drain", "600") as service:
        service.process.send_signal(signal.SIGTERM)
        while service.get("/readyz").status_code == 200:
            pass
        assert service.stop() == 128 + signal.SIGTERM
