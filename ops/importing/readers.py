"""Files of other systems, row by row in the order they have: XES, CSV, JSON, JSON lines, gzipped or not."""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from xml.parsers import expat

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ops.processes import Unusable

Bytes = io.BufferedReader | gzip.GzipFile

LONGEST = 1 << 20
"""Of one line or XML tag: more is no row but an accident or an attack."""
LONGEST_ARRAY = 1 << 26
"""Characters of a JSON array, which is held in memory."""
DEEPEST = 64
"""Elements within elements of an XES file."""


_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


class Unreadable(Unusable):
    """The file is not what the mapping says, or damaged: one sentence. Nothing of it is taken."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    """Where it begins in the (unzipped) file."""
    values: dict[str, str]
    broken: str | None = None
    """Why its values cannot be trusted."""


def _of_text(encoding: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
    except LookupError as why:
        raise ValueError(str(why)) from None
    return encoding


class Layout(BaseModel):
    """How the rows lie in the file. An XES file says its encoding itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["xes", "csv", "json", "jsonl"]
    encoding: Annotated[str, AfterValidator(_of_text)] = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","


@contextmanager
def opened(file: Path) -> Iterator[io.BufferedReader]:
    """The file; whatever is wrong with it while it is read becomes Unreadable."""
    try:
        with file.open("rb") as raw:
            if not raw.peek(1):
                raise Unreadable("it is empty")
            yield raw
    except EOFError:
        raise Unreadable(f"{file} cannot be imported: it was cut off in the middle") from None
    except (gzip.BadGzipFile, zlib.error) as why:
        raise Unreadable(f"{file} cannot be imported: it is damaged ({why})") from None
    except OSError as why:
        raise Unreadable(f"{file} cannot be read: {why.strerror}") from None
    except UnicodeDecodeError as why:
        raise Unreadable(f"{file} cannot be imported: it is not written in {why.encoding}") from None
    except (Unreadable, csv.Error, expat.ExpatError) as why:
        raise Unreadable(f"{file} cannot be imported: {why}") from None


def rows(raw: io.BufferedReader, layout: Layout, needed: Collection[str]) -> Iterator[Row]:
    """All rows of an opened file; `needed` are the columns no CSV file may lack."""
    zipped = raw.peek(2).startswith(b"\x1f\x8b")
    source = gzip.GzipFile(fileobj=raw) if zipped else raw
    match layout.format:
        case "xes":
            return _xes(source)
        case "csv":
            return _csv(source, layout, needed)
        case "json":
            return _json(source, layout)
        case "jsonl":
            return _jsonl(source, layout)


def _lines(source: Bytes, layout: Layout) -> Iterator[str]:
    text = io.TextIOWrapper(source, layout.encoding, newline="")
    while line := text.readline(LONGEST):
        if len(line) == LONGEST:
            raise Unreadable(f"it has a line of more than {LONGEST} characters")
        yield line


def _csv(source: Bytes, layout: Layout, needed: Collection[str]) -> Iterator[Row]:
    reader = csv.reader(_lines(source, layout), delimiter=layout.delimiter, strict=True)
    heading = next(reader, [])
    if absent := [column for column in sorted(needed) if column not in heading]:
        raise Unreadable(f"its heading has no column {', '.join(map(repr, absent))}")
    if len(set(heading)) < len(heading):
        raise Unreadable("its heading names a column twice")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as why:
            if reader.line_num > line:  # an open quote has swallowed rows: which ones, nobody knows
                raise Unreadable(f"a quote opened in line {line} is not closed properly ({why})") from None
            yield Row(line, {}, f"the line is not CSV: {why}")
            continue
        if cells:
            odd = len(cells) != len(heading)
            broken = f"it has {len(cells)} fields, the heading {len(heading)}" if odd else None
            yield Row(line, dict(zip(heading, cells, strict=False)), broken)


def _json(source: Bytes, layout: Layout) -> Iterator[Row]:
    """The objects of one JSON array, which is read whole; JSON lines are for what is longer."""
    decoded = io.TextIOWrapper(source, layout.encoding)
    text = decoded.read(LONGEST_ARRAY + 1)
    if len(text) > LONGEST_ARRAY:
        raise Unreadable(f"it is a JSON array of more than {LONGEST_ARRAY} characters: make it JSON lines")
    at, line, expected = 0, 1, "["
    while between := re.compile(rf"\s*{re.escape(expected)}\s*").match(text, at):
        begins = between.end()
        line += text.count("\n", at, begins)
        try:
            found, at = _JSON.raw_decode(text, begins)
        except (ValueError, RecursionError):
            raise Unreadable(f"what begins in line {line} is no JSON") from None
        is_row = isinstance(found, dict)
        yield Row(line, _values(found) if is_row else {}, None if is_row else "it is no JSON object")
        line += text.count("\n", begins, at)
        expected = ","
    if expected == "[" or text[at:].strip() != "]":
        raise Unreadable(f"it is no JSON array: see line {line}")


def _jsonl(source: Bytes, layout: Layout) -> Iterator[Row]:
    for number, line in enumerate(_lines(source, layout), start=1):
        if not line.strip():
            continue
        try:
            found = _JSON.decode(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield Row(number, _values(found))
        elif number == 1:
            raise Unreadable("its first line is no JSON object")
        else:
            yield Row(number, {}, "the line is no JSON object")


def _values(found: dict[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _xes(source: Bytes) -> Iterator[Row]:
    parser = expat.ParserCreate()
    log = _Log(parser)
    fed = 0
    try:
        while chunk := source.read(1 << 16):
            parser.Parse(chunk)
            fed += len(chunk)
            if fed - parser.CurrentByteIndex > LONGEST:
                raise Unreadable(f"it has an XML tag of more than {LONGEST} bytes")
            yield from log.take()
        parser.Parse(b"", True)
    except (LookupError, ValueError) as why:  # an encoding that expat does not know
        raise Unreadable(str(why)) from None
    yield from log.take()


class _Log:
    """Collects the events of an XES file, each with the attributes of its trace as `case:…`."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self._path: list[str] = []
        self._trace: dict[str, str] = {}
        self._events: list[Row] = []
        self._rows: list[Row] = []
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype

    def take(self) -> list[Row]:
        taken, self._rows = self._rows, []
        return taken

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if not self._path and tag != "log":
            raise Unreadable(f"it is no XES log but <{tag}>")
        if len(self._path) == DEEPEST:
            raise Unreadable(f"its elements are nested more than {DEEPEST} deep")
        if tag == "trace":
            self._flush()
        elif tag == "event":
            self._events.append(Row(self._parser.CurrentLineNumber, {}))
        elif "key" in attributes and "value" in attributes:
            if self._path[-1] == "event":
                self._events[-1].values[sys.intern(attributes["key"])] = attributes["value"]
            elif self._path[-1] == "trace":
                self._trace[sys.intern(f"case:{attributes['key']}")] = attributes["value"]
        self._path.append(tag)

    def _end(self, _: str) -> None:
        if self._path.pop() in ("trace", "log"):
            self._flush()

    def _flush(self) -> None:
        self._rows += [Row(event.line, self._trace | event.values) for event in self._events]
        self._trace, self._events = {}, []

    def _doctype(self, *_: object) -> NoReturn:
        raise Unreadable("it declares a DOCTYPE, whose entities could be endless")
