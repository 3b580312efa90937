"""What goes through the pipes to and from a subject's process, as JSON lines.

Typed dictionaries, because they cost nothing to import: the start of the process is measured too.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

Action: TypeAlias = Literal["answer", "run", "folder", "paced"]


class Arguments(TypedDict, total=False):
    """What an action takes.

    Attributes:
        file: Photo to answer for.
        files: Photos to answer for.
        batch: Number of images in a run of the network alone.
        every: Seconds between photos.
        count: Number of photos.
    """

    file: str
    files: list[str]
    batch: int
    every: float
    count: int


class Request(Arguments):
    """What a subject shall do.

    Attributes:
        action: `answer` for a `file`, `run` a `batch`, answer for a `folder` of `files`, or answer for a `file` at a
            steady pace, `count` times, one `every` so many seconds.
    """

    action: Action


class Opened(TypedDict):
    """The first reply: the subject is open.

    Attributes:
        opened: Seconds that it took.
    """

    opened: float


class Failed(TypedDict):
    """The last reply of a subject that failed.

    Attributes:
        error: Reason, in one line.
    """

    error: str


class Answer(TypedDict, total=False):
    """What an action gave.

    Attributes:
        p_ai: P(AI), of `answer`.
        count: Number of photos answered for, of `folder`.
        latency: Median seconds from a photo's arrival to its answer, of `paced`.
    """

    p_ai: float
    count: int
    latency: float


class Reply(Answer):
    """What an action gave, and what it took.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: CPU time of all threads.
        peak_mb: Peak resident memory of the process so far, in MB.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
