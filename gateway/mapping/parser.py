"""Tokens to a syntax tree: JMESPath's grammar by operator precedence, with our four additions.

Binding, loosest first: `|`, `? :`, `??`, `||`, `&&`, comparisons, `!`, then paths.
Source: jmespath.org/specification; additions: docs, "Expressions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from gateway.errors import ExpressionError
from gateway.mapping import tree
from gateway.mapping.tokens import Token, tokenise
from gateway.mapping.tree import Node

MAX_TEXT = 2048
MAX_NESTING = 50
# Chains (`a || b || …`, `a[*].b[*]…`) make the tree deep without brackets; each level costs stack frames.
MAX_DEPTH = 120

_COMPARE = 6
_POWER = {
    "|": 1,
    "?": 2,
    "??": 3,
    "||": 4,
    "&&": 5,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARE),
    "[]": 9,
    "[?": 21,
    ".": 40,
    "[": 55,
}
_STOPS_PROJECTION = 10
_STAR, _FILTER, _DOT = 20, 21, 40
_WORDS = {"true": True, "false": False, "null": None}
_OTHER_LANGUAGES = {"and": "&&", "or": "||", "not": "!", "is": "==", "in": "contains(list, x)"}


def parse(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError (syntax, value, limit)."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(
            f"The expression has {len(text)} characters; {MAX_TEXT} are allowed.",
            kind="limit",
            width=len(text),
        )
    node = _Parser(text).whole()
    if max(depth for _, depth in tree.everything(node)) > MAX_DEPTH:
        raise _too_long(0)
    return node


def _too_long(offset: int) -> ExpressionError:
    return ExpressionError(
        f"The expression is a chain of more than {MAX_DEPTH} parts.", kind="limit", offset=offset
    )


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = tokenise(text)
        self.at = 0
        self.nesting = 0
        self.depth = 0

    # The tokens.

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def sees(self, *kinds: str, ahead: int = 0) -> bool:
        place = min(self.at + ahead, len(self.tokens) - 1)
        return self.tokens[place].kind in kinds

    def take(self) -> Token:
        token = self.next
        if token.kind != "end":
            self.at += 1
        return token

    def expect(self, *kinds: str) -> Token:
        if not self.sees(*kinds):
            self.refuse(self.next, "Expected " + " or ".join(f"`{kind}`" for kind in kinds) + ".")
        return self.take()

    def refuse(self, token: Token, message: str = "", fix: str | None = None) -> NoReturn:
        if token.kind == "end":
            found = "The expression ends too early."
        elif token.kind == "literal":
            found = "A literal cannot stand here."
        else:
            found = f"`{token.value}` cannot stand here."
        if fix is None and token.kind == "name" and token.value in _OTHER_LANGUAGES:
            fix = f"Write `{_OTHER_LANGUAGES[token.value]}`."
        raise ExpressionError(
            f"{found} {message}".strip(),
            kind="syntax",
            offset=token.start,
            width=max(token.end - token.start, 1),
            fix=fix,
        )

    # The grammar.

    def whole(self) -> Node:
        node = self.expression()
        if not self.sees("end"):
            self.refuse(self.next)
        return node

    def expression(self, power: int = 0) -> Node:
        return self.continued(self.begun, power)

    def continued(self, begin: Callable[[], Node], power: int) -> Node:
        """What `begin` reads, and everything after it that binds more tightly than `power`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _too_long(self.next.start)
        left = begin()
        while power < _POWER.get(self.next.kind, 0):
            left = self.extended(left, self.take())
        self.depth -= 1
        return left

    def enclosed(self) -> Node:
        """An expression inside brackets of any kind."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(
                f"The expression is nested more than {MAX_NESTING} deep.",
                kind="limit",
                offset=self.next.start,
            )
        node = self.expression()
        self.nesting -= 1
        return node

    def begun(self) -> Node:
        token = self.take()
        match token.kind:
            case "name":
                return self.name(token)
            case "quoted":
                return self.quoted(token)
            case "literal":
                return tree.Literal(start=token.start, end=token.end, value=token.value)
            case "number":
                return self.number(token)
            case "@":
                return tree.Current(start=token.start, end=token.end)
            case "$":
                return tree.Root(start=token.start, end=token.end)
            case "!":
                inner = self.expression(_COMPARE)
                return tree.Not(start=token.start, end=inner.end, inner=inner)
            case "(":
                inner = self.enclosed()
                return tree.Group(start=token.start, end=self.expect(")").end, inner=inner)
            case "{":
                return self.multi_object(token)
            case "[":
                return self.bracket(token)
            case "*":
                return self.values(self.here(token), _STAR)
            case "[]" | "[?":
                return self.extended(self.here(token), token)
            case "&":
                self.refuse(token, "`&` goes before an argument of a function, as in `sort_by(list, &name)`.")
        self.refuse(token)

    def extended(self, left: Node, token: Token) -> Node:
        start = left.start
        match token.kind:
            case ".":
                return self.dotted(left)
            case "[":
                return self.indexed(left)
            case "[]":
                flat = tree.Flatten(start=start, end=token.end, left=left)
                return self.projected(flat, _POWER["[]"])
            case "[?":
                return self.filtered(left)
            case "?":
                return self.chosen(left)
        right = self.expression(_POWER[token.kind])
        match token.kind:
            case "|":
                return tree.Pipe(start=start, end=right.end, left=left, right=right)
            case "??":
                return tree.Coalesce(start=start, end=right.end, left=left, right=right)
            case "||":
                return tree.Or(start=start, end=right.end, left=left, right=right)
            case "&&":
                return tree.And(start=start, end=right.end, left=left, right=right)
        return tree.Compare(start=start, end=right.end, operator=token.kind, left=left, right=right)

    def here(self, token: Token) -> Node:
        return tree.Current(start=token.start, end=token.start)

    # Names, literals, calls.

    def name(self, token: Token) -> Node:
        if self.sees("("):
            return self.call(token)
        if token.value in _WORDS:
            return tree.Literal(start=token.start, end=token.end, value=_WORDS[token.value])
        return self.field(token)

    def quoted(self, token: Token) -> Node:
        if self.sees("("):
            self.refuse(self.next, "A function's name has no quotes.", f"Write `{token.value}(…)`.")
        return self.field(token)

    def field(self, token: Token) -> Node:
        return tree.Field(start=token.start, end=token.end, name=token.value, quoted=token.kind == "quoted")

    def number(self, token: Token) -> Node:
        digits = token.end - token.start - (token.value < 0)
        if isinstance(token.value, int) and digits > len(str(abs(token.value))):
            self.refuse(token, "A number has no leading zero.", "As text it goes in single quotes.")
        return tree.Literal(start=token.start, end=token.end, value=token.value, bare_number=True)

    def call(self, name: Token) -> Node:
        self.expect("(")
        arguments: list[Node] = []
        while not self.sees(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.argument())
        end = self.expect(")").end
        return tree.Call(start=name.start, end=end, name=name.value, arguments=tuple(arguments))

    def argument(self) -> Node:
        if not self.sees("&"):
            return self.enclosed()
        token = self.take()
        inner = self.enclosed()
        return tree.Reference(start=token.start, end=inner.end, inner=inner)

    def chosen(self, condition: Node) -> Node:
        then = self.expression()
        self.expect(":")
        # One looser than its own power: `a ? b : c ? d : e` groups to the right.
        otherwise = self.expression(_POWER["?"] - 1)
        return tree.Choose(
            start=condition.start, end=otherwise.end, condition=condition, then=then, otherwise=otherwise
        )

    # Paths.

    def dotted(self, left: Node) -> Node:
        if self.sees("*"):
            self.take()
            return self.values(left, _DOT)
        right = self.after_dot()
        return tree.Sub(start=left.start, end=right.end, left=left, right=right)

    def after_dot(self) -> Node:
        token = self.take()
        match token.kind:
            case "name":
                return self.call(token) if self.sees("(") else self.field(token)
            case "quoted":
                return self.quoted(token)
            case "[":
                return self.multi_list(token)
            case "{":
                return self.multi_object(token)
            case "*":
                return self.values(self.here(token), _STAR)
        fix = "For an item of a list write `list[0]`." if token.kind == "number" else None
        self.refuse(token, "After a dot stands a name, `*`, `[a, b]` or `{a: b}`.", fix)

    def projection(self, power: int) -> Node | None:
        """What is done with each item, or None."""
        if _POWER.get(self.next.kind, 0) < _STOPS_PROJECTION:
            return None
        if self.sees("."):
            self.take()
            return self.continued(self.after_dot, power)
        return self.expression(power)

    def projected(self, left: Node, power: int) -> Node:
        end = self.tokens[self.at - 1].end
        right = self.projection(power)
        return tree.Project(start=left.start, end=right.end if right else end, left=left, right=right)

    def values(self, left: Node, power: int) -> Node:
        end = self.tokens[self.at - 1].end
        right = self.projection(power)
        return tree.ProjectValues(start=left.start, end=right.end if right else end, left=left, right=right)

    def filtered(self, left: Node) -> Node:
        condition = self.enclosed()
        end = self.expect("]").end
        right = self.projection(_FILTER)
        return tree.Filter(
            start=left.start, end=right.end if right else end, left=left, condition=condition, right=right
        )

    # Square brackets and braces.

    def bracket(self, token: Token) -> Node:
        """`[` where an expression begins: an item, a slice, `[*]` or a list."""
        if self.sees(":") or (self.sees("number") and self.sees("]", ":", ahead=1)):
            return self.indexed(self.here(token))
        if self.sees("*") and self.sees("]", ahead=1):
            return self.indexed(self.here(token))
        return self.multi_list(token)

    def indexed(self, left: Node) -> Node:
        """After `left[`: a number, a slice or `*`."""
        if self.sees("*"):
            self.take()
            self.expect("]")
            return self.projected(left, _STAR)
        if self.sees(":") or self.sees(":", ahead=1):
            return self.sliced(left)
        if not self.sees("number"):
            self.refuse(self.next, "Here stands a number, `*`, a slice or `?` and a condition.")
        index = self.whole_number()
        return tree.Index(start=left.start, end=self.expect("]").end, left=left, index=index)

    def sliced(self, left: Node) -> Node:
        bounds: list[int | None] = [None, None, None]
        place = 0
        while not self.sees("]"):
            if not self.sees(":"):
                bounds[place] = self.whole_number()
                if self.sees("]"):
                    break
            place += 1
            if place == 3 or not self.sees(":"):
                self.refuse(self.next, "A slice is `[start:stop:step]`.")
            self.take()
        if bounds[2] == 0:
            raise ExpressionError("A slice's step cannot be 0.", kind="value", offset=self.next.start - 1)
        end = self.expect("]").end
        cut = tree.Slice(start=left.start, end=end, left=left, bounds=(bounds[0], bounds[1], bounds[2]))
        return self.projected(cut, _STAR)

    def whole_number(self) -> int:
        token = self.expect("number")
        if not isinstance(token.value, int):
            self.refuse(token, "A whole number is needed.")
        return token.value

    def multi_list(self, opened: Token) -> Node:
        items = [self.list_item()]
        while self.sees(","):
            self.take()
            items.append(self.list_item())
        return tree.MultiList(start=opened.start, end=self.expect("]").end, items=tuple(items))

    def list_item(self) -> Node:
        token = self.next
        item = self.enclosed()
        if isinstance(item, tree.Literal) and item.bare_number:
            # JMESPath's compliance cases demand this one.
            fix = f"Write `{token.value}` in backticks."
            self.refuse(token, "A plain number cannot be an item of a list.", fix)
        return item

    def multi_object(self, opened: Token) -> Node:
        pairs = [self.pair()]
        while self.sees(","):
            self.take()
            pairs.append(self.pair())
        return tree.MultiObject(start=opened.start, end=self.expect("}").end, pairs=tuple(pairs))

    def pair(self) -> tuple[str, Node]:
        name = str(self.expect("name", "quoted").value)
        self.expect(":")
        return name, self.enclosed()
