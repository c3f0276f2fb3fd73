"""The client portal of a managed service provider."""

__version__ = '0.2.0'
