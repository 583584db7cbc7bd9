"""From a profile's YAML to what `harness.wire` makes a Wire of: how another implementation of the API looks."""

from harness.profile.reading import read_profile
from harness.profile.schema import profile_schema
from harness.profile.words import SUFFIX

__all__ = ["SUFFIX", "profile_schema", "read_profile"]
