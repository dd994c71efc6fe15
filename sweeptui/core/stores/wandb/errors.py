"""What can go wrong with W&B, told apart by what is to be done about it."""

from __future__ import annotations


class AwayError(Exception):
    """No answer, or none that can be used: tried again later. What was sent may have arrived, or may arrive yet."""


class RefusedError(Exception):
    """W&B says no, and will again until somebody changes something; the message says what."""


class DeletedError(Exception):
    """The run id was used and deleted: W&B never takes it again."""
