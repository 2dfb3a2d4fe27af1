"""`lms-gateway`: the commands, a thin shell over the rooms. Each is in the file of those who run it.

operator.py   serve, db, runs, adopt             newcomer.py  demo
admin.py      check, settings, choices, token    author.py    lint, plan, try, explain, test, docs, …
outbox.py     outbox: what RTOPilot is told      hooks.py     hooks: what came in by webhook
units.py      units: results of units
commands.py   all of them as one application     docs.py      docs/commands.md
start.py      the entry point                    serving.py   `serve`, light
options.py    what many of them take             report.py    what they print
"""

from gateway.cli.start import main

__all__ = ["main"]
