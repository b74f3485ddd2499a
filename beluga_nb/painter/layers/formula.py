"""Formulas: the arithmetic of scenery files, in Python's notation; read once, worked out for each picture."""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from beluga_nb.painter.colour import rgb
from beluga_nb.painter.layers.functions import BOUND, FUNCTIONS, Names

Formula = Callable[[Names], Any]

BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
UNARY: Mapping[type[ast.AST], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.Not: operator.not_}


@cache
def formula(text: str) -> Formula:
    """Compile a formula: a function of the values of its names; raises ValueError for a text that is none.

    A text that begins with # is a colour. The functions are those of functions.py.

    >>> formula("min(w, 2) * (0.5 + side) if wide else 0")({"w": 3, "side": 0.25, "wide": True})
    1.5
    """
    try:
        return _compiled(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no formula: {error.msg}.") from error


def constant(value: object) -> Formula:
    """Return a formula that is always this value."""
    return lambda _: value


def _compiled(node: ast.expr) -> Formula:
    match node:
        case ast.Constant(value=fixed):
            return constant(rgb(fixed) if isinstance(fixed, str) and fixed.startswith("#") else fixed)
        case ast.Name(id=name):
            return operator.itemgetter(name)
        case ast.Tuple(elts=items):
            each = [_compiled(item) for item in items]
            return lambda names: tuple([item(names) for item in each])
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in UNARY:
            change, value = UNARY[type(sign)], _compiled(operand)
            return lambda names: change(value(names))
        case (
            ast.BinOp(left=left, op=sign, right=right)
            | ast.Compare(left=left, ops=[sign], comparators=[right])
        ) if type(sign) in BINARY:
            work, a, b = BINARY[type(sign)], _compiled(left), _compiled(right)
            return lambda names: work(a(names), b(names))
        case ast.BoolOp(op=sign, values=values):
            claims = [_compiled(value) for value in values]
            joined = all if isinstance(sign, ast.And) else any
            return lambda names: joined(claim(names) for claim in claims)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            met, then, other = _compiled(test), _compiled(body), _compiled(orelse)
            return lambda names: then(names) if met(names) else other(names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            given = [_compiled(arg) for arg in args]
            if name in FUNCTIONS:
                free = FUNCTIONS[name]
                return lambda names: free(*[arg(names) for arg in given])
            if name in BOUND:
                bound = BOUND[name]
                return lambda names: bound(names, *[arg(names) for arg in given])
    raise ValueError(f"{ast.unparse(node)!r} is no part of a formula.")
