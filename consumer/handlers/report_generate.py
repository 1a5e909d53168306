"""`report.generate`: headings, texts, tables and charts as a PDF or a workbook, as an artifact."""

from typing import Any

from consumer.artifact_access import artifacts_of
from consumer.reports.content import Content, content_of
from consumer.reports.payload import Report
from shared.jobs import Context, job

TIMEOUT_SECONDS = 300.0


@job("report.generate", aliases=("generateReport",), executor="process", timeout=TIMEOUT_SECONDS)
def generate(ctx: Context, payload: Report) -> dict[str, Any]:
    """Keep the report as artifact `report.pdf` or `report.xlsx`; return its reference, its pages or sheets, and the rows of its tables."""
    content = content_of(payload)
    made, counted, count = _workbook(content) if payload.format == "xlsx" else _document(content, ctx)
    kept = artifacts_of(ctx).put(ctx.job_id, f"report.{payload.format}", made)
    return {"artifact": kept.as_dict(), counted: count, "rows": content.row_count}


def _workbook(content: Content) -> tuple[bytes, str, int]:
    from consumer.reports.xlsx import workbook  # noqa: PLC0415 - its library is loaded when the first workbook wants it

    made, sheets = workbook(content)
    return made, "sheets", sheets


def _document(content: Content, ctx: Context) -> tuple[bytes, str, int]:
    from consumer.reports.pdf import document  # noqa: PLC0415 - likewise, of 20 MB

    def check() -> None:
        if ctx.cancelled:
            raise InterruptedError("asked to stop before the last page")

    made, pages = document(content, check)
    return made, "pages", pages
