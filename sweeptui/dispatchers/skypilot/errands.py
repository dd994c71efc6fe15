"""What is asked of SkyPilot, and when it is asked again: the fleet's and the log reader's way to the gateway."""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Any

from sweeptui.dispatchers.skypilot.courier import Courier

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.dispatchers.skypilot.gateway import Gateway, GatewayError
    from sweeptui.dispatchers.skypilot.job import RemoteJob

MAX_WAIT_S = 60.0
"""Between two tries of something that fails, and between two looks while SkyPilot does not answer."""
LOGS_AT_ONCE = 2
STREAMS_AT_ONCE = 4
"""The one that is followed, and those that are about to end."""
logger = logging.getLogger(__name__)


class Errands:
    """Used by one thread, which calls `courier.deliver`."""

    def __init__(
        self, make_gateway: Callable[[], Gateway], max_submissions: int, interval_s: float, retry_s: float
    ) -> None:
        self.interval_s, self.retry_s = interval_s, retry_s
        lanes = {"launch": max_submissions, "look": 2, "logs": LOGS_AT_ONCE, "streams": STREAMS_AT_ONCE, "act": 4}
        self.courier = Courier(lanes)
        self._make_gateway = make_gateway
        self._made: Gateway | None = None
        self._guard = threading.Lock()

    def gateway(self) -> Gateway:
        """Made by the first courier that needs it."""
        with self._guard:
            if self._made is None:
                self._made = self._make_gateway()
            return self._made

    def send_for(
        self,
        job: RemoteJob,
        lane: str,
        errand: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[GatewayError], None] | None = None,
    ) -> None:
        """The job's one errand; where `failed` is not given, it is tried again later."""

        def later(error: GatewayError) -> None:
            job.busy = False
            self.later(job, error)

        job.busy = True
        self.courier.send(lane, errand, done, failed or later)

    def later(self, job: RemoteJob, error: Exception) -> None:
        """Try again, less and less often."""
        job.tries += 1
        wait = self.back_off_s(job.tries)
        job.wait(wait)
        logger.warning("%s: %s; again in %.0f s", job.name, error, wait)

    def back_off_s(self, tries: int) -> float:
        return min(MAX_WAIT_S, self.retry_s * 2.0 ** (tries - 1)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter

    def pause_s(self, took_s: float) -> float:
        """Until it is asked again: a SkyPilot that is slow has other things to do, launches first of all."""
        return max(self.interval_s, min(MAX_WAIT_S, 2 * took_s)) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter

    def close_gateway(self) -> None:
        if self._made is not None:
            self._made.close()
