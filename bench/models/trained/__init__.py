"""Nets with the weights of stored runs, which take raw pixels: in torch, and as ONNX."""
