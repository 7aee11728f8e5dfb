"""`Bleu`, `Rouge`, `CharacterErrorRate` and `Perplexity`: metrics of generated text.

`Bleu` and `Rouge` take y_pred as a list of sentences and y as a list of lists of reference sentences; a sentence is a
list of tokens.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn import functional

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform
from fsm_engine.metrics.pair_metric import PairMetric
from fsm_engine.metrics.rank_states import Reductions

if TYPE_CHECKING:
    import torchmetrics

Tokens = Sequence[Any]
_SMOOTHINGS = ("no_smooth", "smooth1", "nltk_smooth2", "smooth2")


def _ngrams(tokens: Tokens, n: int) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


class Bleu(Metric):
    """BLEU score (Papineni et al., 2002), a float.

    Args:
        ngram: highest order of n-grams.
        smooth: smoothing of precisions (Chen and Cherry, 2014): "no_smooth", "smooth1" (0.1 instead of 0), "smooth2"
            (1 added above unigrams) or "nltk_smooth2" (the same, with denominators of at least 1).
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        device: not used.
        average: "macro" for the mean over sentences, "micro" for the score of the corpus.

    Raises:
        ValueError: `ngram` is not positive, or `smooth` or `average` is another one.

    Example:
        >>> bleu = Bleu(ngram=2)
        >>> bleu.update(([["the", "cat", "sat"]], [[["the", "cat", "sat", "down"]]]))
        >>> round(bleu.compute(), 4)
        0.7165
    """

    _state_dict_all_req_keys = ("_sum", "_sentences", "_matches", "_totals", "_length", "_reference_length")
    state_reductions: ClassVar[Reductions | None] = dict.fromkeys(_state_dict_all_req_keys, "sum")

    def __init__(
        self,
        ngram: int = 4,
        smooth: str = "no_smooth",
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        average: str = "macro",
    ) -> None:
        if ngram <= 0:
            raise ValueError(f"ngram order must be greater than zero (got: {ngram}).")
        if smooth not in _SMOOTHINGS:
            raise ValueError(f"Smooth is not valid (expected one of {', '.join(_SMOOTHINGS)}, got: {smooth!r}).")
        if average not in ("macro", "micro"):
            raise ValueError(f"Average must be either 'macro' or 'micro' (got: {average!r}).")
        self.ngrams_order, self.smooth, self.average = ngram, smooth, average
        super().__init__(output_transform, device)

    def reset(self) -> None:
        """Discard all data."""
        self._sum, self._sentences = 0.0, 0
        self._matches, self._totals = [0] * self.ngrams_order, [0] * self.ngrams_order
        self._length = self._reference_length = 0

    def update(self, output: Any) -> None:
        """Add sentences and their references.

        Raises:
            ValueError: the numbers of sentences differ.
        """
        candidates, references = output
        if len(candidates) != len(references):
            raise ValueError(
                f"nb of candidates should be equal to nb of reference lists ({len(candidates)} != {len(references)})."
            )
        for candidate, of_candidate in zip(candidates, references):
            matches, totals = self._counts(candidate, of_candidate)
            length = len(candidate)
            closest = min((len(reference) for reference in of_candidate), key=lambda n: (abs(n - length), n))
            self._sentences += 1
            if self.average == "macro":
                self._sum += self._score(matches, totals, length, closest)
            else:
                self._matches = [a + b for a, b in zip(self._matches, matches)]
                self._totals = [a + b for a, b in zip(self._totals, totals)]
                self._length += length
                self._reference_length += closest

    def compute(self) -> float:
        """Return the score.

        Raises:
            NotComputableError: the metric has no data.
        """
        if not self._sentences:
            raise NotComputableError("Bleu must have at least one example before it can be computed.")
        if self.average == "macro":
            return self._sum / self._sentences
        return self._score(self._matches, self._totals, self._length, self._reference_length)

    def _counts(self, candidate: Tokens, references: Sequence[Tokens]) -> tuple[list[int], list[int]]:
        """Return for each order the number of n-grams of `candidate` in a reference, and of all its n-grams."""
        matches, totals = [], []
        for n in range(1, self.ngrams_order + 1):
            own = _ngrams(candidate, n)
            allowed: Counter[tuple[Any, ...]] = Counter()
            for reference in references:
                allowed |= _ngrams(reference, n)
            matches.append((own & allowed).total())
            totals.append(own.total())
        return matches, totals

    def _score(self, matches: list[int], totals: list[int], length: int, reference_length: int) -> float:
        if not matches[0] or (self.smooth == "no_smooth" and not all(matches)):
            return 0.0
        penalty = 1.0 if length >= reference_length else math.exp(1 - reference_length / length)
        logs = [math.log(self._precision(*pair)) for pair in zip(range(self.ngrams_order), matches, totals)]
        return penalty * math.exp(math.fsum(logs) / self.ngrams_order)

    def _precision(self, order: int, matches: int, total: int) -> float:
        if self.smooth != "smooth2":
            total = max(1, total)
        if self.smooth in ("smooth2", "nltk_smooth2") and order:
            return (matches + 1) / (total + 1)
        return (0.1 if self.smooth == "smooth1" and not matches else matches) / total


class _BaseRouge(Metric):
    """Base class of ROUGE scores (Lin, 2004): a mapping with precision, recall and F, each a mean over sentences."""

    _state_dict_all_req_keys = ("_sums", "_sentences")
    state_reductions: ClassVar[Reductions | None] = dict.fromkeys(_state_dict_all_req_keys, "sum")

    def __init__(
        self,
        multiref: str = "average",
        alpha: float = 0,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be in interval [0, 1] (got : {alpha}).")
        if multiref not in ("best", "average"):
            raise ValueError(f"multiref : valid values are best, average (got : {multiref!r}).")
        super().__init__(output_transform, device)
        self._multiref, self._alpha = multiref, alpha

    @abstractmethod
    def _counts(self, candidate: Tokens, reference: Tokens) -> tuple[int, int, int]:
        """Return the number of matches, and of units in `candidate` and in `reference`."""

    @abstractmethod
    def _name(self) -> str:
        """Return the name in the keys of the value."""

    def reset(self) -> None:
        """Discard all data."""
        self._sums, self._sentences = [0.0, 0.0, 0.0], 0

    def update(self, output: Any) -> None:
        """Add sentences and their references."""
        for candidate, references in zip(*output):
            counts = [self._counts(candidate, reference) for reference in references]
            if self._multiref == "best":
                counts = [max(counts, key=lambda count: _share(count[0], count[2]))]
            matches, own, theirs = map(sum, zip(*counts))
            precision, recall = _share(matches, own), _share(matches, theirs)
            weighted = (1 - self._alpha) * precision + self._alpha * recall
            score = precision * recall / weighted if precision * recall else 0.0
            self._sums = [total + value for total, value in zip(self._sums, (precision, recall, score))]
            self._sentences += 1

    def compute(self) -> dict[str, float]:
        """Return precision, recall and F as ``Rouge-N-P``, ``Rouge-N-R`` and ``Rouge-N-F``.

        Raises:
            NotComputableError: the metric has no data.
        """
        if not self._sentences:
            raise NotComputableError("Rouge metric must have at least one example before being computed.")
        return {f"{self._name()}-{letter}": total / self._sentences for letter, total in zip("PRF", self._sums)}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


class RougeN(_BaseRouge):
    """ROUGE-N: n-grams that a sentence has in common with its references.

    Args:
        ngram: order of the n-grams.
        multiref: "average" to add up the counts over references, "best" to take the reference with the best recall.
        alpha: weight of the recall in F: 0 gives the recall, 1 the precision.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        device: not used.

    Raises:
        ValueError: `ngram` is below 1, `alpha` is out of range, or `multiref` is another one.

    Example:
        >>> rouge = RougeN(ngram=1)
        >>> rouge.update(([["the", "cat"]], [[["the", "cat", "sat", "down"]]]))
        >>> rouge.compute()
        {'Rouge-1-P': 1.0, 'Rouge-1-R': 0.5, 'Rouge-1-F': 0.5}
    """

    def __init__(
        self,
        ngram: int = 4,
        multiref: str = "average",
        alpha: float = 0,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
    ) -> None:
        if ngram < 1:
            raise ValueError(f"ngram order must be greater than zero (got : {ngram}).")
        super().__init__(multiref, alpha, output_transform, device)
        self._ngram = ngram

    def _counts(self, candidate: Tokens, reference: Tokens) -> tuple[int, int, int]:
        own, theirs = _ngrams(candidate, self._ngram), _ngrams(reference, self._ngram)
        return (own & theirs).total(), own.total(), theirs.total()

    def _name(self) -> str:
        return f"Rouge-{self._ngram}"


class RougeL(_BaseRouge):
    """ROUGE-L: the longest common subsequence of a sentence and its references. See `RougeN` for the arguments.

    Example:
        >>> metric = RougeL()
        >>> metric.update((["the cat sat".split()], [["the cat sat down".split()]]))
        >>> {name: round(value, 4) for name, value in metric.compute().items()}
        {'Rouge-L-P': 1.0, 'Rouge-L-R': 0.75, 'Rouge-L-F': 0.75}
    """

    def _counts(self, candidate: Tokens, reference: Tokens) -> tuple[int, int, int]:
        return _common_length(candidate, reference), len(candidate), len(reference)

    def _name(self) -> str:
        return "Rouge-L"


def _common_length(one: Tokens, other: Tokens) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for token in one:
        diagonal = 0
        for column, compared in enumerate(other, 1):
            above = row[column]
            row[column] = diagonal + 1 if token == compared else max(above, row[column - 1])
            diagonal = above
    return row[-1]


class Rouge(Metric):
    """Several ROUGE scores at once, as one mapping.

    Args:
        variants: orders of `RougeN`, and "L" for `RougeL`; None means 1, 2, 4 and "L".
        multiref: as for `RougeN`.
        alpha: as for `RougeN`.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        device: not used.

    Raises:
        ValueError: a variant is neither "L" nor a positive integer.

    Example:
        >>> metric = Rouge(variants=["L", 2])
        >>> metric.update((["the cat sat".split()], [["the cat sat down".split()]]))
        >>> round(metric.compute()["Rouge-2-R"], 4)
        0.6667
    """

    _state_dict_all_req_keys = ("internal_metrics",)
    state_reductions: ClassVar[Reductions | None] = {"internal_metrics": "metrics"}

    def __init__(
        self,
        variants: Sequence[str | int] | None = None,
        multiref: str = "average",
        alpha: float = 0,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
    ) -> None:
        self.internal_metrics: list[_BaseRouge] = []
        for variant in variants or (1, 2, 4, "L"):
            if variant == "L":
                self.internal_metrics.append(RougeL(multiref, alpha))
            elif isinstance(variant, int):
                self.internal_metrics.append(RougeN(variant, multiref, alpha))
            else:
                raise ValueError(f"variant must be 'L' or integer greater to zero, got {variant!r}.")
        super().__init__(output_transform, device)

    def reset(self) -> None:
        """Discard all data."""
        for metric in self.internal_metrics:
            metric.reset()

    def update(self, output: Any) -> None:
        """Add sentences and their references."""
        for metric in self.internal_metrics:
            metric.update(output)

    def compute(self) -> dict[str, float]:
        """Return the scores of all variants.

        Raises:
            NotComputableError: the metric has no data.
        """
        return {key: value for metric in self.internal_metrics for key, value in metric.compute().items()}


class CharacterErrorRate(PairMetric):
    """Edit distance of characters divided by the number of characters in the references, a float.

    y_pred and y are strings, or lists of strings. See `PairMetric` for the arguments.

    Example:
        >>> rate = CharacterErrorRate()
        >>> rate.update((["hallo", "world"], ["hello", "world"]))
        >>> round(rate.compute(), 4)
        0.1
    """

    def update(self, output: Any) -> None:
        """Add texts and references.

        Raises:
            TypeError: an item is not a string.
            ValueError: the numbers of texts differ.
        """
        y_pred, y = ([texts] if isinstance(texts, str) else texts for texts in self._pair(output))
        if not all(
            isinstance(texts, (list, tuple)) and all(isinstance(t, str) for t in texts) for texts in (y_pred, y)
        ):
            raise TypeError(f"y_pred and y must be str or list[str], got y_pred: {y_pred!r} and y: {y!r}.")
        if len(y_pred) != len(y):
            raise ValueError(f"y_pred and y must have the same length. Got {len(y_pred)} and {len(y)}.")
        self._accumulator_on(torch.device("cpu")).update(y_pred, y)

    def _new_accumulator(self) -> torchmetrics.Metric:
        from torchmetrics.text import CharErrorRate

        return CharErrorRate()


class Perplexity(PairMetric):
    """Exponential of the mean negative log-likelihood of the true tokens, a float.

    y_pred (batch, tokens, ...) holds scores before the softmax, y (batch, ...) token indices.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        ignore_index: index in y of positions that do not count.

    Example:
        >>> metric = Perplexity()
        >>> metric.update((torch.tensor([[[2.0, 0.0], [0.0, 2.0]]]), torch.tensor([[0, 1]])))
        >>> round(metric.compute(), 4)
        1.1353
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(output_transform, device)
        self._ignore_index = ignore_index

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match.
        """
        y_pred, y = self._pair(output)
        if y_pred.ndim < 2 or y_pred.shape[:1] + y_pred.shape[2:] != y.shape:
            raise ValueError(
                f"y_pred must have the shape (batch, tokens, ...) and y (batch, ...), got {tuple(y_pred.shape)} and "
                f"{tuple(y.shape)}."
            )
        if y.numel():
            tokens = (y != self._ignore_index).sum()
            loss = functional.cross_entropy(y_pred.detach(), y, ignore_index=self._ignore_index, reduction="sum")
            mean = self._accumulator_on(loss.device)
            mean.update((loss / tokens.clamp(min=1)).to(mean.device), tokens.to(mean.device))

    def _value(self, accumulator: torchmetrics.Metric) -> float:
        return math.exp(super()._value(accumulator))
