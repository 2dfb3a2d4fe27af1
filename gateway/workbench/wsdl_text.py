"""The differences between a mapping and the WSDLs, on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from gateway.workbench.wsdl import Difference, names_block

INFORMATION = frozenset({"style", "action", "address"})


def print_differences(differences: Sequence[Difference], console: Console, *, as_json: bool = False) -> int:
    """Print them with the `names:` to paste; 1 when a name differs or a service could not be read."""
    block = names_block(differences)
    if as_json:
        data = {"differences": [difference.data() for difference in differences], "names": block}
        console.out(json.dumps(data, ensure_ascii=False), highlight=False)
    else:
        for difference in differences:
            _print(difference, console)
        if block:
            console.print("\nInto config.yaml, under the tenant:\n", highlight=False)
            console.out(block, highlight=False)
        if not differences:
            console.print("Every name of the mapping is in the WSDLs.", highlight=False)
    return 1 if any(difference.kind not in INFORMATION for difference in differences) else 0


def _print(difference: Difference, console: Console) -> None:
    theirs = f" → {escape(difference.theirs)}" if difference.theirs else ""
    line = f"[bold]{difference.kind}[/] {escape(difference.name)}{theirs}  ({escape(difference.place)})"
    console.print(line, highlight=False, soft_wrap=True)
    if difference.note:
        console.print(f"  {escape(difference.note)}", highlight=False, soft_wrap=True)
