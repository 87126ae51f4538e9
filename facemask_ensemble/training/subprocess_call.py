"""Call a function in a separate process, so that its imports do not stay in the memory of this one."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from facemask_ensemble.signals import started, stop_with_parent

Result = TypeVar("Result")


def aside(work: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a fresh process, which ends, and return or raise what it does.

    A command that waits for a training, or for a hundred, keeps neither pandas nor MLflow: a fifth of a gigabyte. It
    also works in a launcher's workers and at the end of a program, where multiprocessing does not.

    Args:
        work: a function of a module that can be imported.
        arguments: what it is called with; they and the result can be pickled.
    """
    asked = pickle.dumps((work, arguments))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started([sys.executable, "-m", __name__], **pipes) as (process,):
        answer, _ = process.communicate(asked)
    if not answer:
        raise RuntimeError(f"{work.__name__}: its process ended with code {process.returncode} and gave no result")
    result, error = pickle.loads(answer)
    if error is not None:
        raise error
    return result


def main() -> None:
    """Answer on what was stdout; what the work prints goes to stderr."""
    stop_with_parent(orderly=False)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    work, arguments = pickle.loads(sys.stdin.buffer.read())
    answer: tuple[object, Exception | None]
    try:
        answer = (work(*arguments), None)
    except Exception as error:  # raised again in the calling process
        answer = (None, error)
    with answers:
        answers.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
