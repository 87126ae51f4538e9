"""What the page says about a vote, in plain words."""

from collections import Counter
from collections.abc import Sequence

from facemask_ensemble.settings.task import Task


def question(class_names: Sequence[str], task: Task) -> str:
    """Ask what the ensemble answers: the task's question, where its classes are answered."""
    if task.question and set(class_names) == set(task.meanings):
        return task.question
    if len(class_names) > 6:
        return f"Which of {len(class_names)} classes is it?"
    return f"Which is it: {_listed(class_names, 'or')}?"


def meaning(prediction: str, class_names: Sequence[str], task: Task) -> str:
    """Say what a class means, if the task's classes are answered."""
    return task.meanings.get(prediction, "") if set(class_names) == set(task.meanings) else ""


def said(votes: Sequence[str], prediction: str, tie: bool, everyone: bool = True) -> str:
    """Say in a sentence how the members voted.

    Args:
        votes: of the members that were asked.
        prediction: of the ensemble; "" for no answer.
        tie: whether the two most frequent votes are level.
        everyone: whether all members were asked.
    """
    counts, members = Counter(votes), "members" if everyone else "members asked"
    if len(votes) == 1:
        return f"The one member asked says {votes[0]}."
    if tie:
        most = counts.most_common(1)[0][1]
        level = [f"{most} {_say(most)} {name}" for name, count in counts.items() if count == most]
        end = f"the tie is decided for {prediction}" if prediction else "the tie is left to a person"
        return f"Of {len(votes)} {members} {_listed(level, 'and')}: {end}."
    if not prediction:
        return "The rule gives no answer here: it is left to a person."
    agree = counts[prediction]
    if agree == len(votes):
        return f"{'Both' if agree == 2 else f'All {agree}'} {members} say {prediction}."
    return f"{agree} of {len(votes)} {members} {_say(agree)} {prediction}."


def _say(count: int) -> str:
    return "says" if count == 1 else "say"


def _listed(names: Sequence[str], joint: str) -> str:
    return f" {joint} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
