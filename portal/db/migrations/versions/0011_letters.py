"""Letters that many people get of one event are one job."""

from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("insert into app.task values ('send_letters')")
