"""`python -m benchmarks.readme_table`: the README's tables of the bundled model, from its recorded evaluation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiface_evaluation.names import DEFAULT, GENERATED
from aiface_evaluation.records.results import ConditionResult, Evaluation, GroupMetrics

from .page import Section, table

_ROOT = Path(__file__).resolve().parents[1]
EVALUATION, README = _ROOT / "docs/model/evaluation.json", Section(_ROOT / "README.md", "figures")
_HEADER = (
    *("split", "condition", "real", "AI", "AUC", "TPR at 1 % FPR"),
    *("real called AI", "AI called AI", "AI called real", "ECE"),
)
_OTHER_HEADER = ("kind", "split", "photos", "AUC", "TPR at 1 % FPR", "called AI", "called real")


def tables(evaluation: Evaluation) -> str:
    """Give the table of generated photos against real ones, and that of the other kinds in the first condition."""
    conditions = {split: result.conditions for split, result in evaluation.splits.items()}
    main = [
        _row(split, condition, result)
        for split, by_condition in conditions.items()
        for condition, result in by_condition.items()
    ]
    first = evaluation.conditions[0][0]
    others = list(_others({split: by_condition[first] for split, by_condition in conditions.items()}))
    return "\n\n".join((table(_HEADER, main), f"Other kinds, *{first}*:", table(_OTHER_HEADER, others))) + "\n"


def _row(split: str, condition: str, result: ConditionResult) -> tuple[str, ...]:
    generated, overall = result.kinds[GENERATED], result.overall
    auc, tpr, called_ai, called_real = _detection(generated)
    counts, fpr = (str(overall.n_real), str(generated.n)), f"{overall.points[DEFAULT].fpr:.1%}"
    return (split, condition, *counts, auc, tpr, fpr, called_ai, called_real, f"{result.ece:.3f}")


def _others(results: Mapping[str, ConditionResult]) -> Iterator[tuple[str, ...]]:
    for split, result in results.items():
        for kind, group in result.kinds.items():
            if kind != GENERATED:
                yield (kind, split, str(group.n), *_detection(group))


def _detection(group: GroupMetrics) -> tuple[str, str, str, str]:
    verdicts = group.verdicts[DEFAULT]
    return f"{group.auc:.3f}", f"{group.tpr_at_1_fpr:.3f}", f"{verdicts.ai:.1%}", f"{verdicts.real:.1%}"


def main() -> int:
    """Write the README's part anew."""
    evaluation = Evaluation.from_json(json.loads(EVALUATION.read_text(encoding="utf-8")), EVALUATION.name)
    README.replace(tables(evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
