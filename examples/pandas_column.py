"""A column of paths in a CSV table → columns `p_ai`, `verdict` and `error`.

python examples/pandas_column.py table.csv path > answers.csv
"""

from __future__ import annotations

import sys

import pandas as pd

from aiface_runtime import Classifier, Failure


def answers(paths: pd.Series, classifier: Classifier) -> pd.DataFrame:
    """Answer for a column of paths.

    Returns:
        With the column's index: `p_ai` (float, 0 to 1), `verdict`, and `error`, the code of what is wrong with a
        photo; `p_ai` and `verdict` are missing then, otherwise `error` is.
    """
    rows = [
        (float("nan"), None, answer.code) if isinstance(answer, Failure) else (answer.p_ai, str(answer.verdict), None)
        for answer in classifier.predict_many(paths)
    ]
    return pd.DataFrame(rows, columns=["p_ai", "verdict", "error"], index=paths.index)


def main(table: str, column: str) -> None:
    """Write the table with its new columns to stdout."""
    frame = pd.read_csv(table)
    with Classifier() as classifier:
        frame = frame.join(answers(frame[column], classifier))
    frame.to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:3])
