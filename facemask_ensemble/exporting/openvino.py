"""OpenVINO: an .xml with its .bin."""

from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run


def write(saved: Path, place: Path, options: Options) -> Path:
    """Convert with OpenVINO; float16 applies only to the stored weights, which need half the space."""
    from facemask_ensemble.prediction.runtimes.telemetry import stop_telemetry

    stop_telemetry()
    import openvino

    path = place.with_name(f"{place.name}.xml")
    openvino.save_model(openvino.convert_model(saved), path, compress_to_fp16=options.precision == "float16")
    return path


def read(path: Path) -> Run:
    """Open it with OpenVINO in float32; its default is bfloat16 if the processor has it."""
    import openvino

    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Inputs) -> dict:
        return {output.get_any_name(): value for output, value in compiled(dict(inputs)).items()}

    return run
