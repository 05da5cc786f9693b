"""Property tests that take about as long each time."""

from hypothesis import HealthCheck, settings

BOUNDED = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
"""The same examples in every run: what a run finds must not depend on chance. For others set derandomize to False."""
