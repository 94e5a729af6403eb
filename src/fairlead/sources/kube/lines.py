"""The lines of a stream that comes in pieces."""


class Lines:
    """Whole lines out of pieces. What follows the last line end waits for the rest of its line, and
    is never used when none comes: a line that was cut short is no event."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        head, end, tail = piece.rpartition(b"\n")
        if not end:
            self._rest.append(piece)  # joined once, however many pieces a large line comes in
            return []
        whole = b"".join([*self._rest, head]).split(b"\n")
        self._rest = [tail] if tail else []
        return [line for line in whole if line]
