"""Whether a PostgreSQL database has anything new, without reading its rows."""

from __future__ import annotations

import hashlib

from features.engines.postgres import PostgresError, Session, connected
from features.faults import InputError
from features.history.contract import LOG
from features.history.postgres import catalogue

UNREACHABLE = "unreachable"
# All that the tables are made of: partitions, heirs, and what views read. Of each its file, which TRUNCATE and REFRESH
# replace, how many rows were ever added, changed and deleted, and what a view selects.
_BELOW = """
    WITH RECURSIVE below(oid) AS (
        SELECT unnest(ARRAY[{}]::oid[])
        UNION
        SELECT next.oid FROM below CROSS JOIN LATERAL (
            SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = below.oid
            UNION ALL
            SELECT refobjid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
            WHERE r.ev_class = below.oid AND classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass
        ) AS next
    )
    SELECT oid::int8, relkind::text, pg_relation_filenode(oid)::text, pg_stat_get_tuples_inserted(oid),
        pg_stat_get_tuples_updated(oid), pg_stat_get_tuples_deleted(oid),
        CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END
    FROM below JOIN pg_class USING (oid) ORDER BY 1"""


def state_of(url: str) -> str:
    """What changes whenever the contract's tables do: a hash of the log's newest number, the tables' columns, and the
    server's counts of rows that were added, changed and deleted.

    The counts lag behind by up to ten seconds, count what was rolled back, and begin anew after a crash: then the state
    changes without need. A standby has none, nor has a foreign table: there the tables' rows are counted, and a
    change of theirs in place shows only if it came by an addition, which the log has. `UNREACHABLE` where the server
    cannot be asked.
    """
    try:
        with connected(url) as session:
            return _state(session)
    except (InputError, PostgresError):
        return UNREACHABLE


def _state(session: Session) -> str:
    held = catalogue(session)
    tables = [*held.tables.values()]
    parts: list[object] = [(one.schema, one.name, one.kind, one.columns) for one in tables]
    # whoever may read the tables may not yet read a log that the first addition made
    if session.rows(f"SELECT has_table_privilege(to_regclass('{LOG}')::oid, 'SELECT')")[0][0]:
        parts.append(session.rows(f"SELECT max(batch) FROM {LOG}"))
    below = session.rows(_BELOW.format(", ".join(str(one.oid) for one in tables))) if tables else []
    parts.append(below)
    standby = session.rows("SELECT pg_is_in_recovery()")[0][0]
    if standby or any(kind == "f" for _, kind, *_ in below):
        parts += [session.rows(f"SELECT count(*) FROM {one.sql}") for one in tables]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
