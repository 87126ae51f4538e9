"""Seven backbones, one vote, an honest verdict."""

__version__ = "0.1.0"
