"""The sections of the screen about security."""
