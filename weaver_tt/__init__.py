"""weaver_tt: train set and graph networks on collision events, from ROOT files to ONNX."""

from weaver_tt.weaver_compat import old_paths

__version__ = "0.1.0"

old_paths.install()
