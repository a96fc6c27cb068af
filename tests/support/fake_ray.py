"""Ray's functions that dtool calls, in this process: tasks are run when they are asked for, and may be lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class WorkerCrashedError(RayError):
    pass


@dataclass
class FakeRay:
    """`given`: the options of tasks; `outstanding`: tasks that were begun and neither ended nor cancelled."""

    cores: int = 2
    is_there: bool = True
    loses: int | None = None  # the task that is lost
    last_first: bool = False  # whether the last task is ready first
    given: dict[str, Any] = field(default_factory=dict)
    outstanding: set[int] = field(default_factory=set)
    most: int = 0
    connected: bool = False
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=RayError))
    _tasks: list[Callable[[], Any]] = field(default_factory=list)

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, address: str, **_: Any) -> None:
        if not self.is_there:
            raise ConnectionError("Could not find any running Ray instance.\nPlease specify the one to connect to.")
        self.connected = True

    def shutdown(self) -> None:
        self.connected = False
        self.outstanding.clear()  # they end with the connection

    def put(self, value: Any) -> Any:
        return value

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cores)}

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        self.given = options
        return lambda function: SimpleNamespace(remote=lambda *words: self._begin(lambda: function(*words)))

    def _begin(self, task: Callable[[], Any]) -> int:
        self._tasks.append(task)
        self.outstanding.add(len(self._tasks) - 1)
        self.most = max(self.most, len(self.outstanding))
        return len(self._tasks) - 1

    def wait(self, references: list[int], num_returns: int) -> tuple[list[int], list[int]]:
        ordered = references[::-1] if self.last_first else references
        return ordered[:num_returns], ordered[num_returns:]

    def get(self, reference: int) -> Any:
        if reference == self.loses:
            raise WorkerCrashedError("The worker died unexpectedly.")
        self.outstanding.discard(reference)
        return self._tasks[reference]()

    def cancel(self, reference: int, force: bool) -> None:
        self.outstanding.discard(reference)
