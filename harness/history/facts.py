"""What one run's history says: the answers to what expressions ask."""

from harness.history.operation import Operation


class Facts:
    """Facts of one run, from its operations in order of completion."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
