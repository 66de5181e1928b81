"""weaver_tt: train set and graph networks on collision events, from ROOT files to ONNX."""

__version__ = "0.1.0"
