"""The quick answer is the stock one."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from portal import swift


class Thing:
    def none(self) -> None: ...
    def one(self, a: int) -> None: ...
    def maybe(self, a: int = 1) -> None: ...
    def named(self, *, a: int) -> None: ...
    def any(self, *a: int, **b: int) -> None: ...

    @classmethod
    def of_class(cls, a: int) -> None: ...

    @staticmethod
    def static(a: int) -> None: ...

    async def later(self, a: int) -> None: ...

    def __call__(self, a: int) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*a: Any) -> Any:
        return function(*a)

    return inner


T = Thing()


@pytest.mark.parametrize(
    'function',
    [
        T.none, T.one, T.maybe, T.named, T.any, T.of_class, T.static, T.later, T, Thing.one, Thing.none, wrapped(T.one), wrapped(T.none),
        lambda: None, lambda a: None, lambda a=1: None, lambda *, a=1: None, lambda *, a: None, lambda *a: None,
        functools.partial(T.one, 1), functools.partial(T.one), Thing, dict,
    ],
)  # fmt: skip
def test_the_same_answer(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function)
    except ValueError:
        with pytest.raises(ValueError, match='signature'):
            swift.expects_arguments(function)
        return
    for _twice in range(2):
        assert swift.expects_arguments(function) is swift._stock(function)  # pyright: ignore[reportPrivateUsage]
