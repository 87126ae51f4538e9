"""The console script `facemask-ensemble`: one word chooses the command, the rest is for it."""

import importlib
import sys

from facemask_ensemble import __version__

COMMANDS = {
    "audit": "look at a dataset, and say what to fix before a training",
    "train": "train one member, or a sweep of them with --multirun",
    "tune": "search a training's recipe with Optuna",
    "evaluate": "let the finished members of a dataset vote, and write the report",
    "ship": "register the ensemble that a report judged, as champion if it is not worse than the one before",
    "predict": "let an ensemble answer for images of your own",
    "app": "show an ensemble on a web page of this machine",
    "webcam": "box every face of a camera or a video, and say who wears a mask",
    "export": "write members, or the ensemble with its vote, to run without this package",
    "upload": "send a finished training to MLflow that could not be logged when it ended",
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
            "facemask-ensemble COMMAND --help shows a command's keys.",
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
