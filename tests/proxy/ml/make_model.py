"""`python -m tests.proxy.ml.make_model` (needs `pip install onnx`): write model.onnx, the smallest model of the format.

It gives each token the score that a table has for its id: a stand-in for a trained one with the same inputs and outputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.proxy.ml.fixtures import SCORES

HERE = Path(__file__).parent


def main() -> None:
    shape = ["batch", "length"]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["scores"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scores", "mask"], ["final_scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("final_scores", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(SCORES, dtype=np.float32), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / "model.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
