"""What the tests of the front end share."""

from wavscp import folder  # noqa: F401 (fixture)
