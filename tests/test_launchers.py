import importlib.util
import json
import os
import subprocess
import sys

import psutil
import pytest
import yaml

SWEEP = (
    "--multirun", "backbone=deep_cnn", "dataset.count=60", "dataset.size=48", "image_size=32", "augmentation=none",
    "schedule.epochs=1", "precision=float32", "study=sweep", "seed=0,1",
)  # fmt: skip
# Ray listens on all addresses but where clusters are switched off, as it does itself on Windows and macOS.
RAY_HERE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
LAUNCHERS = {
    "basic": (None, [], {}),
    "submitit": ("hydra_plugins.hydra_submitit_launcher", ["hydra/launcher=submitit_local"], {}),
    "slurm": ("hydra_plugins.hydra_submitit_launcher", ["hydra/launcher=slurm", "hydra.launcher.partition=gpu"], {}),
    "ray": (
        "hydra_plugins.hydra_ray_launcher",
        [
            "hydra/launcher=ray",
            "+hydra.launcher.ray.init.num_cpus=2",
            "+hydra.launcher.ray.init.include_dashboard=false",
        ],
        RAY_HERE,
    ),
}
# A Slurm of one machine: `sbatch` starts the tasks of an array side by side and returns at once, as the real one does.
SBATCH = r"""#!/bin/bash
script="${!#}"
cp "$script" "$SLURM_SEEN"
tasks=$(sed -nE 's/^#SBATCH --array=([0-9]+)-([0-9]+).*/\1 \2/p' "$script")
for task in $(seq $tasks); do
  SLURM_JOB_ID=$((100 + task)) SLURM_ARRAY_JOB_ID=77 SLURM_ARRAY_TASK_ID=$task SLURM_JOB_NUM_NODES=1 SLURM_NTASKS=1 \
    SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=here CUDA_VISIBLE_DEVICES=$task \
    setsid bash "$script" >/dev/null 2>&1 &
done
echo "Submitted batch job 77"
"""
SRUN = r"""#!/bin/bash
while [[ "$1" == --* ]]; do
  case "$1" in --output | --error) shift 2 ;; *) shift ;; esac
done
exec "$@"
"""
SACCT = "#!/bin/bash\necho 'JobID|State|NodeList'\nprintf '77_0|RUNNING|here\\n77_1|RUNNING|here\\n'\n"


@pytest.fixture(scope="module")
def by_joblib(tmp_path_factory, make_place, command):
    place = make_place(tmp_path_factory.mktemp("joblib"))
    done = command("train", *SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", cwd=place)
    assert done.returncode == 0, done.stderr
    return accuracies(place)


def accuracies(place):
    """Give the validation accuracy of every seed's member."""
    found = {}
    for path in place.glob("outputs/runs/sweep/*/outcome.json"):
        seed = yaml.safe_load((path.parent / "files" / "config.yaml").read_text())["seed"]
        found[seed] = json.loads(path.read_text())["summary"]["validation_accuracy"]
    return found


@pytest.fixture
def slurm(tmp_path):
    """Put the commands of a Slurm cluster on the path; give the variables and where the batch script is kept."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_SEEN": str(folder / "script.sh")}


@pytest.mark.heavy
@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_trains_the_same_members(name, command, place_with_store, by_joblib, slurm):
    plugin, arguments, environment = LAUNCHERS[name]
    if plugin and importlib.util.find_spec(plugin) is None:
        pytest.skip(f"{plugin} is not installed")
    if name == "slurm":
        environment = slurm
    done = command("train", *SWEEP, *arguments, cwd=place_with_store, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    assert accuracies(place_with_store) == by_joblib
    assert len(by_joblib) == 2
    assert left_behind(place_with_store) == []
    if name == "slurm":
        with open(slurm["SLURM_SEEN"]) as file:
            asked = {line.strip() for line in file if line.startswith("#SBATCH")}
        assert {"#SBATCH --gpus-per-node=1", "#SBATCH --partition=gpu", "#SBATCH --array=0-1%2"} <= asked


def left_behind(place):
    """Name the processes that still work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            inside = process.cwd().startswith(str(place))
        except psutil.Error:
            continue
        if inside:
            found.append(" ".join(process.cmdline()[:6]))
    return found


@pytest.mark.heavy
def test_a_launcher_that_is_not_installed_is_refused_in_one_line(tmp_path, assert_refused):
    script = (
        "import sys; sys.modules['hydra_plugins.hydra_submitit_launcher'] = None\n"
        f"sys.argv = ['train', *{[*SWEEP, 'hydra/launcher=slurm']!r}]\n"
        "from facemask_ensemble.train import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_refused(done, 'pip install "facemask-ensemble[slurm]"')
