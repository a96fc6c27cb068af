"""How long the words of a text are, as a vector."""

import dtool
from dtool.errors import UsageError


@dtool.conditioner("word-lengths", summary="the lengths of a text's words, as a vector")
def word_lengths(words, condition):
    """Of a condition of shape (n,): the lengths of the first n words, then zeros."""
    if len(condition.shape) != 1 or condition.shape[0] is None:
        raise UsageError(f"{condition.describe()} is no vector of a fixed length", "give FILE.npy")
    lengths = [len(word) for word in words.split()][: condition.shape[0]]
    return lengths + [0] * (condition.shape[0] - len(lengths))
