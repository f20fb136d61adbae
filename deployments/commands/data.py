"""``cogumi data …``: the dataset steps on plain files. Parses and prints; the work is in tasks/data/plain/commands.

Inputs and the output are JSONL (also .zst, .gz) or Parquet by their endings; a record needs only prompt and response,
and Alpaca's and Dolly's instruction, input or context and output or response are understood. Settings are the ``data``
section of a profile. What cannot be read or written is said before any work; OUT is written whole or not at all, over
what was there, and no other file of the same command is.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import BaseModel

from blocks.printable import harmless_json
from configs.errors import BadInput, GateFailed
from configs.phases.data import Data
from configs.reading import quoted
from configs.schema import load
from deployments.terminal.console import say_json
from deployments.terminal.output_files import check_readable, check_writable, write
from deployments.terminal.shutdown import work_begins

app = typer.Typer(no_args_is_help=True, help="The dataset steps on plain files: JSONL (also .zst, .gz) and Parquet.")

Paths = Annotated[list[Path], typer.Argument(metavar="IN... OUT", help="Files to read, then the file to write.")]
Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="IN...",
        help="Files to read; a last one that is not there yet, or in .json without records, gets the report.",
    ),
]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE.json", help="Also write the report there.")]
ProfileName = Annotated[str, typer.Option("--profile", "-p", help="Whose data settings to use.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Override one setting of the profile; repeatable."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")]
ROWS = {
    ".jsonl",
    ".parquet",
    ".csv",
    ".tsv",
    ".gz",
    ".zst",
    ".ndjson",
}  # endings of files of records; no report is written to one
_PATTERN = re.compile(r"[*?[]")  # left in an argument where no file matched
DEFAULT = "llama-8b"  # real text; nano's thresholds are for its tiny sentences


@app.command()
def collect(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE[=FILES]... OUT",
            help="Public sources, from the hub or NAME=PATTERN for local files; then the file to write.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write, in place of a last OUT.")] = None,
    records: Annotated[int, typer.Option(min=1, help="Rows read from each source, at most.")] = 1_000_000,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Records kept of each, the best ones; all by default.")
    ] = None,
    report: ReportFile = None,
) -> None:
    """Read public sources into one file, with source, licence and revision in every record."""
    from tasks.data.collect.reader import local_files
    from tasks.data.plain.commands.collect import collect_files

    if nameless := next(
        (one for one in source[: None if out else -1] if not one.partition("=")[0].strip() or one.endswith("=")), None
    ):
        raise BadInput(f"{quoted(nameless)}: write a source as NAME, or as NAME=FILES")
    if out is None:
        if len(source) < 2:
            raise BadInput("give at least one source and the file to write: SOURCE[=FILES]... OUT")
        out = Path(source.pop())
    files = local_files(pattern for one in source if (pattern := one.partition("=")[2]))
    _ready(files, out, report)
    if empty := next((path for path in files if not path.stat().st_size), None):
        raise BadInput(f"{empty}: empty, so there is nothing to collect; leave it out")
    _finish(collect_files(source, out, records, keep), report)


@app.command(name="filter")
def filter_(
    paths: Paths,
    rejects: Annotated[Path | None, typer.Option(help="What was dropped, with reason: JSON lines.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Evaluation questions; records that contain one are dropped too. Repeatable."),
    ] = None,
    tokenizer: Annotated[
        str, typer.Option(help="Counts tokens: words, a folder, or owner/name@commit of the hub.")
    ] = "words",
    report: ReportFile = None,
    profile: ProfileName = DEFAULT,
    set_: Set = None,
) -> None:
    """Drop what a rule filter objects to: length, language, personal data, offence, licence text, format,
    repetition."""
    from tasks.data.plain.commands.filter import filter_files

    inputs, out = _split(paths)
    _ready([*inputs, *(against or ())], out, rejects, report, in_place=inputs)
    _finish(
        filter_files(
            inputs=inputs,
            out=out,
            settings=_settings(profile, set_),
            rejects=rejects,
            against=against or (),
            tokenizer=tokenizer,
        ),
        report,
    )


@app.command()
def dedup(
    paths: Paths,
    pairs: Annotated[
        Path | None, typer.Option(help="Every dropped id with its keeper and Jaccard: JSON lines.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Jaccard from which two records are near-duplicates; the profile's by default."
        ),
    ] = None,
    linkage: Annotated[
        Literal["star", "single"] | None,
        typer.Option(help="star: near its keeper; single: any chain of near ones; the profile's by default."),
    ] = None,
    fold: Annotated[
        bool | None,
        typer.Option(
            help="Compare without what cannot be seen: kind and number of spaces, zero-width characters, NFC or NFD; "
            "the profile's by default."
        ),
    ] = None,
    seed: Seed = 0,
    report: ReportFile = None,
    profile: ProfileName = DEFAULT,
    set_: Set = None,
) -> None:
    """Keep one record, the best, of every cluster of exact and near-duplicates."""
    from tasks.data.plain.commands.dedup import dedup_files

    inputs, out = _split(paths)
    _ready(inputs, out, pairs, report, in_place=inputs)
    chosen = {
        name: value
        for name, value in (("threshold", threshold), ("linkage", linkage), ("fold", fold))
        if value is not None
    }
    settings = _settings(profile, set_).near_duplicates.model_copy(update=chosen)
    _finish(dedup_files(inputs, out, settings, seed, pairs), report)


@app.command()
def verify(
    inputs: Inputs, seed: Seed = 0, report: ReportFile = None, profile: ProfileName = DEFAULT, set_: Set = None
) -> None:
    """Measure files as the dataset phase measures its result; exit code 3 if they miss a threshold."""
    from tasks.data.plain.commands.verify import verify_files

    files, out = _perhaps_out(inputs)
    _ready(files, out, report)
    found = verify_files(files, _settings(profile, set_), seed)
    _finish(found, report, out)
    missed = [
        f"{check.name} = {check.value:.4g}, must be {check.rule} {check.threshold:.4g}"
        for check in found.checks
        if not check.passed
    ]
    if missed:
        raise GateFailed(f"verify: {'; '.join(missed)}")


@app.command()
def stats(inputs: Inputs, report: ReportFile = None) -> None:
    """Count what is in files: fields, lengths, domains, sources."""
    from tasks.data.plain.commands.stats import stats_files

    files, out = _perhaps_out(inputs)
    _ready(files, out, report)
    _finish(stats_files(files), report, out)


def _settings(profile: str, overrides: list[str] | None) -> Data:
    return load(profile, overrides).data


def _split(paths: list[Path]) -> tuple[list[Path], Path]:
    """The files to read and the file to write."""
    if len(paths) < 2:
        raise BadInput("give at least one file to read and the file to write: IN... OUT")
    return paths[:-1], paths[-1]


def _perhaps_out(paths: list[Path]) -> tuple[list[Path], Path | None]:
    """The files to read, and where the report goes."""
    last = paths[-1]
    absent = not os.path.exists(last) and not _PATTERN.search(last.name) and not ROWS.intersection(last.suffixes)
    if len(paths) > 1 and (absent or (last.suffix == ".json" and not _holds_records(last))):
        return paths[:-1], last
    return paths, None


def _holds_records(path: Path) -> bool:
    """Whether a JSON file is an array, as public sets come; a report is an object."""
    try:
        return isinstance(json.loads(path.read_bytes()), list)
    except (OSError, ValueError):
        return False


def _ready(inputs: Sequence[Path], *outputs: Path | None, in_place: Sequence[Path] = ()) -> None:
    """Say before any work what cannot be read or written. Only the first output may be an input, where that is in
    ``in_place``."""
    from tasks.data.plain.packing.unpacked import check

    for path in inputs:
        check(path)
        check_readable(path)
    taken = {os.path.realpath(path): "is read" for path in inputs}
    allowed = {os.path.realpath(path) for path in in_place}
    for number, out in enumerate(outputs):
        if out is None:
            continue
        if _PATTERN.search(out.name):
            raise BadInput(
                f"{out}: a pattern that matched no file, or a name with * or ? in it; name the file to write"
            )
        place = os.path.realpath(out)
        if place in taken and not (number == 0 and place in allowed):
            raise BadInput(f"{out}: {taken[place]} by the same command; name another file to write")
        taken[place] = "is written"
        check_writable(out)
    work_begins()


def _finish(found: BaseModel, *files: Path | None) -> None:
    """Print the report, and write it where it was asked for."""
    for path in files:
        if path is not None:
            write(path, f"{harmless_json(found.model_dump_json(indent=1))}\n".encode())
    say_json(found)
