"""What all benches of several parts have in common: bad settings and help."""

import subprocess
import sys
from importlib import import_module

import pytest

from facemask_ensemble.error_lines import explain


@pytest.mark.parametrize(
    ("room", "given", "said"),
    [
        ("training", "parts=[nothing]", "parts=nothing: not known; choose from bare, reference"),
        ("training", "images=2", "images=2: must be a whole number of at least 3"),
        ("training", "epochs=1", "epochs=1: must be a whole number of at least 2"),
        ("training", "peaks=[67]", r"peaks=\[67.0\]: must be two numbers"),
        ("training", "rounds=many", "many"),
        ("training", "image=5", "image"),
        (
            "prediction",
            "parts=[nothing]",
            "parts=nothing: not known; choose from speed, cold, many, service",
        ),
        (
            "prediction",
            "precisions=[int4]",
            "precisions=int4: not known; choose from float32, bfl",
        ),
        (
            "prediction",
            "precisions=[quickest]",
            "precisions=quickest: works with trained members only; give output_dir=outputs",
        ),
        ("prediction", "count=0", "count=0: must be a whole number of at least 1"),
        ("prediction", "study=quickstart", "study and output_dir: trained members need both"),
        ("prediction", "images=nowhere", "images=nowhere: no such folder, list or archive"),
        ("prediction", "many=lots", "lots"),
        ("explanation", "parts=[nothing]", "parts=nothing: not known; choose from speed, memory"),
        (
            "explanation",
            "methods=[edges]",
            "methods=edges: not known; choose from gradcam, grad",
        ),
        ("explanation", "backbones=[vgg61]", "backbones=vgg61: not known; choose from basic_cnn"),
        (
            "explanation",
            "precision=mixed_bfloat16",
            "precision=mixed_bfloat16: not known; choose",
        ),
        ("explanation", "rounds=0", "rounds=0: must be a whole number of at least 1"),
        ("explanation", "many=16", "many=16: must be a whole number of at least 17"),
        ("explanation", "images=lots", "lots"),
        ("explanation", "image=5", "image"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(room, given, said, capsys):
    bench = import_module(f"benchmarks.{room}")
    with pytest.raises(Exception, match=said) as refused:
        bench.read_settings([given])
    assert explain(refused.value)
    with pytest.raises(SystemExit) as ended:
        bench.main([given])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.heavy
@pytest.mark.parametrize("room", ["training", "prediction", "explanation"])
def test_help_lists_the_parts_without_importing_tensorflow(room):
    code = f"import sys; from benchmarks.{room} import main; main(['--help']); "
    code += "sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = import_module(f"benchmarks.{room}_parts").PARTS
    assert all(f"\n  {part} " in done.stdout for part in parts)
