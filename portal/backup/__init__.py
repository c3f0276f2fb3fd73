"""The portal's backup: making an archive while people work, and restoring it into an empty place."""
