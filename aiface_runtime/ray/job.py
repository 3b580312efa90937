"""A job: from photos to Parquet parts, gone on with where it was cut off."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ray.data.datasource import FilenameProvider
from ray.exceptions import RayError

from ..cli.program import is_write_error
from ..errors import AifaceError, OutputError
from ..images.sources import one_line
from ..scan import ScanSummary
from .cluster import light_tasks

if TYPE_CHECKING:
    from ray.data import Dataset

    from .output import Output


def write(answers: Dataset, output: Output, rows_per_file: int, *, resume: bool) -> ScanSummary:
    """Write answers as Parquet parts, each row once, whatever ended the job before.

    Args:
        answers: Answers whose checkpoint is that of the output.
        output: Folder of the parts, locked.
        rows_per_file: Fewest rows of a part but the last: those of parts that are not whole are lost when the job ends.
        resume: Whether to go on with it.

    Raises:
        AifaceError: What ended the job.
    """
    before = 0
    if resume:
        output.settle()
        before = sum(counter.total() for counter in output.counts())
    known, run, started = output.known(), uuid.uuid4().hex[:12], time.monotonic()
    _run(
        lambda: answers.write_parquet(
            output.address,
            filename_provider=FilenameProvider(run, "parquet"),
            min_rows_per_file=rows_per_file,
            ray_remote_args={"num_cpus": 0},
            concurrency=light_tasks(),
        )
    )
    seconds = time.monotonic() - started
    output.remove_late(known, run)
    verdicts, failures = output.counts()
    records = verdicts.total() + failures.total()
    return ScanSummary(output.name, records, verdicts, failures, None, records - before, seconds, None)


def _run(job: Callable[[], Any]) -> None:
    """Run a job of Ray's.

    Raises:
        AifaceError: What an actor raised, or one line on what ended it otherwise.
    """
    try:
        job()
    except Exception as error:
        # Ray's errors are also of the kind of what they come from, with a whole traceback as their text.
        causes = [cause for cause in _causes(error) if not isinstance(cause, RayError)] or [error]
        if own := next((cause for cause in causes if isinstance(cause, AifaceError)), None):
            raise own from None
        kind = OutputError if any(map(is_write_error, causes)) else AifaceError
        raise kind(f"the job ended: {one_line(causes[-1])}; Ray's logs say more") from error


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """Yield an error and what it comes from; Ray keeps what an actor raised as `cause`."""
    seen: set[int] = set()
    while isinstance(error, Exception) and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "cause", None) or error.__cause__
