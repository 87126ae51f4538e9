"""The seven networks in PyTorch with timm, bfloat16, random weights: run by any Python that has both.

`PYTHON prediction_torch.py SIZE BATCH IMAGES` prints a line of JSON: seconds an image, all networks together. It
imports nothing of this package.
"""

import json
import sys
import time

NETWORKS = (
    "inception_resnet_v2", "densenet201", "tf_efficientnetv2_s", "tf_efficientnet_b3", "inception_v3",
    "legacy_xception", "resnetv2_50",
)  # fmt: skip
PASSES = 2  # the quickest counts


def main(size: int, batch: int, images: int) -> None:
    """Time them one after another."""
    import timm
    import torch

    seconds = 0.0
    batches = max(1, images // batch)
    pixels = torch.rand(batch, 3, size, size).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    for name in NETWORKS:
        model = timm.create_model(name, num_classes=3).eval().to(torch.bfloat16)
        model = model.to(memory_format=torch.channels_last)
        durations = []
        with torch.inference_mode():
            model(pixels)
            for _ in range(PASSES):
                started = time.perf_counter()
                for _ in range(batches):
                    model(pixels)
                durations.append(time.perf_counter() - started)
        seconds += min(durations) / (batches * batch)
    print(json.dumps({"seconds": seconds, "versions": f"torch {torch.__version__}, timm {timm.__version__}"}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
