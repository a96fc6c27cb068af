"""A trained network as one ONNX file, and the report that shows it computes what PyTorch computes.

The package itself can be called: `dtool.export("model.pt")` is `dtool.export.export("model.pt")`. PyTorch and onnx are
imported when something is exported, not before.
"""

from dtool._callable import make_callable
from dtool.export.api import export
from dtool.export.report import Comparison, ExportReport

__all__ = ["Comparison", "ExportReport", "export"]

make_callable(__name__, export)
