"""Markdown of people, as clean HTML."""

from portal.components.markdown import to_html as to_html
from portal.components.markdown import to_text as to_text
