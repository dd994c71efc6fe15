"""The global random streams, for libraries that draw from them."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and, where it is imported, torch's global stream, and put them back afterwards."""
    import numpy as np  # noqa: PLC0415 - who only lists recipes comes by here, too

    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        random.seed(seed)
        np.random.seed(seed % 2**32)
        if torch := sys.modules.get("torch"):
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(seed)
        yield
