"""Symbolic linear forms: what a rule computes with while it is compiled."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any, Never

import numpy as np

from dtool.errors import CompileError

_LINEAR = {"multiply": operator.mul, "add": operator.add, "subtract": operator.sub, "divide": operator.truediv}
_HINT = "write the step with +, - and numbers times x, x0, eps and z; run it eagerly to debug something else"


class LinearForm:
    """A sum of coefficients times symbols, immutable. It knows +, - and scaling by a number; all else is refused.

    `terms` maps a symbol, an integer, to its coefficient.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[int, float]) -> None:
        self.terms = terms

    def __add__(self, other: Any) -> LinearForm:
        if not isinstance(other, LinearForm):
            if isinstance(other, Real) and other == 0:
                return self
            _refuse("+", other)
        terms = self.terms.copy()
        for symbol, value in other.terms.items():
            terms[symbol] = terms.get(symbol, 0.0) + value
        return LinearForm(terms)

    __radd__ = __add__

    def __sub__(self, other: Any) -> LinearForm:
        if not isinstance(other, LinearForm):
            return self.__add__(-other)
        terms = self.terms.copy()
        for symbol, value in other.terms.items():
            terms[symbol] = terms.get(symbol, 0.0) - value
        return LinearForm(terms)

    def __rsub__(self, other: Any) -> LinearForm:
        return self.__neg__().__add__(other)

    def __mul__(self, factor: Any) -> LinearForm:
        number = factor if type(factor) is float else _require_number("*", factor)
        terms = {}
        for symbol, value in self.terms.items():  # most of a compiler's time is spent here: a loop is the fastest
            terms[symbol] = number * value
        return LinearForm(terms)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> LinearForm:
        number = divisor if type(divisor) is float else _require_number("/", divisor)
        return LinearForm({symbol: value / number for symbol, value in self.terms.items()})

    def __neg__(self) -> LinearForm:
        return LinearForm({symbol: -value for symbol, value in self.terms.items()})

    def __pos__(self) -> LinearForm:
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **_: Any) -> LinearForm:
        """Let numpy's numbers scale a form; refuse its functions by name."""
        if method == "__call__" and len(inputs) == 2:
            left, right = (v.item() if isinstance(v, np.generic | np.ndarray) and v.size == 1 else v for v in inputs)
            operation = _LINEAR.get(ufunc.__name__)
            array = next((v for v in (left, right) if isinstance(v, np.ndarray)), None)
            if array is not None:
                _refuse(f"numpy.{ufunc.__name__}", array)
            if operation is not None:
                result: LinearForm = operation(left, right)
                return result
        raise CompileError(f"numpy.{ufunc.__name__} of a symbol is not linear", _HINT)

    def __rtruediv__(self, other: Any) -> Never:
        _refuse("dividing by a symbol", other)

    def __pow__(self, other: Any) -> Never:
        _refuse("**", other)

    def __abs__(self) -> Never:
        raise CompileError("abs() of a symbol is not linear", _HINT)

    def __float__(self) -> Never:
        raise CompileError("a function of a symbol (math.sqrt, math.exp, float, …) is not linear", _HINT)

    __int__ = __index__ = __float__

    def __bool__(self) -> Never:
        raise CompileError("a decision that depends on a symbol is not linear", _HINT)

    def __lt__(self, other: Any) -> Never:
        raise CompileError("a comparison with a symbol is not linear", _HINT)

    __le__ = __gt__ = __ge__ = __lt__

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Never:
        if name.startswith("__"):
            raise AttributeError(name)
        raise CompileError(f".{name} of a symbol is not linear", _HINT)

    def __getitem__(self, index: object) -> Never:
        raise CompileError("a part of a symbol is not linear", _HINT)


def _require_number(operation: str, value: Any) -> float:
    """`value` as a float; refuses symbols and arrays."""
    if not isinstance(value, Real):
        _refuse(operation, value)
    return float(value)


def _refuse(operation: str, other: object) -> Never:
    what = "a symbol" if isinstance(other, LinearForm) else f"a {type(other).__name__} ({other!r:.40})"
    raise CompileError(f"not linear: {operation} with {what}", _HINT)
