"""realm: Claude Code unattended in a throw-away container, its work kept as commits."""

__version__ = "0.1.0"
