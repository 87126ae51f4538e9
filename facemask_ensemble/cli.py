"""The console script `facemask-ensemble`: one word chooses the command, the rest is for it."""

import importlib
import sys

from facemask_ensemble import __version__

COMMANDS = {
    "audit": "check a dataset and list what to fix before training",
    "train": "train one member, or a sweep of them with --multirun",
    "tune": "search for the best training settings with Optuna",
    "evaluate": "evaluate the vote of the finished members and write the report",
    "ship": "register the ensemble of a report; it becomes champion if it is not worse than the current one",
    "predict": "predict the classes of your own images",
    "app": "open a web page on this machine that predicts images",
    "webcam": "box every face in a camera or video stream and say who wears a mask",
    "export": "export members, or the ensemble with its vote, to run without this package",
    "upload": "log a finished training to MLflow that could not be logged when it ended",
}


def usage() -> str:
    """Tell the commands and where to learn more."""
    lines = [f"  {name:<9} {about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            f"facemask-ensemble {__version__}",
            "usage: facemask-ensemble COMMAND [KEY=VALUE ...]",
            "",
            *lines,
            "",
            "facemask-ensemble COMMAND --help shows the keys of a command.",
        ]
    )


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "--version"):
        print(usage())
        return
    if name not in COMMANDS:
        print(f"error: {name}: no such command; choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"facemask-ensemble {name}", *sys.argv[2:]]
    importlib.import_module(f"facemask_ensemble.{name}").main()
