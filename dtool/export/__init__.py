"""A trained network as one ONNX file, and the report that shows it computes what PyTorch computes.

The package itself can be called: `dtool.export("model.pt")` is `dtool.export.export("model.pt")`. PyTorch and onnx are
imported when something is exported, not before.
"""

from dtool.export.api import export
from dtool.export.built_in import BuiltIn
from dtool.export.report import ExportReport, ParityCheck
from dtool.util.callable_package import make_callable

__all__ = ["BuiltIn", "ExportReport", "ParityCheck", "export"]

make_callable(__name__, export)
