"""What the doctor found, net by net, errors first; and in a few lines before a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bench.system.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.metadata import Diagnosis, Finding

_STYLES = {"error": "bold red", "advice": "yellow"}


def show_diagnoses(diagnoses: Sequence[Diagnosis], console: Console, *, names_data: bool = False) -> None:
    """Print every finding under the name of its net, with its line; --quiet leaves the nets that have an error."""
    if console.quiet:
        console, diagnoses = Console(highlight=False), [each for each in diagnoses if each.errors]
    for diagnosis in diagnoses:
        data = f" on {diagnosis.dataset}" if names_data and diagnosis.dataset else ""
        head = Text(one_line(f"{diagnosis.architecture}{data}"), style="bold")
        if not diagnosis.findings:
            console.print(
                head.append(f": nothing to say ({diagnosis.seconds:.1f} s)", style="not bold"), soft_wrap=True
            )
            continue
        console.print(head.append(f": {_count(diagnosis)}", style="not bold"), soft_wrap=True)
        for finding in diagnosis.findings:
            console.print(_line(finding), soft_wrap=True)


def show_total(diagnoses: Sequence[Diagnosis], file: Path, console: Console) -> None:
    """Print how many nets have an error, and where all findings stand."""
    ill = sum(bool(diagnosis.errors) for diagnosis in diagnoses)
    said = f"{ill} of {plural(len(diagnoses), 'net')} {'has' if ill == 1 else 'have'} errors. Findings: {file}"
    console.print(said, markup=False, soft_wrap=True)


def show_examined(diagnoses: Sequence[Diagnosis], console: Console, *, names_data: bool = False) -> bool:
    """Print the errors for which nets are not trained, and where advice is to be had; whether there is an error."""
    loud = Console(highlight=False) if console.quiet else console  # which --quiet leaves
    for diagnosis in diagnoses:
        name = f"{diagnosis.architecture}{f' on {diagnosis.dataset}' if names_data else ''}"
        for finding in diagnosis.errors:
            head = Text.assemble(("Not trained: ", "bold red"), (one_line(name), "bold"), ": ")
            loud.print(head.append(_words(finding)), soft_wrap=True)
    if advised := [diagnosis for diagnosis in diagnoses if diagnosis.advice and not diagnosis.errors]:
        names = ", ".join(dict.fromkeys(one_line(diagnosis.architecture) for diagnosis in advised))
        console.print(f"The doctor has advice on {names}: in the report, or by --doctor.", markup=False, soft_wrap=True)
    return any(diagnosis.errors for diagnosis in diagnoses)


def _count(diagnosis: Diagnosis) -> str:
    errors = f"{plural(len(diagnosis.errors), 'error')}, " if diagnosis.errors else ""
    pieces = f"{plural(len(diagnosis.advice), 'piece')} of advice"
    return f"{errors}{pieces} ({diagnosis.seconds:.1f} s)"


def _line(finding: Finding) -> Text:
    line = Text("  ").append(f"{finding.level:<6}", style=_STYLES[finding.level]).append(f"  {finding.check}")
    if finding.layer and not finding.message.startswith((finding.layer, f"layer {finding.layer} ")):
        line.append(f"  {one_line(finding.layer)}", style="bold")
    return line.append(f": {_words(finding)}")


def _words(finding: Finding) -> str:
    """Its message, with file and line behind it."""
    place = f" ({finding.place})" if finding.place else ""
    return one_line(f"{finding.message}{place}.")
