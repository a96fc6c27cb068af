import numpy as np
from onnx import helper, numpy_helper

from dtool.onnx.rewrite.graph import Graph
from tests.support.rewritten_graphs import GraphWriter


def make_graph() -> tuple[Graph, str, str]:
    net = GraphWriter()
    first = net.conv("x", 8)
    second = net.silu(first)
    return Graph(net.model(second)), first, second


def test_it_knows_makers_users_shapes_and_numbers():
    graph, first, second = make_graph()
    assert graph.get_shape(first) == ("batch", 8, 6, 6)
    assert graph.get_maker(first, "Conv") is not None
    assert graph.get_maker(first, "Relu") is None
    assert not graph.has_one_user(first)  # the product, and the sigmoid
    assert not graph.has_one_user(second)  # it is a result
    assert graph.get_array("w0").shape == (8, 8, 3, 3)
    assert graph.get_array("x") is None


def test_what_a_graph_inside_a_node_reads_is_used():
    net = GraphWriter()
    first = net.conv("x", 8)
    inner = helper.make_graph(
        [helper.make_node("Identity", [first], ["inner"])], "then", [], [helper.make_empty_tensor_value_info("inner")]
    )
    net.nodes.append(helper.make_node("If", [net.weight(np.array(1))], ["out"], then_branch=inner, else_branch=inner))
    net.nodes[-1].input[0] = "yes"
    net.weights.append(numpy_helper.from_array(np.array(True), "yes"))
    graph = Graph(net.model("out"))
    assert len(graph.users[first]) == 2
    graph.finish()
    assert [node.op_type for node in graph.proto.node] == ["Conv", "If"]


def test_a_replaced_node_takes_what_it_alone_used_with_it():
    graph, first, second = make_graph()
    product = graph.get_maker(second, "Mul")
    graph.replace(product, [graph.make_node("Relu", [first], second)])
    assert graph.get_maker(second, "Mul") is None  # nobody else may replace it, too
    graph.finish()
    assert [node.op_type for node in graph.proto.node] == ["Conv", "Relu"]


def test_weights_that_nothing_uses_are_dropped_and_names_are_new():
    graph, _, second = make_graph()
    product = graph.get_maker(second, "Mul")
    name = graph.add_constant(np.ones(1, np.float32), "w0")
    assert name == "w0_1"
    graph.replace(product, [graph.make_node("Mul", ["x", name], second)])
    graph.finish()
    assert [tensor.name for tensor in graph.proto.initializer] == ["w0_1"]


def test_an_initializer_that_an_input_may_replace_is_no_constant():
    net = GraphWriter()
    model = net.model(net.conv("x", 8))
    model.graph.input.append(helper.make_tensor_value_info("w0", 1, [8, 8, 3, 3]))
    assert Graph(model).get_array("w0") is None
