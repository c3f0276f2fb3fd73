"""Companies and people from a CSV file: read, matched, tried, and then done in the background."""

from portal.domain.imports.model import KEPT_DAYS, Batch, ImportRow, Kind, Outcome, State

__all__ = ['KEPT_DAYS', 'Batch', 'ImportRow', 'Kind', 'Outcome', 'State']
