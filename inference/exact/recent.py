"""A mapping that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")


class Recent(Generic[T]):
    """Keep at most ``most`` items of at most ``heaviest`` total weight, and always the last one.

    Example:
        >>> cache = Recent(most=2)
        >>> for key in "abc":
        ...     _ = cache.put(key, key.upper())
        >>> cache.get("a"), cache.get("c")
        (None, 'C')
    """

    def __init__(self, most: int, heaviest: int = 1 << 62) -> None:
        self._most = most
        self._heaviest = heaviest
        self._items: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: Hashable) -> T | None:
        """Return the item of a key and mark it as used, or None."""
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, item: T, weight: int = 1) -> T:
        """Remember an item, forget others until the limits hold, and return it."""
        self._items[key] = (item, weight)
        self._weight += weight
        while len(self._items) > 1 and (
            len(self._items) > self._most or self._weight > self._heaviest
        ):
            _, (_, dropped) = self._items.popitem(last=False)
            self._weight -= dropped
        return item

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._weight = 0
