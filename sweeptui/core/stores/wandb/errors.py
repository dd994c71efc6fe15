"""What can go wrong with W&B, told apart by what is to be done about it."""

from __future__ import annotations


class AwayError(Exception):
    """No answer, or none that can be used: tried again later. What was sent may have arrived, or may arrive yet."""

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        """Nobody accepts a connection: nothing was sent."""


class RefusedError(Exception):
    """W&B says no, and will again until somebody changes something; the message says what."""


class DeletedError(Exception):
    """The run id was used and deleted: W&B never takes it again."""
