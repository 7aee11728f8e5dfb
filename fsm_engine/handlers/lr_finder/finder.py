"""`FastaiLRFinder`: finds a learning rate in a trial run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from fsm_engine._util.extras import import_extra
from fsm_engine._util.identity import identity
from fsm_engine.handlers.lr_finder.arguments import check_functions, check_numbers, check_to_save, lr_ranges
from fsm_engine.handlers.lr_finder.restore import restored
from fsm_engine.handlers.lr_finder.search import CURVES, Search
from fsm_engine.handlers.param_scheduler.param_groups import number_or_list, set_value
from fsm_engine.persistence.set_aside import set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsm_engine.engine.engine import Engine


class FastaiLRFinder:
    """Search for a learning rate: raise it in each iteration until the loss diverges.

    ::

        finder = FastaiLRFinder()
        with finder.attach(trainer, to_save={"model": model, "optimizer": optimizer}) as trial:
            trial.run(data)
        finder.plot()
        finder.apply_suggested_lr(optimizer)

    The results are there as soon as the loss of an iteration is recorded, so also inside the ``with`` block. Call
    `apply_suggested_lr` after the block, because the end of the block restores the optimizer.

    The suggestion is the learning rate at which the loss falls most steeply. It is lower than the learning rate with
    the lowest loss. As in pytorch-ignite, each loss is recorded with the learning rate of the following step.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> finder = FastaiLRFinder()
        >>> objects = {"model": model, "optimizer": optimizer}
        >>> with finder.attach(trainer, objects, start_lr=1e-3, end_lr=1e3) as trial:
        ...     _ = trial.run([(torch.ones(4, 1), torch.ones(4, 1))] * 40)
        >>> 1e-3 < finder.lr_suggestion() < 1e3, optimizer.param_groups[0]["lr"]
        (True, 0.1)
    """

    def __init__(self) -> None:
        self._rates: list[list[float]] = []
        self._losses: list[float] = []

    def attach(
        self,
        trainer: Engine,
        to_save: Mapping[str, Any],
        output_transform: Callable[[Any], Any] = identity,
        num_iter: int | None = None,
        start_lr: float | list[float] | None = None,
        end_lr: float | list[float] = 10.0,
        step_mode: str = "exp",
        smooth_f: float = 0.05,
        diverge_th: float = 5.0,
    ) -> AbstractContextManager[Engine]:
        """Return a context manager; the runs of `trainer` inside its ``with`` block are searches.

        The end of the block, also by an exception, restores the objects in `to_save`, the gradients, the state and the
        handlers of `trainer`, and its run, if one was suspended. Other handlers of `trainer` are called during a
        search; the effects of these calls stay, except on objects in `to_save`. The saved states are kept in temporary
        files.

        The host reads the loss in each iteration to see whether it diverges, so it waits for the device. With several
        ranks the loss is the mean over ranks, so all of them stop in the same iteration.

        Args:
            trainer: an engine whose step returns the loss.
            to_save: the objects that the run changes, by name; the optimizer as ``"optimizer"``.
            output_transform: function from ``engine.state.output`` to the loss: a float or a tensor with one element.
            num_iter: number of iterations until `end_lr`; the length of the run unless given. A shorter run is made
                longer, a longer run ends one iteration after `num_iter`.
            start_lr: first learning rate, for all parameter groups or a list with one per group; the current learning
                rates unless given.
            end_lr: last learning rate, for all parameter groups or a list with one per group.
            step_mode: ``"exp"`` multiplies the learning rate by a constant, ``"linear"`` adds a constant.
            smooth_f: weight of the latest loss in the smoothed loss, from 0 (no smoothing) to below 1.
            diverge_th: the run ends when the smoothed loss exceeds this multiple of the best, or when a loss is NaN.

        Returns:
            A context manager that yields `trainer`.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: an argument is out of range.
            BusyError: `trainer` is running when the block is entered.
        """
        check_to_save(to_save)
        check_numbers(num_iter, smooth_f, diverge_th)
        check_functions(output_transform, step_mode)
        optimizer = to_save["optimizer"]
        ranges = lr_ranges(optimizer.param_groups, start_lr, end_lr)
        search = Search(optimizer, ranges, CURVES[step_mode], num_iter, output_transform, smooth_f, diverge_th)
        return self._attached(trainer, to_save, search)

    @contextmanager
    def _attached(self, trainer: Engine, to_save: Mapping[str, Any], search: Search) -> Iterator[Engine]:
        with set_aside(trainer), restored(to_save.values(), to_save["optimizer"]), ExitStack() as handles:
            self._losses, self._rates = search.losses, search.rates  # the lists that grow during a run
            for event, handler in search.handlers():
                handles.enter_context(trainer.add_event_handler(event, handler))
            try:
                yield trainer
            finally:
                self._losses = list(search.losses)
                self._rates = search.rates[: len(self._losses)]

    def get_results(self) -> dict[str, list[Any]]:
        """Return the learning rates and smoothed losses of all iterations, as ``{"lr": [...], "loss": [...]}``.

        With several parameter groups, each item of ``"lr"`` is a list. Before the first search, the result is empty.
        """
        if not self._losses:
            return {}
        return {"lr": [number_or_list(rates) for rates in self._rates], "loss": list(self._losses)}

    def lr_suggestion(self) -> Any:
        """Return the learning rate at which the loss falls most steeply before its minimum.

        With several parameter groups, the result is a list.

        Raises:
            RuntimeError: the finder has not run, or the loss did not fall.
        """
        return number_or_list(self._rates[self._steepest()])

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
        """Set the learning rates of `optimizer` to the result of `lr_suggestion`.

        Raises:
            RuntimeError: `lr_suggestion` raises it, or the number of parameter groups differs from the search.
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
        """Plot the loss over the learning rate, with one line per parameter group.

        Args:
            skip_start: number of iterations to leave out at the start.
            skip_end: number of iterations to leave out at the end.
            log_lr: use a logarithmic axis for the learning rate.
            display_suggestion: mark the result of `lr_suggestion`, if there is one.
            ax: matplotlib axes to plot into; new axes unless given.
            **kwargs: arguments of ``plt.subplots`` for new axes.

        Returns:
            The axes.

        Raises:
            RuntimeError: the finder has not run.
            ValueError: `skip_start` or `skip_end` is negative.
            ModuleNotFoundError: matplotlib is not installed.
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
            iteration = self._steepest()
        except RuntimeError:  # without a suggestion, users need the plot most
            return
        rates = self._rates[iteration]
        axes.scatter(rates, [self._losses[iteration]] * len(rates), s=75, color="red", zorder=3)
