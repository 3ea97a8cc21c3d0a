"""The one failure the benchmark knows: a number that could not be measured, and the reason."""


class BenchmarkError(Exception):
    """Something could not be prepared, started or measured; the text is for the terminal."""
