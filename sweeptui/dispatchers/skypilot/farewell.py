"""The end of a sweep: whatever of it still stands is taken down."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sweeptui.dispatchers.skypilot.gateway import GatewayError

if TYPE_CHECKING:
    from sweeptui.dispatchers.skypilot.gateway import Gateway

LIMIT_S = 300.0
"""Longer nobody has to wait for a SkyPilot that does not answer; what stands costs money, so it is not shorter."""
AT_ONCE = 4
logger = logging.getLogger(__name__)


def take_down(gateway: Gateway, suffix: str) -> None:
    """Take down everything whose name ends so; wait for it some minutes at most."""

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
    if thread.is_alive():
        logger.warning("SkyPilot was too slow for what was left behind to go: sweeptui doctor lists what still stands")
