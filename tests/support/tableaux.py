"""Tableaux of Runge-Kutta methods: how a module's were made, and what the rooted trees ask of them."""

import importlib

import numpy as np

from dtool.samplers.engines import tableau


def recorded(monkeypatch, module, maker):
    """(name, order, what the method was made of) of each method of a module, which is run again."""
    made = []
    original = getattr(tableau, maker)
    monkeypatch.setattr(
        tableau, maker, lambda name, about, **given: made.append((name, given)) or original(name, about, **given)
    )
    importlib.reload(module)
    return made


def conditions(a, b, c):
    """What is left of the conditions of each order up to 5, by rooted trees (Butcher): {order: numbers}."""
    ac = a @ c
    return {
        1: [b.sum() - 1],
        2: [b @ c - 1 / 2],
        3: [b @ c**2 - 1 / 3, b @ a @ c - 1 / 6],
        4: [b @ c**3 - 1 / 4, b @ (c * (a @ c)) - 1 / 8, b @ a @ c**2 - 1 / 12, b @ a @ a @ c - 1 / 24],
        5: [
            b @ c**4 - 1 / 5, b @ (c**2 * ac) - 1 / 10, b @ ac**2 - 1 / 20, b @ (c * (a @ c**2)) - 1 / 15,
            b @ (c * (a @ ac)) - 1 / 30, b @ a @ c**3 - 1 / 20, b @ a @ (c * ac) - 1 / 40, b @ a @ a @ c**2 - 1 / 60,
            b @ a @ a @ ac - 1 / 120,
        ],
    }  # fmt: skip


def as_arrays(method):
    a = np.zeros((len(method.c),) * 2)
    for place, row in zip(a, method.a, strict=True):
        place[: len(row)] = row
    return a, np.array(method.b), np.array(method.c)
