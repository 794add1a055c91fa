"""Speech emotion recognition from speaker networks, in the shape of a Kaldi recipe."""

__version__ = "0.1.0"
