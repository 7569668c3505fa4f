"""CEL, as far as kube-apiserver's authentication uses it, on Google's own runtime."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import re2  # type: ignore[import-untyped]
from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings  # type: ignore[import-untyped]

from tenantry.access.authentication import ExpressionProblem
from tenantry.access.claims import ExpressionFailed, Variable

_STRINGS_VERSION: Final = 2
"""That of the API server: a function it lacks must not be used here either."""
# fmt: off
_KEYWORDS: Final = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})
# fmt: on
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED: Final = re.compile(r"__|[-./]")
_ESCAPABLE: Final = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*")


class CelExpression:
    """One compiled expression; safe to use any number of times."""

    __slots__ = ("_compiled", "_is_escaping", "_variable", "is_boolean", "text")

    def __init__(self, text: str, variable: Variable, compiled: Any) -> None:
        """Wrap what the runtime *compiled*."""
        self.text = text
        self.is_boolean = compiled.return_type() == cel.Type.BOOL
        self._variable = variable
        self._compiled = compiled
        self._is_escaping = "__" in text

    def evaluate(self, value: Mapping[str, Any]) -> Any:
        """Return the result as plain Python values; see the protocol in tenantry.access.claims."""
        try:
            outcome = self._compiled.eval(data={self._variable: _as_go_reads(value, is_escaping=self._is_escaping)})
            if outcome.type() == cel.Type.ERROR:
                raise ExpressionFailed(str(outcome.value()))
            return outcome.plain_value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ExpressionFailed(str(error) or "no value") from error


class CelCompiler:
    """Knows the variables and functions that the API server knows."""

    def __init__(self) -> None:
        """Make one environment a variable."""
        self._environments = {variable: _environment(variable) for variable in ("claims", "user")}

    def compile(self, text: str, variable: Variable) -> CelExpression:
        """Return *text* compiled.

        Raises:
            ExpressionProblem: It is no expression, or uses what is not there.
        """
        try:
            return CelExpression(text, variable, self._environments[variable].compile(text))
        except (RuntimeError, TypeError, ValueError) as error:
            lines = str(error).removeprefix("INVALID_ARGUMENT: ").splitlines()
            problem = lines[0] if lines else "it does not compile"
            raise ExpressionProblem(f"{text!r} is no expression that the gateway understands: {problem}") from error


def _environment(variable: str) -> Any:
    return cel.NewEnv(
        variables={variable: cel.Type.Map(cel.Type.STRING, cel.Type.DYN)},
        extensions=[
            ext_optional.ExtOptional(),
            ext_strings.ExtStrings(_STRINGS_VERSION),
            ext_bindings.ExtBindings(),
        ],
        functions=list(_functions()),
    )


def _functions() -> Iterator[Any]:
    """Yield what Kubernetes adds to CEL and the runtime does not bring: regular expressions, sets, lists."""
    text, flag, many = cel.Type.STRING, cel.Type.BOOL, cel.Type.List(cel.Type.DYN)
    yield _function("find", text, (text, text), _find, is_member=True)
    yield _function("findAll", cel.Type.List(text), (text, text), _find_all, is_member=True)
    yield _function("isSorted", flag, (many,), lambda items: items == sorted(items), is_member=True)
    yield _function("sets.contains", flag, (many, many), lambda whole, part: all(item in whole for item in part))
    yield _function("sets.intersects", flag, (many, many), lambda one, other: any(item in one for item in other))
    yield _function(
        "sets.equivalent",
        flag,
        (many, many),
        lambda one, other: all(item in one for item in other) and all(item in other for item in one),
    )


def _function(
    name: str, returns: Any, parameters: Sequence[Any], body: Callable[..., Any], *, is_member: bool = False
) -> Any:
    overload = cel.Overload(
        f"tenantry_{name.replace('.', '_')}",
        return_type=returns,
        parameters=list(parameters),
        is_member=is_member,
        impl=body,
    )
    return cel.FunctionDecl(name, [overload])


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern)), "")


def _find_all(text: str, pattern: str) -> list[str]:
    options = re2.Options()
    options.log_errors = False
    try:
        return [match.group() for match in re2.compile(pattern, options).finditer(text)]
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no regular expression") from error


def _as_go_reads(value: Any, *, is_escaping: bool) -> Any:
    """Return JSON as Go's decoder gives it to the API server's expressions: every number is a double.

    Where the expression uses escaped names (``claims.example__dot__org``), keys stand under those, too.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        plain = {key: _as_go_reads(item, is_escaping=is_escaping) for key, item in value.items()}
        if is_escaping:
            plain |= {name: plain[key] for key in list(plain) if (name := _escaped(key)) != key}
        return plain
    return [_as_go_reads(item, is_escaping=is_escaping) for item in value]


def _escaped(key: str) -> str:
    """Return *key* as an identifier; source: Kubernetes' CEL escaping rules for field names."""
    if key in _KEYWORDS:
        return f"__{key}__"
    if not _ESCAPABLE.fullmatch(key):
        return key
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], key)
