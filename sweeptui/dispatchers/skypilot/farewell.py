"""The end of a sweep: whatever of it still stands is taken down."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sweeptui.dispatchers.skypilot.gateway import GatewayError

if TYPE_CHECKING:
    from sweeptui.dispatchers.skypilot.gateway import Gateway

LIMIT_S = 60.0
"""SkyPilot goes on with what it was asked for, even if nobody waits for it any more."""
AT_ONCE = 4
logger = logging.getLogger(__name__)


def take_down(gateway: Gateway, suffix: str) -> None:
    """Take down everything whose name ends so; wait for it a minute at most."""

    def clear(name: str) -> None:
        try:
            gateway.down(name)
        except GatewayError as error:
            logger.warning("%s may still stand: %s", name, error)

    def clear_all() -> None:
        try:
            standing = gateway.standing(suffix)
        except GatewayError as error:
            logger.warning("SkyPilot was not asked for what was left behind: %s", error)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(clear, standing))

    thread = threading.Thread(target=clear_all, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
