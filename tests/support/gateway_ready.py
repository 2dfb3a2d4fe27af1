"""Imported once by the fork server: what every gateway would do anew at its start, done.

No thread and no event loop may begin here: a fork would leave them behind.
"""

import alembic.command  # noqa: F401 - else imported for the first migration, a quarter of a second

import gateway.config
import gateway.serving  # noqa: F401
import tests.support.gateway_process  # noqa: F401
from gateway.mapping.load import load_mapping
from gateway.mapping.schema import data_folder

for file in data_folder("mappings").glob("*.yaml"):
    load_mapping(file)  # kept compiled
