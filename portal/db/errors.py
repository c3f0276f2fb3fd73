"""Why the portal cannot start."""


class CannotStart(Exception):
    """The database is not usable as it is; the message is one sentence for the operator."""


class RolesMissing(CannotStart):
    """The portal's roles are not (all) there, and the user it was given may not make them."""
