"""What ``mailpost doctor`` looks at: a module for each part, a function for each check.

A check is given the :class:`~mailpost.cli.checks.findings.Patient` and gives findings. It changes nothing,
waits for nothing without an end, and says in plain words how to mend what it finds.
"""
