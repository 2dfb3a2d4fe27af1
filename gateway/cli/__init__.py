"""`lms-gateway`: the commands, a thin shell over the rooms. Each is in the file of those who run it.

operator.py   serve, db, runs, adopt             newcomer.py  demo
admin.py      check, settings, choices, token    author.py    lint, plan, try, explain, test, docs, …
outbox.py     outbox: what RTOPilot is told      hooks.py     hooks: what came in by webhook
units.py      units: results of units
commands.py   all of them as one application     docs.py      docs/commands.md
options.py    what many of them take             report.py    what they print
serving.py    the gateway as a process           listen.py    applications on sockets
"""

from gateway.cli.commands import app, main

__all__ = ["app", "main"]
