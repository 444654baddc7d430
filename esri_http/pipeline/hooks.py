"""The hooks of one call, in the vocabulary of `requests`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from ..words.errors import ConfigurationError

if TYPE_CHECKING:
    from ..messages.response import Response


def read_hooks(hooks: Any) -> Callable[[Response], Any]:
    """What users pass as `hooks=`, ``{"response": callable}`` or several in a list, as one callable for the response."""
    if not hasattr(hooks, "get") or set(hooks) != {"response"}:
        raise ConfigurationError('hooks= takes {"response": callable}, or a list of callables there.')
    given = hooks["response"] or ()
    several = given if isinstance(given, (list, tuple)) else (given,)
    if not all(callable(hook) for hook in several):
        raise ConfigurationError("hooks= holds something that cannot be called.")
    return partial(_run, tuple(several))


def _run(hooks: tuple[Callable[[Any], Any], ...], response: Response) -> Any:
    """Call the hooks in order; one that returns something replaces the response."""
    answers: list[Any] = [response]
    try:
        for hook in hooks:
            replaced = hook(answers[-1])
            if replaced is not None:
                answers.append(replaced)
    except BaseException:
        for answer in answers:
            if hasattr(answer, "close"):  # a hook may have put anything in its place
                answer.close()
        raise
    return answers[-1]
