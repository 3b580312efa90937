"""An answer and a failure have the same record."""

from __future__ import annotations

import json

from aiface_runtime import Failure, PhotoWarning, Prediction, Verdict
from aiface_runtime.errors import ImageNotFoundError

PREDICTION = Prediction("a.jpg", Verdict.AI, 0.9, {"real": 0.1, "ai": 0.9}, "model@1", "cpu", "cuda: no GPU")
WARNED = Prediction(
    "c.jpg", Verdict.REAL, 0.1, {"real": 0.9, "ai": 0.1}, "m@1", "cpu", None, 0.75, (PhotoWarning.SMALL_FACE,)
)
FAILURE = Failure("b.jpg", ImageNotFoundError("b.jpg"), "model@1", "cpu")


def test_records_have_the_same_keys_and_json_takes_them() -> None:
    answer, failure, warned = PREDICTION.to_record(), FAILURE.to_record(), WARNED.to_record()
    assert list(answer) == list(failure) == list(warned)
    assert json.loads(json.dumps([answer, failure, warned])) == [answer, failure, warned]
    assert (answer["face_probability"], answer["warnings"]) == (None, [])
    assert (failure["face_probability"], failure["warnings"]) == (None, [])
    assert (warned["face_probability"], warned["warnings"]) == (0.75, ["small_face"])
    assert answer["scores"] == {"real": 0.1, "ai": 0.9}
    assert (answer["verdict"], answer["fallback"], answer["error"]) == ("ai", "cuda: no GPU", None)


def test_a_failure_has_a_stable_code() -> None:
    assert FAILURE.code == "not_found"
    assert Failure("x", RuntimeError("not ours"), "model@1", "cpu").code == "error"
    assert (PREDICTION.error, repr(PREDICTION)) == (None, "Prediction('a.jpg': ai, p_ai=0.900)")
