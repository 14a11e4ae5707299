"""Errors of the local host.

HostError                    what a person at the terminal can put right; printed as one line
├── SettingsError            local.settings.json or host.json says something that cannot be followed
├── FunctionAppError         function_app.py does not index
│   └── RouteError           a route template the router of the Functions host would refuse
├── ScheduleError            a timer schedule that is neither NCRONTAB nor a time span
├── PortInUseError           another process listens on the port
└── AzuriteError             Azurite is missing or does not start
"""


class HostError(Exception):
    """Something a person at the terminal can put right."""


class SettingsError(HostError):
    """local.settings.json or host.json says something that cannot be followed."""


class FunctionAppError(HostError):
    """function_app.py does not index."""


class RouteError(FunctionAppError):
    """A route template the router of the Functions host would refuse."""


class ScheduleError(HostError):
    """A timer schedule that is neither NCRONTAB nor a time span."""


class PortInUseError(HostError):
    """Another process listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use: stop the other process, or choose another (--port or PORT; 0: any)")
        self.port = port


class AzuriteError(HostError):
    """Azurite is missing or does not start."""
