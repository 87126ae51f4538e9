import pytest

from facemask_ensemble.models import hardware
from facemask_ensemble.models.hardware import this_machine

CPUINFO = """processor : 0
model name	: A Processor 9000
flags		: fpu avx2 avx512f avx512_bf16 amx_bf16_else
"""


@pytest.fixture
def tensorflow_gpus(monkeypatch):
    """Let TensorFlow report GPUs of these compute capabilities; None for one that reports none."""
    import tensorflow as tf

    def report(*capabilities):
        details = [
            {"device_name": "card"} | ({} if found is None else {"compute_capability": found}) for found in capabilities
        ]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(details))))
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu])

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return report


@pytest.mark.parametrize(
    ("capabilities", "lowest"),
    [([], (0, 0)), ([(8, 0)], (8, 0)), ([(9, 0), (6, 1)], (6, 1)), ([None], (0, 0)), ([(9, 0), None], (0, 0))],
)
def test_the_weakest_gpu_counts(capabilities, lowest, tensorflow_gpus):
    tensorflow_gpus(*capabilities)
    here = this_machine()
    assert (here.gpus, here.capability) == (("card",) * len(capabilities), lowest)


def test_the_processor_is_read_where_linux_tells_of_it(tmp_path, monkeypatch, tensorflow_gpus):
    tensorflow_gpus()
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    assert this_machine().bfloat16 == ()
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    here = this_machine()
    assert (here.processor, here.bfloat16) == ("A Processor 9000", ("avx512_bf16",))
    assert here.versions[0].startswith("keras 3.")


@pytest.mark.heavy
def test_jax_is_asked_in_a_process_of_its_own(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    here = this_machine()
    assert (here.backend, here.gpus) == ("jax", ())
    assert here.versions[1].startswith("jax ")
