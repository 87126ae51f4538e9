import subprocess
import sys

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.backend import backend, environment


@pytest.mark.parametrize(("variable", "expected"), [(None, "tensorflow"), ("", "tensorflow"), ("jax", "jax")])
def test_the_backend_is_that_of_the_environment(variable, expected, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if variable is not None:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    assert backend() == expected


def test_a_backend_that_nothing_here_works_with_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(InputError, match="KERAS_BACKEND=torch: must be one of tensorflow, jax"):
        backend()


def test_a_backend_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="KERAS_BACKEND=jax: jax is not installed; pip install jax"):
        backend()


def test_xla_is_told_of_determinism_beside_the_flags_it_has(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=here")
    assert environment(deterministic=False) == {"KERAS_BACKEND": "tensorflow"}
    flags = environment(deterministic=True)["XLA_FLAGS"]
    assert flags == "--xla_dump_to=here --xla_gpu_deterministic_ops=true"
    monkeypatch.setenv("XLA_FLAGS", flags)
    assert "XLA_FLAGS" not in environment(deterministic=True)


@pytest.mark.heavy
def test_answers_are_tensorflows_whatever_backend_is_asked_for(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    program = """
from facemask_ensemble.tensorflow_import import start_tensorflow
start_tensorflow()
import keras
print(keras.backend.backend())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tensorflow"]


@pytest.mark.heavy
def test_keras_that_runs_on_another_backend_already_is_refused(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    program = "import keras; from facemask_ensemble.tensorflow_import import start_tensorflow; start_tensorflow()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "InputError: KERAS_BACKEND=jax: Keras already runs on it in this process" in done.stderr
