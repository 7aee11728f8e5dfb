"""The examples about phases, recovery and recording print correct results."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fsm_engine import Events
from fsm_engine.timeline import Timeline

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLES)
    threads = torch.get_num_threads()

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    torch.set_num_threads(threads)


def test_a_gan_trains_its_networks_in_turn(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy, variety = load("gan").main(["--epochs", "4"])
    out = capsys.readouterr().out
    losses = re.findall(r"^Epoch (\d), ([DG])_STEP: loss \d\.\d{3}$", out, re.MULTILINE)
    assert losses == [(epoch, network) for epoch in "1234" for network in "DG"]
    first, second = out.splitlines()[-2:]
    assert re.fullmatch(rf"Read correctly: {accuracy:.1%} of 1,000 drawings, 9\d\.\d% of held-out digits", first)
    assert second == f"Drawings of the same digit vary {variety:.2f} times as much as real digits"
    assert (0 <= accuracy <= 1, variety > 0) == (True, True)


def test_the_optimizer_steps_in_every_fourth_iteration(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("gradient_accumulation").main()
    out = capsys.readouterr().out
    assert "  BACKWARD_COMPLETED --optim_step_started--> OPTIM_STEP_STARTED\n" in out
    # 90 batches in each of 3 epochs: 270 iterations, and the optimizer steps in every fourth.
    assert "Iterations without an optimizer step: 203, with an optimizer step: 67\n" in out
    assert out.endswith("The weights of the plain loop are equal, bit by bit\n")


def test_phases_in_the_step_train_as_plain_loops_do(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("training_step").main()
    out = capsys.readouterr().out
    assert re.findall(r"^([A-Za-z ]+):$", out, re.MULTILINE) == ["clipping", "SAM", "skipped steps"]
    # The corrupt image is in batch 22 of 45.
    assert re.findall(r"Iteration (\d+): the gradients are not finite", out) == ["22", "67"]
    assert out.count("the weights equal the plain loop's\n") == 3


def test_the_policy_is_trained_until_the_game_is_solved(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = load("reinforcement_learning").main()
    out = capsys.readouterr().out
    assert re.search(rf"^Solved after {rounds} rounds: (9[5-9]|100)% caught$", out, re.MULTILINE), out
    printed = [int(number) for number in re.findall(r"^Round (\d+): \d+% caught$", out, re.MULTILINE)]
    assert printed == list(range(20, rounds + 1, 20))
    caught = re.fullmatch(r"In 10,000 new games: (\d+\.\d)% caught", out.splitlines()[-1])
    assert caught is not None, out
    assert float(caught[1]) > 90


def test_validation_ends_the_run_by_an_edge(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("train_validate").main() >= 0.95
    out = capsys.readouterr().out
    last, best = re.findall(r"[Ee]poch (\d+):", out)
    assert int(last) == int(best) + 3
    assert out.splitlines()[:-1] == [
        "Exits of VALIDATE:",
        "  VALIDATE --nothing_left--> COMPLETED",
        "  VALIDATE --no_improvement--> COMPLETED",
        "  VALIDATE --next_epoch--> EPOCH_STARTED",
        f"Epoch {last}: the run ended by the edge VALIDATE --no_improvement--> COMPLETED",
    ]


def test_a_run_recovers_from_bad_batches_and_little_memory(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("recover_from_oom").main() >= 0.93
    out = capsys.readouterr().out
    assert "96 samples do not fit; retrying with 48\n" in out
    assert "48 samples do not fit; retrying with 24\n" in out
    assert "\niteration.smaller: 2 times\ncompleted after 300 iterations;" in out


def test_an_interrupted_run_resumes_to_the_same_weights(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("notebook_interrupt").main()
    assert re.findall(r"^Events\.\w+: .*$", capsys.readouterr().out, re.MULTILINE) == [
        "Events.INTERRUPT: epoch 2, iteration 70",
        "Events.RESUMED: epoch 2, iteration 70",
    ]


def test_a_recorded_run_is_summarized_verified_drawn_and_saved(
    load: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    accuracy = load("timeline").main(tmp_path / "out")
    out = capsys.readouterr().out
    assert re.match(r"training: \d.*; data .* \(\d+%\), step .* \(\d+%\), handlers .* \(\d+%\), other ", out)
    # 45 batches in each of 5 epochs, and an evaluator after each.
    assert re.search(r"^Events\.GET_BATCH_STARTED +225 ", out, re.MULTILINE)
    assert re.search(r"^main\.<locals>\.evaluate on Events\.EPOCH_COMPLETED +5 ", out, re.MULTILINE)
    from fsm_engine.supervised import create_supervised_trainer

    recorded = Timeline.load(tmp_path / "out" / "run.fsmt")
    model = torch.nn.Linear(1, 1)
    trainer = create_supervised_trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss())
    coverage = recorded.coverage(trainer.lifecycle)
    missed = Events.RESUMED, Events.TERMINATE_SINGLE_EPOCH, Events.TERMINATE, Events.INTERRUPT, Events.EXCEPTION_RAISED
    assert coverage.missed == missed
    last = out.splitlines()[-7:]
    assert re.fullmatch(r"The evaluator took \d+% of that\.", last[0])
    assert last[1:6] == [
        "First move that the lifecycle does not allow: none",
        *str(coverage).splitlines()[:2],
        "First difference from the saved recording: none",
        f"Written to {tmp_path / 'out'}: lifecycle.svg, run.fsmt, timeline.svg, trace.json.gz",
    ]
    assert last[6] == f"Held-out accuracy: {accuracy:.3f}"
    assert accuracy > 0.9
    assert len(recorded.tracks) == 2
    assert len(list(recorded.counters["loss"])) == 22
    trace = json.loads(gzip.decompress((tmp_path / "out" / "trace.json.gz").read_bytes()))
    assert [e["args"]["value"] for e in trace["traceEvents"] if e["ph"] == "C"] == [
        value for _, value in recorded.counters["loss"]
    ]


def test_a_job_resumes_with_the_same_command(load: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    resume = load("resume")
    whole = resume.main([str(tmp_path / "whole"), "--epochs", "2"])
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in out] == ["Starting", "Epoch 1", "Epoch 2", "Weights"]
    # 45 batches per epoch, so both files were written in the second epoch.
    (tmp_path / "whole" / "checkpoint_80.pt").unlink()
    assert resume.main([str(tmp_path / "whole"), "--epochs", "2"]) == whole
    assert capsys.readouterr().out.splitlines() == ["Resuming from checkpoint_60.pt", *out[2:]]
    assert resume.main([str(tmp_path / "whole"), "--epochs", "2"]) == whole
    assert capsys.readouterr().out.splitlines() == ["Resuming from checkpoint_80.pt", *out[2:]]
