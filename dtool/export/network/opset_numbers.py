"""The operator sets of ONNX that exports have, and that a network must have at least to be put into a sampler."""

OPSET = 20  # from 21 on GroupNorm becomes a function without a kernel of its own in ONNX Runtime
OLDEST_OPSET = 18
