"""What a pass with values can be asked to hand on while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Listener(Protocol):
    """Is given the values of a pass as they come; it must not change them."""

    def on_output(self, path: str, output: Any) -> None:
        """A row of the model gave out something.

        Args:
            path: of the row.
            output: any nest of tensors.
        """

    def on_function(
        self, path: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """A torch function returned, called by a row's module or being a row itself."""
