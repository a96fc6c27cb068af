"""A network's graph, rewritten to be faster on a CPU: one rewriting one file, and the order in which they are made."""
