"""What goes wrong with a backup; each message is one sentence for the operator."""


class NotMade(Exception):
    """There is no new archive; an older one is as it was."""


class Unusable(Exception):
    """The archive cannot be restored. Nothing was changed."""


class NotRestored(Exception):
    """The restore was refused before it began, or ended before it was complete."""
