"""A lock for making syntax trees: in Python 3.11, two threads that make one at a time can get a SystemError."""

from __future__ import annotations

import os
import threading

making_syntax_tree = threading.Lock()
"""Hold it while `ast.parse` runs, or `inspect` looks for a class in its file."""

if hasattr(os, "register_at_fork"):  # no thread holds the lock in a new process
    os.register_at_fork(
        before=making_syntax_tree.acquire,
        after_in_parent=making_syntax_tree.release,
        after_in_child=making_syntax_tree.release,
    )
