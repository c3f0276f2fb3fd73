"""The queue: by whose turn it is. It is the staff's home."""

from portal.domain.access import Permission
from portal.pages.screens import Screen
from portal.pages.staff.queue.queue import queue

SCREENS = (
    Screen('', queue, Permission.TICKETS_SEE, 'queue'),
    Screen('/tickets', queue, Permission.TICKETS_SEE, 'queue'),
)
