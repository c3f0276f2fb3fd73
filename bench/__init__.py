"""How fast the portal is, beside what it could be at best: `python -m bench`."""
