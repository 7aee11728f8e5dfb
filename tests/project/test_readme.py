"""The README's code runs as it stands, from top to bottom, and the documents show what the code has today."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics")
    pytest.importorskip("perfetto")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "readme"}
    printed = []
    for code in blocks(README, "python"):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "README.md", "exec"), scope)
        printed.append(out.getvalue())
    first, supervised, custom, drawn, seen, inside, data, *others = printed
    recorded, counted, profiled, inspected, stopped, until, survived, handled, adapted, *phases = others
    path, step_events, edges, recovered, own = phases
    assert first == blocks(README, "text")[0]
    accuracies = re.findall(r"^epoch (\d+) - (train|validation) accuracy: (\d\.\d\d)$", supervised, re.MULTILINE)
    assert [(epoch, title) for epoch, title, _ in accuracies] == [
        *[("5", "train"), ("5", "validation"), ("10", "train"), ("10", "validation")]
    ]
    assert float(accuracies[-1][-1]) > 0.8
    assert re.findall(r"^Iter\[(\d+)\] gradient norm", custom, re.MULTILINE) == ["5", "10"]
    assert re.findall(r"^Iter\[(\d+)\] gradient norm", path, re.MULTILINE) == []
    assert len(re.findall(r"^loss \d\.\d{3}$", step_events, re.MULTILINE)) == 1
    assert edges.splitlines()[-2:] == [
        "iteration 4: OPTIM_STEP_STARTED --optim_step_completed--> OPTIM_STEP_COMPLETED",
        "epoch 1 is left for Events.EPOCH_COMPLETED",
    ]
    assert drawn == ""
    assert (survived, handled, adapted) == ("False\n", "", "")
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pt")) == [
        "checkpoint_10.pt",
        "checkpoint_15.pt",
    ]
    assert (tmp_path / "training.csv").read_text().startswith("step,name,value,time\n2,training/loss,")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("checkpoints", "discovered.svg", "heat.svg", "run.fsmt", "timeline.html", "timeline.svg"),
        *("trace.json.gz", "trace.pftrace"),
        *("trainer.html", "trainer.mmd", "trainer.svg", "training.csv"),
    ]
    assert "\nBACKWARD_STARTED     -> BACKWARD_COMPLETED    6\n" in seen
    assert "look_at_gradients (every=5)" in inside
    assert data.splitlines()[1:] == ["True", "False"]
    assert "['Events.COMPLETED', 'Events.EPOCH_STARTED', 'Events.EXCEPTION_RAISED', 'Events.INTERRUPT'" in data
    assert "; data " in recorded
    assert recorded.splitlines()[-2:] == ["None", "None"]
    assert "look_at_gradients" in profiled
    assert [line for line in inspected.splitlines() if not line.startswith("Iter[")] == []
    assert [line for line in counted.splitlines() if not line.startswith("Iter[")] == []
    endings = [line for line in stopped.splitlines() if not line.startswith("Iter[")]
    assert endings == ["interrupted 38", "completed 42"]
    assert [line for line in until.splitlines() if not line.startswith("Iter[")] == ["interrupted INTERRUPT 9"]
    assert recovered.splitlines() == ["15 {'ITERATION_STARTED.skip_batch': 1, 'iteration.smaller': 1}"]
    assert own.splitlines() == ["[]", "{'rounds': 2, 'phase': 'Rl.LEARN'}", "31"]
