import ast
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from facemask_ensemble import cli

PROJECT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "cv2", "openvino", "ray", "gradio", "tf_keras_vis"}
IN_A_FUNCTION = "\n\ndef late() -> None:\n    import {0}\n"
FOR_TYPES = "\n\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import {0}\n"
CIRCLE = "facemask_ensemble.evaluation.verdict"
FORBIDDEN = (
    ("evaluation/metrics", "facemask_ensemble.report.page"),
    ("data/splits", "facemask_ensemble.train"),
    ("models/hardware", "facemask_ensemble.tracking.store"),
    ("evaluation/statistics", CIRCLE),
    ("report/page", "mlflow"),
    ("data/decoding", "cv2"),
    ("report/numbers", "tensorflow"),
    ("evaluation/card", "jinja2"),
)


@pytest.fixture
def copy(tmp_path):
    """The package's code and its contracts, to be spoiled."""
    shutil.copyfile(PROJECT / "pyproject.toml", tmp_path / "pyproject.toml")
    python_alone = shutil.ignore_patterns("__pycache__", "*.html", "*.j2", "*.css", "*.js", "conf")
    shutil.copytree(PROJECT / "facemask_ensemble", tmp_path / "facemask_ensemble", ignore=python_alone)
    return tmp_path


def lint_imports(folder):
    lint = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([lint, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_code_keeps_every_contract(copy):
    done = lint_imports(copy)
    assert (done.returncode, "0 broken" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("form", [IN_A_FUNCTION, FOR_TYPES])
def test_imports_that_break_contracts_are_named(form, copy):
    for module, imported in FORBIDDEN:
        with (copy / f"facemask_ensemble/{module}.py").open("a") as code:
            code.write(form.format(imported))
    done = lint_imports(copy)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert "0 kept, 6 broken" in said
    missing = [imported for _, imported in FORBIDDEN if f"-> {imported} (l." not in said]
    assert missing == [CIRCLE], said  # of a circle the rooms are named


def test_a_new_room_needs_a_place_among_the_floors(copy):
    (copy / "facemask_ensemble/cellar").mkdir()
    (copy / "facemask_ensemble/cellar/__init__.py").touch()
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "cellar" in done.stdout


def test_no_module_imports_one_that_imports_it_again():
    """Contracts compare what lies side by side; a package and a module inside it can make a circle, too."""
    graph = grimp.build_graph("facemask_ensemble", cache_dir=None)
    circles = [
        found
        for module in sorted(graph.modules)
        for imported in graph.find_modules_directly_imported_by(module)
        if (found := graph.find_shortest_chain(imported, module))
    ]
    assert circles == []


def imported_at_once(module):
    """Name what a module imports when it is imported itself: not in functions, and not for types alone."""
    file = PROJECT / f"{module.replace('.', '/')}.py"
    file = file if file.is_file() else PROJECT / module.replace(".", "/") / "__init__.py"
    found = set()
    left = list(ast.parse(file.read_text("utf-8")).body)
    while left:
        match left.pop():
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(source), names=names):
                found |= {source, *(f"{source}.{name.name}" for name in names)}
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
                left += other
            case ast.If() | ast.Try() | ast.With() | ast.ClassDef() as block:
                left += [*block.body, *getattr(block, "orelse", [])]
    return found


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_command_reaches_what_is_heavy_by_imports_in_functions_alone(command):
    known = grimp.build_graph("facemask_ensemble", cache_dir=None).modules
    reached, left = {}, [(f"facemask_ensemble.{command}", "")]
    while left:
        module, by = left.pop()
        if module in reached:
            continue
        reached[module] = by
        if module in known:
            above = module.rpartition(".")[0]
            left += [(name, module) for name in {*imported_at_once(module), above} - {""}]
    heavy = {name: by for name, by in reached.items() if name.partition(".")[0] in HEAVY}
    assert heavy == {}


def test_a_room_without_networks_is_imported_without_tensorflow():
    """What the floors of settings, scenes, plots, faces, auditing, voting and tracking offer costs no TensorFlow."""
    rooms = (
        "error_lines",
        "config",
        "files",
        "versions",
        "weights",
        "scenes",
        "plots.style",
        "data.manifest",
    )
    rooms += ("faces.drawing", "auditing.report", "ensemble.voting", "ensemble.members", "packaging.package")
    script = "import sys\n" + "".join(f"import facemask_ensemble.{room}\n" for room in rooms)
    script += "sys.exit(' '.join({'tensorflow', 'keras', 'cv2'} & {*sys.modules}) or None)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
