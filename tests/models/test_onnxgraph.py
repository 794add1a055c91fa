"""Graphs built node by node."""

import numpy as np
from onnx import TensorProto
from onnxmodels import run_graph

from sertk.models.onnxgraph import Graph


def test_nodes_are_computed_in_turn():
    graph = Graph()
    twice = graph.add("Mul", "x", np.float32(2))
    total = graph.add("Add", twice, np.array([1, 10], np.float32), name="y")
    assert total == "y"
    np.testing.assert_array_equal(run_graph(graph, "y", [2], x=np.array([3, 4], np.float32)), [7, 18])


def test_equal_constants_are_stored_once_and_scalars_stay_so():
    graph = Graph()
    one = graph.constant(1)
    assert graph.constant(np.int64(1)) == one and graph.constant([1]) != one and graph.constant(np.float32(1)) != one
    assert [list(constant.dims) for constant in graph.constants] == [[], [1], []]


def test_below_is_true_inside_each_recording():
    graph = Graph()
    lengths = graph.add("Cast", "x", to=TensorProto.INT64)
    inside = graph.below(lengths, graph.add("ReduceMax", lengths, keepdims=1))
    found = run_graph(graph, graph.floats(inside), [3, 3], x=np.array([2, 0, 3], np.float32))
    np.testing.assert_array_equal(found, [[1, 1, 0], [0, 0, 0], [1, 1, 1]])
