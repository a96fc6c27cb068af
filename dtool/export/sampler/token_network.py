"""A network and its text encoder, called together with token numbers: what a sampler's file is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.models.conditions import as_conditions
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.session import open_session, run_session
from dtool.run.numpy_backend import HostNetwork

ON_CPU = Runtime(device="cpu")


class TokenNetwork(HostNetwork):
    """`network` on ONNX Runtime, told what the encoder `text` makes of the token numbers in its conditions."""

    backend: ClassVar[str] = "onnxruntime"
    is_builtin = takes_null_label = True

    def __init__(self, network: Network, text: onnx.ModelProto, spec: NetworkSpec) -> None:
        """spec: that of both together."""
        super().__init__(spec)
        self.network, self.micro_batch = network, network.micro_batch
        self.ids = [value.name for value in text.graph.input]
        self.made = [value.name for value in text.graph.output]
        self.session = open_session(text.SerializeToString(), "the text encoder", ON_CPU)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> NDArray[Any]:
        """The network's own answer."""
        told = dict(as_conditions(conditions))
        feed = {name: np.asarray(told.pop(name)) for name in self.ids}
        told |= zip(self.made, run_session(self.session, self.made, feed), strict=True)
        answer: NDArray[Any] = self.network.predict(x, t, told)
        return answer
