"""A sampler as an ONNX file: network, plan, loop and noise in one graph."""
