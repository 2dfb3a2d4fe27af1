"""The entry point: `serve` on its own, every other command through the application of all."""

from __future__ import annotations

import sys

from gateway.cli import serving


def main() -> None:
    """The entry point of `lms-gateway`."""
    try:
        options = serving.read_options(sys.argv[1:])
        if options is not None:
            sys.exit(serving.serve(options))
        from gateway.cli.commands import app

        app(prog_name="lms-gateway")
    except KeyboardInterrupt:
        sys.exit(130)
