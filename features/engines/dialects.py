"""SQL of expressions in an engine's dialect: Ibis's, but for what the engine would compute otherwise than DuckDB."""

from __future__ import annotations

from typing import Any

import ibis.backends.sql.compilers as compilers
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import sqlglot.expressions as sge

_UTC = dt.Timestamp(timezone="UTC")


class _PostgreSQL(compilers.PostgresCompiler):
    __slots__ = ()

    def visit_Round(self, op: Any, *, arg: Any, digits: Any) -> Any:  # noqa: N802
        """To the nearest whole number, halves away from zero: Ibis rounds the number's first 15 digits instead."""
        whole = self.f.trunc(arg)
        return self.cast(whole + self.f.trunc(sge.paren(arg - whole) * 2), op.dtype)

    def visit_Median(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """The mean of the two values in the middle, as DuckDB rounds it: `percentile_cont` adds half of the difference
        to the lower one. For up to 500 million values."""
        order = sge.Order(expressions=[sge.Ordered(this=arg)])
        middle = sge.WithinGroup(this=self.f.percentile_disc(self.f.array(0.5, 0.5 + 1e-9)), expression=order)
        chosen = middle if where is None else sge.Filter(this=middle, expression=sge.Where(this=where))
        low, high = (sge.paren(chosen)[place] for place in (0, 1))
        return sge.paren(low + high) * 0.5


class _BigQuery(compilers.BigQueryCompiler):
    __slots__ = ()
    UNSUPPORTED_OPS = tuple(op for op in compilers.BigQueryCompiler.UNSUPPORTED_OPS if op is not ops.Median)

    def visit_Median(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """The mean of the two values in the middle: BigQuery has no exact median over the rows of a group."""
        known = arg if where is None else self.if_(where, arg, sge.Null())
        values = self.f.array_agg(sge.IgnoreNulls(this=sge.Order(this=known, expressions=[known])))
        count = self.f.count(known)
        low, high = (values[self.f.safe_offset(self.f.div(n, 2))] for n in (count - 1, count))
        return sge.paren(low + high) / 2

    # Moments without a zone are DATETIMEs, which never become TIMESTAMPs by themselves; Ibis has functions of these.

    def visit_TimestampAdd(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Of a moment without a zone."""
        return self.f.anon["DATETIME_ADD"](left, right)

    def visit_TimestampSub(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Of a moment without a zone."""
        return self.f.anon["DATETIME_SUB"](left, right)

    def visit_TimestampTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:  # noqa: N802
        """Of a moment without a zone."""
        return self.f.anon["DATETIME_TRUNC"](arg, self.v[unit.name])


class _Snowflake(compilers.SnowflakeCompiler):
    __slots__ = ()

    def visit_DayOfWeekIndex(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """0 is Monday: the day that `DAYOFWEEK` begins with is a setting of the session."""
        return self.f.anon.dayofweekiso(arg) - 1


class _Spark(compilers.PySparkCompiler):
    __slots__ = ()

    def visit_Median(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """Of the values that are chosen: Ibis gives the filter to the share as well, which must be a constant."""
        return self.f.percentile(arg if where is None else self.if_(where, arg, sge.Null()), 0.5)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
        """A number with a point is a decimal in Spark, and what meets it is rounded to one."""
        found = super().visit_NonNullLiteral(op, value=value, dtype=dtype)
        return self.cast(value, dtype) if dtype.is_floating() else found

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """0 where the condition is missing in all rows: Ibis's sum of conditions is missing then."""
        return self.f.count(sge.Star()) if where is None else self.f.count_if(where)

    def visit_TimestampDelta(self, op: Any, *, part: Any, left: Any, right: Any) -> Any:  # noqa: N802
        """Microseconds: Ibis's `datediff` knows whole days alone."""
        return self.f.unix_micros(self.cast(left, _UTC)) - self.f.unix_micros(self.cast(right, _UTC))


_COMPILERS = {"postgres": _PostgreSQL(), "bigquery": _BigQuery(), "snowflake": _Snowflake(), "pyspark": _Spark()}


def _compiler(dialect: str) -> Any:
    return _COMPILERS.get(dialect) or getattr(compilers, dialect).compiler


def sql(expression: ir.Table, dialect: str, *, pretty: bool = False) -> str:
    """A SELECT that yields the expression."""
    compiler = _compiler(dialect)
    found: str = compiler.to_sqlglot(expression.unbind()).sql(dialect=compiler.dialect, pretty=pretty)
    return found


def columns(schema: sch.Schema, dialect: str) -> str:
    """Names and types of a schema's columns, as CREATE TABLE takes them."""
    compiler = _compiler(dialect)
    defined = [column.sql(compiler.dialect) for column in schema.to_sqlglot_column_defs(compiler.type_mapper.dialect)]
    if dialect == "postgres":  # DuckDB's order of texts; other collations depend on the server
        defined = [
            f'{column} COLLATE "C"' if kind.is_string() else column
            for column, kind in zip(defined, schema.types, strict=True)
        ]
    return ", ".join(defined)


def cast(query: str, schema: sch.Schema, dialect: str) -> str:
    """A SELECT of what another yields, its columns in the types of `schema`."""
    compiler = _compiler(dialect)
    listed = [
        sge.Cast(this=sge.column(name, quoted=True), to=compiler.type_mapper.from_ibis(kind)).as_(name, quoted=True)
        for name, kind in schema.items()
    ]
    columns = ", ".join(one.sql(compiler.dialect) for one in listed)
    return f"SELECT {columns} FROM ({query}) AS t"
