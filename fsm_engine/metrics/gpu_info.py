"""`GpuInfo`: memory and utilization of the GPUs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine._util.extras import import_extra
from fsm_engine.events.events import CallableEventWithFilter, Events
from fsm_engine.metrics.metric import Metric
from fsm_engine.metrics.rank_states import Reductions

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class GpuInfo(Metric):
    """Used memory and utilization of each GPU in percent, as ``"gpu:0 mem(%)"`` and ``"gpu:0 util(%)"``.

    With several ranks, each has the values of the GPUs that it sees.

    Raises:
        RuntimeError: there is no GPU of CUDA.
        ModuleNotFoundError: nvidia-ml-py, through which torch asks the driver, is not installed.
    """

    state_reductions: ClassVar[Reductions | None] = {}

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError("GpuInfo needs a GPU of CUDA, but torch.cuda.is_available() is False.")
        import_extra("pynvml", "gpu", "GpuInfo needs nvidia-ml-py")
        super().__init__()

    def reset(self) -> None:
        """Do nothing: there is no data to discard."""

    def update(self, output: Any) -> None:
        """Do nothing: the values are read when they are computed."""

    def compute(self) -> list[dict[str, int]]:
        """Return the used memory and the utilization of each GPU in percent."""
        devices = []
        for device in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(device)
            devices.append({"mem": 100 * (total - free) // total, "util": int(torch.cuda.utilization(device))})
        return devices

    def completed(self, engine: Engine, name: str) -> None:
        """Store the values in ``engine.state.metrics``."""
        devices = self.compute()
        if not devices:
            warnings.warn("No GPU information available", stacklevel=2)
        for number, values in enumerate(devices):
            for key, value in values.items():
                engine.state.metrics[f"{name}:{number} {key}(%)"] = value

    def attach(  # type: ignore[override]  # takes the event that computes the metric, not a usage
        self, engine: Engine, name: str = "gpu", event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> None:
        """Read and store the values at each occurrence of an event."""
        engine.add_event_handler(event_name, self.completed, name)
