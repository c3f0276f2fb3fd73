"""Makes NiceGUI build pages in less time. It works without; `tests/test_swift.py` holds that it answers the same.

NiceGUI 3.18 asks `inspect.signature` three times for each element whether a handler takes an argument, mostly of the same three
methods of its own. The answer depends on the code alone.
"""

import gc
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType, MethodType
from typing import Any

from nicegui import helpers

_stock = helpers.expects_arguments


def expects_arguments(function: Callable[..., Any]) -> bool:
    """Whether it has to be given an argument; remembered for plain functions and methods."""
    plain = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType) or hasattr(plain, '__wrapped__') or hasattr(plain, '__signature__'):
        return _stock(function)
    given = len(plain.__defaults__ or ()), len(plain.__kwdefaults__ or ()), plain is not function
    return _of(plain.__code__, *given)


@lru_cache(4096)
def _of(code: CodeType, defaults: int, keyword_defaults: int, bound: bool) -> bool:
    positional = code.co_argcount - defaults - bound
    return positional > 0 or code.co_kwonlyargcount > keyword_defaults


def install() -> None:
    helpers.expects_arguments = expects_arguments


def settle() -> None:
    """After the start: what lives as long as the process need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # the rings that NiceGUI makes of each element are found while they are few
