import re
import subprocess
import sys

import pandas as pd
import pytest

from facemask_ensemble import tracking
from facemask_ensemble.errors import InputError
from facemask_ensemble.report.study_table import main, study_runs, study_table

RUNS = pd.DataFrame(
    {
        "loader": ["tf_data", "directory", "tf_data", "directory"],
        "seed": ["0", "0", "1", "1"],
        "test_accuracy": [0.5, 0.25, 0.75, 1.0],
        "speed": [100.0, 10.4, 300.0, float("nan")],
    }
)


def test_runs_are_grouped_with_the_mean_the_lowest_and_the_highest():
    assert study_table(RUNS, ["loader"], ["test_accuracy", "speed"]).splitlines() == [
        "| loader | runs | test_accuracy | speed |",
        "| --- | --: | --: | --: |",
        "| directory | 2 | 0.625 (0.250 to 1.000) | 10 (10 to 10) |",
        "| tf_data | 2 | 0.625 (0.500 to 0.750) | 200 (100 to 300) |",
    ]


def test_several_parameters_make_a_line_for_each_combination():
    lines = study_table(RUNS, ["loader", "seed"], ["speed"]).splitlines()[2:]
    assert [line.split(" | ")[:3] for line in lines] == [
        ["| directory", "0", "1"],
        ["| directory", "1", "1"],
        ["| tf_data", "0", "1"],
        ["| tf_data", "1", "1"],
    ]
    assert lines[0] == "| directory | 0 | 1 | 10 |"
    assert lines[1].endswith("| – |")


def test_a_share_gets_the_interval_of_the_images_that_it_was_measured_on():
    """Half of 20: by Wilson's formula 0.5 plus and minus 1.96 sqrt(0.25/20 + 1.96^2/1600) / (1 + 1.96^2/20)."""
    runs = RUNS.assign(test_accuracy=0.5)
    line = study_table(runs, ["seed"], ["test_accuracy@20", "speed"]).splitlines()[2]
    assert line == "| 0 | 2 | 0.500 (0.500 to 0.500), 95 % 0.299 to 0.701 | 55 (10 to 100) |"


def test_a_name_that_no_run_has_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="colour: no run of the study has it; there are loader, seed, speed, test_acc"):
        study_table(RUNS, ["colour"], ["speed"])


@pytest.fixture
def logged(store, tmp_path):
    """Two finished members of one backbone, one that failed, a report, and a member of another study."""
    (tmp_path / "files").mkdir()
    for study, kind, status, accuracy in (
        ("speed", "member", "FINISHED", 0.5),
        ("speed", "member", "FINISHED", 1.0),
        ("speed", "member", "FAILED", 0.0),
        ("speed", "report", "FINISHED", 0.0),
        ("other", "member", "FINISHED", 0.0),
    ):
        run = tracking.start_run(
            store, study, "deep_cnn", {"kind": kind, "backbone": "deep_cnn"}, {"loader": "tf_data"}
        )
        metrics = {"test_accuracy": accuracy}
        tracking.finish_run(store, run, files=tmp_path / "files", metrics=metrics, status=status)
    return tmp_path


def test_all_finished_members_of_the_study_are_counted_and_nothing_else(logged):
    runs = study_runs("speed", logged, None)
    assert sorted(runs["test_accuracy"]) == [0.5, 1.0]
    assert set(runs["loader"]) == {"tf_data"}


def test_the_command_prints_the_table(logged, capsys):
    main(["study=speed", "by=loader", "metrics=test_accuracy", f"output_dir={logged}"])
    assert capsys.readouterr().out.splitlines()[2] == "| tf_data | 2 | 0.750 (0.500 to 1.000) |"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study=nosuch"], "study=nosuch: no finished members in .*; studies there: other, speed"),
        ([], "study needs a value"),
        (["studies=speed"], "studies"),
        (
            ["study=speed", "by=loader", "metrics=test_accuracy@all"],
            "metrics=test_accuracy@all: after the @ write a",
        ),
        (["study=speed", "by=hue"], "hue: no run of the study has it"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, logged, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, f"output_dir={logged}"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert re.search(said, line)


@pytest.mark.heavy
def test_help_names_the_keys_without_tensorflow():
    code = (
        "import sys; from facemask_ensemble.report.study_table import main; main(['--help']); "
        "assert not {'tensorflow', 'mlflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for key in ("study:", "by:", "metrics:", "output_dir:"):
        assert key in done.stdout
