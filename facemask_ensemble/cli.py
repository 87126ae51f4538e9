"""The console script `facemask-ensemble`: the first word is the command, the rest are its arguments."""

import importlib
import sys

from facemask_ensemble import __version__

COMMANDS = {
    "audit": "check a dataset, and list what to fix before training",
    "train": "train one member, or a sweep of them with --multirun",
    "tune": "search for the best training settings with Optuna",
    "evaluate": "let the trained members of a dataset vote, and write a report",
    "ship": "register the ensemble of a report; it becomes champion if it is not worse than the current one",
    "predict": "predict the classes of your own images with an ensemble",
    "app": "show an ensemble on a web page on this machine",
    "webcam": "draw a box around every face of a camera or a video, and say who wears a mask",
    "export": "export members, or the ensemble with its vote, to run without this package",
    "upload": "log a finished training to MLflow that could not be logged when it ended",
}


def usage() -> str:
    """List the commands, and say where to find more help."""
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
