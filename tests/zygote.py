"""A process that has imported what every command imports, and forks for each: that saves a command three seconds.

It reads a request a line, JSON with name, arguments, folder, environment and two files for what is printed, and answers
with the exit status. TensorFlow is not among what it has imported: a command that needs it starts it as ever.
"""

import json
import os
import runpy
import sys

import hydra  # noqa: F401
import matplotlib.figure  # noqa: F401
import pandas  # noqa: F401
import sklearn.metrics  # noqa: F401

import facemask_ensemble.tracking  # noqa: F401


def become(request: dict) -> None:
    """Be the process of `python -m facemask_ensemble.NAME ARGUMENTS`, started in the folder."""
    for descriptor, file in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        os.dup2(os.open(file, os.O_RDONLY if descriptor == 0 else os.O_WRONLY), descriptor)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.chdir(request["cwd"])
    set_by_imports = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    os.environ.clear()
    os.environ.update(set_by_imports | request["environment"])
    sys.path[0] = request["cwd"]
    sys.argv = ["", *request["arguments"]]
    runpy.run_module(f"facemask_ensemble.{request['name']}", run_name="__main__", alter_sys=True)


def main() -> None:
    """Fork for every line until there are no more."""
    requests, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    for line in requests:
        child = os.fork()
        if not child:
            return become(json.loads(line))
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    return None


if __name__ == "__main__":
    main()
