"""A study's runs as a Markdown table: `python -m facemask_ensemble.report.study_table study=import_options`.

`by` lists parameters, `metrics` final metrics of the finished members; `test_accuracy@210`, a share measured on 210
images, is given with the 95 % Wilson interval of its mean.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from facemask_ensemble.error_lines import one_line_errors
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import wilson_interval

KEYS = {
    "study": "???",
    "by": "loader,loader_resize",
    "metrics": "test_accuracy,test_balanced_accuracy",
    "output_dir": "outputs",
    "uri": None,
}


def study_table(runs: pd.DataFrame, by: Sequence[str], metrics: Sequence[str]) -> str:
    """Group runs, one a row, by parameters; give every metric's mean (lowest to highest) as Markdown."""
    if unknown := [name for name in [*by, *(metric.partition("@")[0] for metric in metrics)] if name not in runs]:
        raise InputError(f"{unknown[0]}: no run of the study has it; there are {', '.join(sorted(map(str, runs)))}")
    lines = [[*by, "runs", *metrics], ["---"] * len(by) + ["--:"] * (1 + len(metrics))]
    for values, group in runs.groupby(list(by), dropna=False):
        lines.append([*map(str, values), str(len(group)), *(_spread(group, metric) for metric in metrics)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(group: pd.DataFrame, metric: str) -> str:
    name, _, images = metric.partition("@")
    if images and not images.isdigit():
        raise InputError(f"metrics={metric}: after the @ write a number of images, such as {name}@210")
    values = pd.to_numeric(group[name], errors="coerce")
    if values.isna().all():
        return "–"
    mean, digits = values.mean(), 3 if values.max() <= 1 else 0
    text = f"{mean:.{digits}f}"
    if len(values) > 1:
        text += f" ({values.min():.{digits}f} to {values.max():.{digits}f})"
    if not images:
        return text
    low, high = wilson_interval(round(mean * int(images)), int(images))  # as of one run: seeds share their images
    return f"{text}, 95 % {low:.3f} to {high:.3f}"


def study_runs(study: str, output_dir: Path, uri: str | None) -> pd.DataFrame:
    """Read the parameters and final metrics of a study's finished members, a row a run."""
    from facemask_ensemble import tracking

    store = tracking.open_store(uri, output_dir)
    experiment = store.client.get_experiment_by_name(study)
    query = "tags.kind = 'member' and attributes.status = 'FINISHED'"
    runs = store.client.search_runs([experiment.experiment_id], query, max_results=10_000) if experiment else []
    if not runs:
        known = ", ".join(tracking.studies(store)) or "none"
        raise InputError(f"study={study}: no finished members in {store.uri}; studies there: {known}")
    return pd.DataFrame([{**run.data.params, **run.data.metrics} for run in runs])


def main(arguments: Sequence[str]) -> None:
    """Print the table that the arguments, KEY=VALUE, ask for."""
    asked = OmegaConf.create(KEYS, flags={"struct": True})
    if {"-h", "--help"} & {*arguments}:
        return print(f"{__doc__}\nKeys, with their values now:\n{OmegaConf.to_yaml(asked)}")
    with one_line_errors():
        asked.merge_with_dotlist(list(arguments))
        runs = study_runs(asked.study, Path(asked.output_dir).expanduser().resolve(), asked.uri)
        print(study_table(runs, asked.by.split(","), asked.metrics.split(",")))


if __name__ == "__main__":
    main(sys.argv[1:])
