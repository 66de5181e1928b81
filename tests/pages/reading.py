"""What the tables of a page say."""

import html
import re


def rows_of(table: str) -> list[list[str]]:
    """The text of each cell of an HTML table, of its head first."""
    rows = []
    for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        rows.append([html.unescape(re.sub(r"<.*?>", "", cell)) for cell in cells])
    return rows


def table_of(page: str, title: str) -> list[list[str]]:
    """The first table after the heading, or the caption, ``title``."""
    after = re.split(rf"<(?:h[23]|caption)>{re.escape(title)}</(?:h[23]|caption)>", page)[1]
    return rows_of(after.partition("</table>")[0])
