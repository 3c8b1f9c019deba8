"""The condition language of rule packs, compiled once; names and kinds are checked at load."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from auditor.errors import nearest
from auditor.expression import ConditionError, parse_expression

if TYPE_CHECKING:
    from auditor.observation import Scalar

NameKind: TypeAlias = Literal["number", "flag", "text", "either"]
Values: TypeAlias = "Mapping[str, Scalar]"
# None stands for "unknown": a value that the answer hangs on is missing (Kleene's logic).
_Test: TypeAlias = "Callable[[Values], bool | None]"
_Number: TypeAlias = "Callable[[Values], float | None]"

_LARGEST = 1e300

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}
_FUNCTIONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a condition, turned so that a measured quantity stands on the left.

    Attributes:
        name: The quantity.
        operator: "<", "<=", ">", ">=", "==", "!=", or "is" and "is not" for a flag. Under `not`
            it is the opposite of what is written, so that it says what must be true to fire.
        limit: Name of a threshold or of another quantity, a plain number, or None for a flag.
    """

    name: str
    operator: str
    limit: str | float | None

    def held(self, values: Values) -> bool:
        """Tell whether the comparison is true of these values; false if one is missing."""
        value = values.get(self.name)
        if value is None:
            return False
        if self.limit is None:
            return bool(value) == (self.operator == "is")
        limit = values.get(self.limit) if isinstance(self.limit, str) else self.limit
        return limit is not None and _compare(self.operator, _as_number(value), _as_number(limit))


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition.

    Attributes:
        text: As it was written.
        names: Quantities and thresholds that it speaks of.
        comparisons: What it compares, in the order of the text.
        kinds: Whether each name stands as a number or as a flag.
    """

    text: str
    names: frozenset[str]
    comparisons: tuple[Comparison, ...]
    kinds: Mapping[str, NameKind]
    _test: _Test

    def holds(self, values: Values) -> bool:
        """Tell whether the condition is true of the values.

        A comparison with NaN is false. When a value is missing that the answer hangs on, the
        condition does not hold.
        """
        return self.told(values) is True

    def told(self, values: Values) -> bool | None:
        """Tell whether it is true; None when a value is missing that the answer hangs on."""
        return self._test(values)


def compile_condition(
    text: str, quantities: Mapping[str, NameKind], thresholds: frozenset[str] = frozenset()
) -> Condition:
    """Return a condition, checked against the names that it may use.

    Args:
        text: Comparisons (also chained), `and`, `or`, `not`, brackets, names and numbers.
        quantities: The measured names and their kinds; "either" where the kind is not known yet.
        thresholds: The names of the rule's thresholds, all numbers.

    Raises:
        ConditionError: Anything else stands in the text, a name is unknown, or a flag is used as
            a number or the other way round.
    """
    line = text.replace("\n", " ").replace("\t", " ").rstrip()
    tree = parse_expression(line)
    compiler = _Compiler(line, dict(quantities), thresholds)
    test = compiler.truth(tree, negated=False)
    return Condition(
        text=text.strip(),
        names=frozenset(compiler.used),
        comparisons=tuple(compiler.comparisons),
        kinds=dict(compiler.used),
        _test=test,
    )


class _Compiler:
    def __init__(
        self, text: str, quantities: Mapping[str, NameKind], thresholds: frozenset[str]
    ) -> None:
        self.text = text
        self.quantities = quantities
        self.thresholds = thresholds
        self.used: dict[str, NameKind] = {}
        self.comparisons: list[Comparison] = []

    def truth(self, node: ast.expr, *, negated: bool) -> _Test:
        """Compile an expression that is true or false."""
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(value, negated=negated) for value in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _not(self.truth(node.operand, negated=not negated))
        if isinstance(node, ast.Compare):
            return self._compare(node, negated)
        if isinstance(node, ast.Name):
            return self._flag(node, negated)
        raise self._refusal(node, "true or false")

    def _flag(self, node: ast.Name, negated: bool) -> _Test:
        name = self._use(node, "flag")
        self.comparisons.append(Comparison(name, "is not" if negated else "is", None))

        def test(values: Values) -> bool | None:
            value = values.get(name)
            return None if value is None else bool(value)

        return test

    def _compare(self, node: ast.Compare, negated: bool) -> _Test:
        sides = [node.left, *node.comparators]
        parts: list[_Test] = []
        for left, right, sign in zip(sides, sides[1:], node.ops, strict=False):
            if type(sign) not in _OPERATORS:
                raise self._error("only <, <=, >, >=, ==, != compare here", node)
            parts.append(self._pair(left, right, _OPERATORS[type(sign)], negated))
        return _all(parts) if len(parts) > 1 else parts[0]

    def _pair(self, left: ast.expr, right: ast.expr, sign: str, negated: bool) -> _Test:
        one, one_label = self._number(left)
        two, two_label = self._number(right)
        written = sign
        if not self._measured(one_label):
            if not self._measured(two_label):
                raise self._error("nothing measured stands in this comparison", left, right)
            one_label, two_label, written = two_label, one_label, _MIRRORED[sign]
        assert isinstance(one_label, str)
        if negated:
            written = _NEGATED[written]
        self.comparisons.append(Comparison(one_label, written, two_label))

        def test(values: Values) -> bool | None:
            a, b = one(values), two(values)
            return None if a is None or b is None else _compare(sign, a, b)

        return test

    def _measured(self, label: str | float) -> bool:
        return isinstance(label, str) and label in self.quantities

    def _number(self, node: ast.expr) -> tuple[_Number, str | float]:
        if isinstance(node, ast.Name):
            name = self._use(node, "number")
            return (lambda values: _maybe_number(values.get(name))), name
        number = self._literal(node)
        return (lambda values: number), number

    def _literal(self, node: ast.expr) -> float:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            if not isinstance(node.operand, ast.Constant):
                raise self._error("there is no arithmetic in conditions", node)
            number = self._literal(node.operand)
            return -number if isinstance(node.op, ast.USub) else number
        value = node.value if isinstance(node, ast.Constant) else None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._refusal(node, "a number")
        # 1e999 is infinite already, and long runs of digits overflow a float.
        if not abs(value) < _LARGEST:
            raise self._error("this number is too large", node)
        return float(value)

    def _use(self, node: ast.Name, wanted: NameKind) -> str:
        name = node.id
        if name not in self.quantities and name not in self.thresholds:
            known = frozenset(self.quantities) | self.thresholds
            raise self._error(f"unknown name '{name}'{nearest(name, known)}", node)
        kind = self.quantities.get(name, "number")
        if kind == "either":
            kind = self.used.get(name, wanted)
        if kind != wanted:
            advice = "compare it with a number" if kind == "number" else "it cannot be compared"
            raise self._error(f"'{name}' is a {kind}, not a {wanted}: {advice}", node)
        self.used[name] = wanted
        return name

    def _refusal(self, node: ast.expr, wanted: str) -> ConditionError:
        if isinstance(node, ast.BinOp):
            return self._error("there is no arithmetic in conditions; let a probe measure it", node)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return self._error("write the flag itself, or `not` and the flag", node)
        names = {"Call": "a call", "Attribute": "an attribute", "Constant": "this constant",
                 "IfExp": "if and else", "Tuple": "a tuple", "Compare": "a comparison",
                 "BoolOp": "and or or", "UnaryOp": "this sign"}
        what = names.get(type(node).__name__, type(node).__name__)
        return self._error(f"{what} cannot stand where {wanted} is expected", node)

    def _error(self, message: str, node: ast.expr, last: ast.expr | None = None) -> ConditionError:
        end = (last or node).end_col_offset or node.col_offset + 1
        return ConditionError(message, self.text, node.col_offset, end - node.col_offset)


def _all(parts: list[_Test]) -> _Test:
    def test(values: Values) -> bool | None:
        answers = [part(values) for part in parts]
        return False if False in answers else (None if None in answers else True)

    return test


def _any(parts: list[_Test]) -> _Test:
    def test(values: Values) -> bool | None:
        answers = [part(values) for part in parts]
        return True if True in answers else (None if None in answers else False)

    return test


def _not(part: _Test) -> _Test:
    def test(values: Values) -> bool | None:
        answer = part(values)
        return None if answer is None else not answer

    return test


def _compare(sign: str, left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return False
    return _FUNCTIONS[sign](left, right)


def _maybe_number(value: Scalar | None) -> float | None:
    return None if value is None else _as_number(value)


def _as_number(value: Scalar) -> float:
    # A text where a number was declared is worth no comparison: NaN makes them all false.
    return math.nan if isinstance(value, str) else float(value)
