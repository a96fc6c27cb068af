"""ONNX files as guests: reading and refusing them, limits, sessions of ONNX Runtime. Needs no onnx package."""
