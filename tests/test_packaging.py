import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def locked():
    """The lines of the lock: one exact version each, for some platforms or for all."""
    return [Requirement(line) for line in (CHECKOUT / "requirements.lock").read_text().splitlines()]


def test_every_line_of_the_lock_pins_one_version_and_none_names_an_index():
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    assert len(lines) > 50
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[0-9][0-9a-z.+]*( ; [^#@]+)?", line)] == []
    assert not any("://" in line for line in lines)


def test_the_lock_pins_all_that_is_asked_for_in_a_version_that_is_allowed(project, locked):
    pins = {}
    for pin in locked:
        pins.setdefault(canonicalize_name(pin.name), []).append(next(iter(pin.specifier)).version)
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    for requirement in map(Requirement, wanted):
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not pinned"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_no_package_is_pinned_twice_for_one_python(python, locked):
    """Nor missing for one: what splits by version has a line for each."""
    here = {"python_version": python, "python_full_version": f"{python}.1"}
    names = [pin.name for pin in locked if pin.marker is None or pin.marker.evaluate(here)]
    assert len(names) == len(set(names))
    always = {pin.name for pin in locked if pin.marker is not None and "python_full_version" in str(pin.marker)}
    split = {name for name in always if sum(pin.name == name for pin in locked) > 1}
    assert split <= set(names)


@pytest.mark.heavy
def test_the_wheel_holds_the_package_and_its_configs_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"facemask_ensemble"}
    configs = {name.removeprefix("facemask_ensemble/") for name in names if name.endswith(".yaml")}
    assert configs == {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "conf").rglob("*.yaml")}


@pytest.mark.heavy
def test_the_installed_wheel_teaches_with_its_own_configs(installed):
    place, run = installed
    where = run(
        "python", "-c", "import facemask_ensemble.config as c, sys; print(c.__file__, c.CONF_DIR, *sys.path, sep='\\n')"
    )
    module, configs, *paths = where.stdout.splitlines()
    assert Path(module).is_relative_to(place)
    assert Path(configs) == Path(module).parent / "conf"
    assert str(CHECKOUT) not in paths
    taught = run("facemask-ensemble", "train", "--help")
    assert taught.returncode == 0, taught.stderr
    assert "backbone.weights=null" in taught.stdout
    assert "deep_cnn" in taught.stdout


@pytest.mark.heavy
def test_the_installed_wheel_trains_a_member_outside_the_checkout(installed):
    place, run = installed
    small = (
        "backbone=deep_cnn",
        "precision=float32",
        "dataset.count=60",
        "dataset.size=48",
        "image_size=32",
        "schedule.epochs=1",
    )
    done = run("facemask-ensemble", "train", *small)
    assert done.returncode == 0, done.stderr
    assert "logged as MLflow run" in done.stdout
    (folder,) = (place / "outputs" / "runs").glob("*/*")
    kept = {path.name for path in (folder / "files").iterdir()}
    assert {"config.yaml", "manifest", "history.csv", "probabilities.parquet", "learning_curves.png"} <= kept
    (model,) = (place / "outputs" / "mlruns").rglob("model.keras")
    assert model.stat().st_size > 0
