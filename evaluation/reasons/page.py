"""A report of reasons as Markdown."""

from __future__ import annotations

from ..markdown import table
from ..records.reasons import Candidate, ErrorRatio, ReasonReport

_HOW = """\
*Wrong verdicts*: of the photos that got a verdict at `{point}`, the share that got the wrong one. *Wrong sides*: of \
all photos, the share whose P(AI) is on the wrong side of 0.5. Each is given where the reason holds, against photos in \
every condition, not changed, where it does not. In brackets: 95 % intervals of the ratio, percentiles of 2000 \
resamples of whole sources."""
_RULE = """\
A reason is offered where one of the two is at least doubled and the interval excludes 1; where a limit decides, the \
mildest one at which that is so also of the photos that no stricter limit takes in."""
_CHANGES = "What each change does, against the photos as they are in every condition:"
_COLUMNS = ("wrong verdicts", "else", "ratio", "wrong sides", "else", "ratio")


def reason_page(report: ReasonReport) -> str:
    """Give the tables of a report; every number comes out of its record."""
    parts = [f"# {report.model}: what makes errors more frequent"]
    if report.command:
        parts.append(f"```sh\n{report.command}\n```")
    parts += [f"Measured on {report.measured_on}.", _HOW.format(point=report.operating_point), _RULE]
    if report.left_out:
        parts.append(f"**{report.left_out} photos could not be decoded; they count nowhere below.**")
    tried = [candidate for candidate in report.candidates if not candidate.offered]
    parts += [
        "## Offered",
        reason_table(tuple(report.rules.values())),
        "## Tried and left out",
        reason_table(tuple(tried)),
    ]
    rows = [
        (name, verdicts.n, *_errors(verdicts), *_errors(sides)) for name, (verdicts, sides) in report.changes.items()
    ]
    parts += ["## Photos changed on purpose", _CHANGES, table(("change", "verdicts", *_COLUMNS), rows)]
    return "\n\n".join(parts) + "\n"


def reason_table(candidates: tuple[Candidate, ...]) -> str:
    """Give a row for each reason and limit."""
    rows = [(_marked(c), c.holds, c.n, c.n_changed, *_errors(c.verdicts), *_errors(c.sides)) for c in candidates]
    return table(("reason", "holds where", "photos", "of these changed", *_COLUMNS), rows)


def _marked(candidate: Candidate) -> str:
    by = {"verdicts": " (by verdicts)", "sides": " (by sides)"}
    return f"{candidate.reason}{by.get(candidate.offered, '')}"


def _errors(errors: ErrorRatio) -> tuple[str, str, str]:
    if not errors.n:
        return "-", f"{errors.otherwise:.1%}", "-"
    interval = f" [{errors.interval[0]:.2f}, {errors.interval[1]:.2f}]" if errors.interval else ""
    ratio = "-" if errors.ratio is None else f"{errors.ratio:.2f}{interval}"
    return f"{errors.rate:.1%}", f"{errors.otherwise:.1%}", ratio
