"""The machine that the figures are of."""

import os
import platform

from mandate.bench.figures import Figures
from mandate.version import VERSION


def machine() -> Figures:
    """Return what it is, and how busy it was before anything was started."""
    return {
        "cores": os.cpu_count() or 0,
        "processor": _processor(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "mandate": VERSION,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
