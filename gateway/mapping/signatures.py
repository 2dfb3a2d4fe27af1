"""How functions are declared: name, parameters, what null does.

A parameter is one word for its type, or several joined by `|`: `any text number boolean list object null`,
`numbers texts` (lists of only these), `each` (`&expression`); `pattern` and `format` are checked at once.
`?` behind it: may be left out. `+` and `*`: any number more, at least one or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Work = Callable[..., Any]
Nulls = Literal["error", "null", "own"]

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
    "numbers": (list,),
    "texts": (list,),
    "format": (str,),
}
_INSIDE = {"numbers": frozenset({int, float}), "texts": frozenset({str})}
_WORDS = {
    "boolean": "true or false",
    "list": "a list",
    "object": "an object",
    "number": "a number",
    "numbers": "a list of numbers",
    "texts": "a list of texts",
    "null": "null",
    "format": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """`types` None: anything. `inside`: for lists, the sets of types of which all items must be in one."""

    word: str
    types: frozenset[type] | None
    inside: tuple[frozenset[type], ...]

    def takes(self) -> str:
        return " or ".join(_WORDS.get(word, word) for word in self.word.split("|") if word != "null")

    def accepts(self, value: Any) -> bool:
        if self.types is not None and type(value) not in self.types:
            return False
        if not self.inside or type(value) is not list:
            return True
        found = set(map(type, value))
        return any(found <= allowed for allowed in self.inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """`work(run, *arguments)` is called with checked arguments.

    `nulls`: `error` = null is a wrong type, as in JMESPath; `null` = any null gives `null_gives`; `own` = the
    function sees it. `scans`: its cost grows with the length of its arguments.
    """

    name: str
    work: Work
    parameters: tuple[Parameter, ...]
    least: int
    most: int | None
    nulls: Nulls
    null_gives: Any
    scans: bool

    def parameter(self, place: int) -> Parameter:
        return self.parameters[min(place, len(self.parameters) - 1)]

    def arity(self) -> str:
        if self.most is None:
            return f"at least {_count(self.least)}"
        if self.most == self.least:
            return _count(self.least)
        return f"{self.least} to {self.most} arguments"


def _count(number: int) -> str:
    return f"{number or 'no'} argument{'' if number == 1 else 's'}"


FUNCTIONS: dict[str, Function] = {}


def function(
    name: str, *words: str, nulls: Nulls = "null", null_gives: Any = None, scans: bool = True
) -> Callable[[Work], Work]:
    """Declare a function; see the module's text for the words."""

    def declare(work: Work) -> Work:
        many = bool(words) and words[-1][-1] in "+*"
        FUNCTIONS[name] = Function(
            name=name,
            work=work,
            parameters=tuple(_parameter(word.rstrip("?+*")) for word in words),
            least=sum(1 for word in words if word[-1] not in "?*"),
            most=None if many else len(words),
            nulls=nulls,
            null_gives=null_gives,
            scans=scans,
        )
        return work

    return declare


def _parameter(word: str) -> Parameter:
    parts = word.split("|")
    free = word in ("any", "each", "pattern")
    types = None if free else frozenset(kind for part in parts for kind in _TYPES[part])
    inside = () if "list" in parts else tuple(_INSIDE[part] for part in parts if part in _INSIDE)
    return Parameter(word=word, types=types, inside=inside)
