"""What all benches of several parts have in common: bad settings and help."""

import subprocess
import sys
from importlib import import_module

import pytest

from facemask_ensemble.command import explain


@pytest.mark.parametrize(
    ("room", "given", "said"),
    [
        ("training", "parts=[nothing]", "parts=nothing: there is no such one; choose among bare, reference"),
        ("training", "images=2", "images=2: must be a whole number of at least 3"),
        ("training", "epochs=1", "epochs=1: must be a whole number of at least 2"),
        ("training", "peaks=[67]", r"peaks=\[67.0\]: must be two numbers"),
        ("training", "rounds=many", "many"),
        ("training", "image=5", "image"),
        ("ensemble", "parts=[nothing]", "parts=nothing: there is no such one; choose among speed, cold, many, service"),
        (
            "ensemble",
            "precisions=[int4]",
            "precisions=int4: there is no such one; choose among float32, bfl",
        ),
        ("ensemble", "precisions=[quickest]", "precisions=quickest: is for trained members; give output_dir=outputs"),
        ("ensemble", "count=0", "count=0: must be a whole number of at least 1"),
        ("ensemble", "study=quickstart", "study and output_dir: trained members need both"),
        ("ensemble", "images=nowhere", "images=nowhere: no such folder, list or archive"),
        ("ensemble", "many=lots", "lots"),
        ("heatmap", "parts=[nothing]", "parts=nothing: there is no such one; choose among speed, memory"),
        (
            "heatmap",
            "methods=[edges]",
            "methods=edges: there is no such one; choose among gradcam, grad",
        ),
        ("heatmap", "backbones=[vgg61]", "backbones=vgg61: there is no such one; choose among basic_cnn"),
        (
            "heatmap",
            "precision=mixed_bfloat16",
            "precision=mixed_bfloat16: there is no such one; choose",
        ),
        ("heatmap", "rounds=0", "rounds=0: must be a whole number of at least 1"),
        ("heatmap", "many=16", "many=16: must be a whole number of at least 17"),
        ("heatmap", "images=lots", "lots"),
        ("heatmap", "image=5", "image"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(room, given, said, capsys):
    bench = import_module(f"facemask_ensemble.{room}.bench")
    with pytest.raises(Exception, match=said) as refused:
        bench.read_settings([given])
    assert explain(refused.value)
    with pytest.raises(SystemExit) as ended:
        bench.main([given])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("room", ["training", "ensemble", "heatmap"])
def test_help_lists_the_parts_without_importing_tensorflow(room):
    code = f"import sys; from facemask_ensemble.{room}.bench import main; main(['--help']); "
    code += "sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = import_module(f"facemask_ensemble.{room}.bench_parts").PARTS
    assert all(f"\n  {part} " in done.stdout for part in parts)
