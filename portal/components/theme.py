"""A tenant's colour becomes an accent that can be read: every pair is brought to its contrast by lightness, hue and chroma stay.

The tokens are those of `tokens.css`; the arithmetic is OKLCH (Björn Ottosson, 2020) and WCAG 2 contrast.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

Side = Literal['client', 'staff']
OKLCH = tuple[float, float, float]
RGB = tuple[float, float, float]

TEXT, CONTROL = 4.5, 3.0
_SLACK = 0.06  # so that rounding to eight bits does not fall below
_WHITE = '#ffffff'
_HEX = re.compile(r'#[0-9a-f]{6}', re.IGNORECASE)

# Paper, sheet, sunken of tokens.css, and its ink, secondary and faint words, marks and control edges, for light and dark
_SURFACES = (('#faf8f6', '#ffffff', '#f3f0ed'), ('#151310', '#1d1b18', '#282521'))
_ON_SOFT = (
    (
        *((words, TEXT) for words in ('#1c1915', '#514c46', '#6c675f', '#7f4700', '#a01819')),
        *((mark, CONTROL) for mark in ('#b76c00', '#d92c2b', '#857f76', '#908a81')),
    ),
    (
        *((words, TEXT) for words in ('#efece8', '#bebab4', '#9d9790', '#eab173', '#ff9487')),
        *((mark, CONTROL) for mark in ('#da933c', '#ff695e', '#8b857d', '#7a756e')),
    ),
)


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast of two colours such as `#1e53bc`, from 1 to 21. ValueError if one is not a colour."""
    bright, dim = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def accent_css(hex: str | None, side: Side) -> str:
    """The --accent* tokens of a side in a tenant's colour, for a style element. '' without one, ValueError if it is no colour."""
    if not hex:
        return ''
    light, dark = _tokens(_checked(hex), dark=False), _tokens(_checked(hex), dark=True)
    lines = ' '.join(f'--{name}: light-dark({light[name]}, {dark[name]});' for name in light)
    return f':root[data-side="{side}"] {{ {lines} }}'


def shades(hex: str) -> tuple[str, str] | None:
    """The accent as it becomes in light and in dark; None without a colour, ValueError if it is none."""
    return (_tokens(_checked(hex), dark=False)['accent'], _tokens(_checked(hex), dark=True)['accent']) if hex else None


def _checked(colour: str) -> str:
    if not isinstance(colour, str) or not _HEX.fullmatch(colour):
        raise ValueError('a colour is written like #1e53bc')
    return colour.lower()


@cache
def _tokens(colour: str, *, dark: bool) -> dict[str, str]:
    """Name to colour, without the dashes."""
    lightness, chroma, hue = _to_oklch(colour)
    surfaces = _SURFACES[dark]
    soft = _soft(chroma, hue, dark=dark)
    accent = _accent(lightness, chroma, hue, (*surfaces, soft))
    deep = _from(0.27, min(chroma, 0.08), hue) if dark else _from(min(lightness, 0.42), min(chroma, 0.14), hue)
    field = _until(deep, -1, [(_WHITE, TEXT)])
    words = _shifted(accent, 0.2) if dark else accent
    return {
        'accent': accent,
        'accent-hover': _hover(accent),
        'accent-text': _until(words, 1 if dark else -1, [(ground, TEXT) for ground in (*surfaces, soft)]),
        'accent-soft': soft,
        'accent-line': _from(0.42 if dark else 0.86, min(chroma, 0.09 if dark else 0.07), hue),
        'accent-field': field,
        'on-accent': _WHITE,
        'on-field-2': _until(_from(0.86 if dark else 0.9, min(chroma, 0.05), hue), 1, [(field, TEXT)]),
    }


def _accent(lightness: float, chroma: float, hue: float, grounds: tuple[str, ...]) -> str:
    """White words on it, and it as a control on every ground: in the dark a narrow band; the nearest lightness is taken."""
    needs = [(_WHITE, TEXT), *((ground, CONTROL) for ground in grounds)]
    for offset in sorted((n / 200 for n in range(-200, 201)), key=abs):
        tried = lightness + offset
        if 0 <= tried <= 1 and _holds(found := _from(tried, chroma, hue), needs):
            return found
    # Some hues have no such lightness at their chroma in the dark; grey of the hue always has one
    return _accent(lightness, chroma * 0.8 if chroma > 0.01 else 0.0, hue, grounds)


def _hover(accent: str) -> str:
    """A little darker; what is nearly black already, a little lighter."""
    return _shifted(accent, 0.12 if _to_oklch(accent)[0] < 0.2 else -0.045)


def _soft(chroma: float, hue: float, *, dark: bool) -> str:
    """The ground of what is selected: as much colour as the words and marks of the portal bear."""
    start = _from(0.27 if dark else 0.958, min(chroma, 0.05 if dark else 0.02), hue)
    return _until(start, -1 if dark else 1, _ON_SOFT[dark])


def _until(colour: str, direction: int, needs: Sequence[tuple[str, float]]) -> str:
    """The colour, made lighter (1) or darker (-1) until every need holds."""
    lightness, chroma, hue = _to_oklch(colour)
    while not _holds(colour, needs) and 0 < lightness < 1:
        lightness += direction * 0.005
        colour = _from(lightness, chroma, hue)
    return colour


def _holds(colour: str, needs: Sequence[tuple[str, float]]) -> bool:
    return all(contrast(colour, other) >= least + _SLACK for other, least in needs)


def _shifted(colour: str, by: float) -> str:
    lightness, chroma, hue = _to_oklch(colour)
    return _from(lightness + by, chroma, hue)


# ---------- colour arithmetic ----------


def _channels(colour: str) -> RGB:
    checked = _checked(colour)
    r, g, b = (int(checked[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return _linear(r), _linear(g), _linear(b)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _encoded(channel: float) -> float:
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


@cache
def _luminance(colour: str) -> float:
    r, g, b = _channels(colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@cache
def _to_oklch(colour: str) -> OKLCH:
    r, g, b = _channels(colour)
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


@cache
def _from(lightness: float, chroma: float, hue: float) -> str:
    """Hex of an OKLCH colour; chroma is given up until the screen can show it."""
    lightness = min(max(lightness, 0.0), 1.0)
    while True:
        channels = _to_rgb(lightness, chroma, hue)
        if chroma < 0.002 or all(-0.0005 <= channel <= 1.0005 for channel in channels):
            break
        chroma *= 0.96
    return '#' + ''.join(f'{round(_encoded(min(max(channel, 0.0), 1.0)) * 255):02x}' for channel in channels)


def _to_rgb(lightness: float, chroma: float, hue: float) -> RGB:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
