"""What a person chooses for themselves, and what a client admin decides for the company: screens behind one row of tabs."""

from portal.pages.settings import new_app, profile, security

SCREENS = (*profile.SCREENS, *security.SCREENS, *new_app.SCREENS)
