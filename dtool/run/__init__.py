"""Running a plan: numpy, PyTorch, ONNX Runtime; the loop and the noise that they share; dtool.sample and dtool.load."""
