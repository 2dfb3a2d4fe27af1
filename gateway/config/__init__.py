"""config.yaml and the secrets it points to, as frozen Settings; every problem in one report.

load.py      the deployment: listeners, store, limits, and where config.yaml is found
file.py      the file: values by path, secrets, places
tenants.py   one tenant, with doors.py (who may come in) and hosts.py (where calls may go),
             rtopilot.py and hooks.py (RTOPilot's own side), progress.py (how progress is read),
             launch.py (the learners' pages)
schemas/config.json   every key, with title, description and examples
"""

from gateway.config.hooks import HooksConfig
from gateway.config.load import ENVIRONMENT, Limits, Listener, Settings, find_config, load_config
from gateway.config.progress import ProgressConfig
from gateway.config.rtopilot import Rtopilot
from gateway.config.tenants import TenantConfig
from gateway.launch.terms import LaunchConfig

__all__ = [
    "ENVIRONMENT",
    "HooksConfig",
    "LaunchConfig",
    "Limits",
    "Listener",
    "ProgressConfig",
    "Rtopilot",
    "Settings",
    "TenantConfig",
    "find_config",
    "load_config",
]
