"""`FastaiLRFinder`: tries growing learning rates, and tells which one the loss falls at most steeply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from fsm_engine._util.extras import import_extra
from fsm_engine.handlers.lr_finder.arguments import check_functions, check_numbers, check_to_save, ranges_of
from fsm_engine.handlers.lr_finder.keeping import kept
from fsm_engine.handlers.lr_finder.search import CURVES, Search
from fsm_engine.handlers.param_scheduler.param_groups import set_value
from fsm_engine.persistence.set_aside import set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsm_engine.engine.engine import Engine


def _unchanged(output: Any) -> Any:
    return output


class FastaiLRFinder:
    """Looks for a learning rate: it rises from iteration to iteration until the loss diverges.

    ::

        finder = FastaiLRFinder()
        with finder.attach(trainer, to_save={"model": model, "optimizer": optimizer}) as trial:
            trial.run(data)
        finder.plot()
        finder.apply_suggested_lr(optimizer)

    The learning rate to take is below the one with the least loss: where the loss falls most steeply. As in
    pytorch-ignite, a loss is noted beside the learning rate of the step that comes after it.
    """

    def __init__(self) -> None:
        self._rates: list[list[float]] = []
        self._losses: list[float] = []

    def attach(
        self,
        trainer: Engine,
        to_save: Mapping[str, Any],
        output_transform: Callable[[Any], Any] = _unchanged,
        num_iter: int | None = None,
        start_lr: float | list[float] | None = None,
        end_lr: float | list[float] = 10.0,
        step_mode: str = "exp",
        smooth_f: float = 0.05,
        diverge_th: float = 5.0,
    ) -> AbstractContextManager[Engine]:
        """Let the runs of `trainer` inside the ``with`` block be searches.

        After the block, also when it is left by an exception, everything is as before: what is in `to_save`, the
        gradients, the state of `trainer` and the place of its run, if that was suspended, and its handlers. Other
        handlers of the trainer are called as ever; what they count or write stays, unless it is in `to_save`. States
        wait in temporary files meanwhile.

        In each iteration the host reads the loss, so it waits for the device: without that, nobody would know that
        it diverges. Where several processes train together, they have to see the same loss, so that they stop
        together: average it in `output_transform`.

        Args:
            trainer: an engine whose step returns the loss.
            to_save: what the run changes, by name; the optimizer as ``"optimizer"``.
            output_transform: makes the loss of ``engine.state.output``: a float, or a tensor with one element.
            num_iter: in how many iterations the end is reached; as many as the run has unless given. A run that is
                shorter is made longer; a longer one ends one iteration later.
            start_lr: where to begin, one for all groups of the optimizer or a list; what they have unless given.
            end_lr: where to end, likewise.
            step_mode: ``"exp"`` multiplies, ``"linear"`` adds.
            smooth_f: how much of the smoothed loss is that of the last iteration, below 1; 0 does not smooth.
            diverge_th: the run ends when the smoothed loss is more than that many times the best, or no number.

        Returns:
            A context manager that gives `trainer`.

        Raises:
            TypeError, ValueError: for what a search cannot be made with.
            BusyError: on entering the block inside a run of `trainer`.
        """
        check_to_save(to_save)
        check_numbers(num_iter, smooth_f, diverge_th)
        check_functions(output_transform, step_mode)
        optimizer = to_save["optimizer"]
        ranges = ranges_of(optimizer.param_groups, start_lr, end_lr)
        search = Search(optimizer, ranges, CURVES[step_mode], num_iter, output_transform, smooth_f, diverge_th)
        return self._searching(trainer, to_save, search)

    @contextmanager
    def _searching(self, trainer: Engine, to_save: Mapping[str, Any], search: Search) -> Iterator[Engine]:
        with set_aside(trainer), kept(to_save.values(), to_save["optimizer"]), ExitStack() as handles:
            for event, handler in search.handlers():
                handles.enter_context(trainer.add_event_handler(event, handler))
            try:
                yield trainer
            finally:
                self._losses = list(search.losses)
                self._rates = search.rates[: len(self._losses)]

    def get_results(self) -> dict[str, list[Any]]:
        """Return the learning rates and the smoothed losses, iteration by iteration; of several groups lists."""
        if not self._losses:
            return {}
        return {"lr": [_alone(rates) for rates in self._rates], "loss": list(self._losses)}

    def lr_suggestion(self) -> Any:
        """Return the learning rate at which the loss falls most steeply before its minimum; of several groups a list.

        Raises:
            RuntimeError: without a run before, or if the loss did not fall.
        """
        return _alone(self._rates[self._steepest()])

    def _steepest(self) -> int:
        if not self._losses:
            raise RuntimeError("learning rate finder didn't run yet so lr_suggestion can't be returned")
        falling = self._losses[: self._losses.index(min(self._losses)) + 1]
        if len(falling) < 3:
            raise RuntimeError(
                "FastaiLRFinder got unexpected curve shape: the loss should fall, and then rise. "
                "Decrease start_lr, increase end_lr, or look at plot()."
            )
        slopes = [after - before for before, after in zip(falling, falling[2:])]
        return slopes.index(min(slopes)) + 1

    def apply_suggested_lr(self, optimizer: Any) -> None:
        """Give `optimizer` what `lr_suggestion` returns.

        Raises:
            RuntimeError: where there is no suggestion, or for another number of groups.
        """
        rates = self._rates[self._steepest()]
        if len(rates) != len(optimizer.param_groups):
            raise RuntimeError(
                f"The number of parameter groups does not match between given optimizer and the one used for "
                f"estimating the learning rate: {len(optimizer.param_groups)} vs {len(rates)}"
            )
        for group, rate in zip(optimizer.param_groups, rates):
            set_value(group, "lr", rate)

    def plot(
        self,
        skip_start: int = 10,
        skip_end: int = 5,
        log_lr: bool = True,
        display_suggestion: bool = True,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Plot the loss over the learning rate, one line per group.

        Args:
            skip_start: how many iterations to leave out at the beginning.
            skip_end: how many at the end.
            log_lr: whether the axis of the learning rate is logarithmic.
            display_suggestion: whether what `lr_suggestion` returns is marked, if there is any.
            ax: axes of matplotlib to plot into; new ones unless given.
            **kwargs: for a new figure, of ``plt.subplots``.

        Returns:
            The axes.

        Raises:
            RuntimeError: without a run before.
            ValueError: for something negative to leave out.
            ModuleNotFoundError: without matplotlib.
        """
        plt = import_extra("matplotlib.pyplot", "plot", "This method requires matplotlib to be installed")
        if not self._losses:
            raise RuntimeError("learning rate finder didn't run yet so results can't be plotted")
        for name, value in (("skip_start", skip_start), ("skip_end", skip_end)):
            if value < 0:
                raise ValueError(f"{name} cannot be negative, but given {value}")
        axes: Axes = plt.subplots(**kwargs)[1] if ax is None else ax
        shown = slice(skip_start, max(skip_start, len(self._losses) - skip_end))
        for number, rates in enumerate(zip(*self._rates)):
            axes.plot(rates[shown], self._losses[shown], label=f"group {number}")
        if display_suggestion:
            self._mark_suggestion(axes)
        if len(self._rates[0]) > 1:
            axes.legend()
        if log_lr:
            axes.set_xscale("log")
        axes.set_xlabel("Learning rate")
        axes.set_ylabel("Loss")
        return axes

    def _mark_suggestion(self, axes: Axes) -> None:
        try:
            place = self._steepest()
        except RuntimeError:  # a curve without a suggestion is worth a look all the more
            return
        rates = self._rates[place]
        axes.scatter(rates, [self._losses[place]] * len(rates), s=75, color="red", zorder=3)


def _alone(rates: list[float]) -> Any:
    """Return the learning rate of the only group; the list of them if there are several."""
    return rates[0] if len(rates) == 1 else list(rates)
