"""What a latency model becomes when a run begins: the legs between us and one venue, int nanoseconds each."""

from __future__ import annotations

from typing import Literal, Protocol

Operation = Literal["entry", "cancel", "amend"]


class Legs(Protocol):
    """A latency model in use."""

    def request_ns(self, operation: Operation, send: int) -> int | None:
        """Client to venue; None: the request is lost."""
        ...

    def response_ns(self, engine: int) -> int:
        """Venue to client."""
        ...

    def lost_ns(self, send: int) -> int:
        """How long the sender of a lost request waits until it knows. Where a model does not say: a response leg."""
        return self.response_ns(send)
