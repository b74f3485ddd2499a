"""Import this before torchvision: one that was built for CUDA has no operators beside a torch for CPUs.

Nothing here uses them, but two must have a name before it can be imported.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

try:
    for compiled in Path(find_spec("torchvision").origin).parent.glob("_C*"):
        torch.ops.load_library(str(compiled))
except OSError:
    OPERATORS = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
