"""`Serializable` and `ResettableHandler`: base classes of handlers that code written for pytorch-ignite subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar


class Serializable(ABC):  # noqa: B024  # abstract for __subclasshook__
    """Base class of objects whose state dict has required keys.

    A subclass defines `state_dict`, and extends `load_state_dict`, which checks the keys. Every class with both
    methods, such as `Engine`, counts as a subclass.

    Attributes:
        _state_dict_all_req_keys: keys that a state dict has to have.
        _state_dict_one_of_opt_keys: one group of keys or several; a state dict has to have exactly one key of each.
    """

    _state_dict_all_req_keys: ClassVar[tuple[str, ...]] = ()
    _state_dict_one_of_opt_keys: ClassVar[tuple[str, ...] | tuple[tuple[str, ...], ...]] = ()

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        methods = ("state_dict", "load_state_dict")
        return True if cls is Serializable and all(hasattr(other, name) for name in methods) else NotImplemented

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state as a mapping. A subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define state_dict().")

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Check that `state_dict` has the required keys. A subclass extends it to load them.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a required key is missing, or a group has none or several keys in `state_dict`.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}.")
        for key in self._state_dict_all_req_keys:
            if key not in state_dict:
                raise ValueError(
                    f"Required state attribute {key!r} is absent in provided state_dict, which has {list(state_dict)}."
                )
        groups: Any = self._state_dict_one_of_opt_keys
        for group in [groups] if groups and isinstance(groups[0], str) else groups:
            if not group:
                raise ValueError(f"Empty group found in {type(self).__name__}._state_dict_one_of_opt_keys.")
            if sum(key in state_dict for key in group) != 1:
                raise ValueError(f"state_dict should contain exactly one of {group} keys, but has {list(state_dict)}.")


class ResettableHandler(ABC):
    """Base class of handlers that are attached by a method of their own and can be reset."""

    @abstractmethod
    def reset(self) -> None:
        """Discard the state."""

    @abstractmethod
    def attach(self, engine: Any, *args: Any, **kwargs: Any) -> None:
        """Attach the handler to `engine`."""
