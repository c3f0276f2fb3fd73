"""Time zones to choose from, by region."""

from functools import cache
from zoneinfo import available_timezones

from portal.components.values import Option, OptionGroup
from portal.i18n import _

_REGIONS = ('Africa', 'America', 'Antarctica', 'Arctic', 'Asia', 'Atlantic', 'Australia', 'Europe', 'Indian', 'Pacific')


def _region_words(region: str) -> str:
    return {
        'Africa': _('Africa'), 'America': _('America'), 'Antarctica': _('Antarctica'), 'Arctic': _('Arctic'), 'Asia': _('Asia'),
        'Atlantic': _('Atlantic'), 'Australia': _('Australia'), 'Europe': _('Europe'), 'Indian': _('Indian Ocean'),
        'Pacific': _('Pacific'),
    }[region]  # fmt: skip


@cache
def _cities() -> dict[str, list[str]]:
    """Time zones by region, as the IANA names them; without the old names that have none, but for UTC."""
    cities: dict[str, list[str]] = {region: [] for region in _REGIONS}
    for name in sorted(available_timezones()):
        region = name.partition('/')[0]
        if region in cities and '/' in name:
            cities[region].append(name)
    return cities


def zone_words(name: str) -> str:
    """`America/New_York` → `New York`"""
    return name.partition('/')[2].replace('_', ' ').replace('/', ', ') or name


def _current(zone: str) -> str:
    region = zone.partition('/')[0]
    return f'{zone_words(zone)} ({_region_words(region)})' if region in _REGIONS else zone


def zone_options(current: str) -> list[OptionGroup]:
    """The current one first, so that it is seen without looking for it."""
    first = Option(current, _current(current))
    rest = [
        OptionGroup(_region_words(region), tuple(Option(name, zone_words(name)) for name in names if name != current))
        for region, names in _cities().items()
    ]
    other = (OptionGroup(_('Everywhere the same'), (Option('UTC', 'UTC'),)),) if current != 'UTC' else ()
    return [OptionGroup(_('Now'), (first,)), *rest, *other]
