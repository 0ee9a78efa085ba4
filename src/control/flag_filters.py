"""The filter that has a change wait for the organisation's windows. Imported only where there is a flag."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from featuremanagement import FeatureFilter

from control.flags import WINDOW_FILTER, Announced


class ChangeWindowFilter(FeatureFilter):
    """Asks the caller's `has_come`, for the ring that is the only one of its groups."""

    _alias = WINDOW_FILTER

    def evaluate(self, context: Mapping[str, object], **kwargs: object) -> bool:
        """Return whether the change that `context` announces has come."""
        given = Announced.model_validate(context["parameters"])
        (ring,) = cast("Sequence[str]", kwargs["groups"])
        has_come = cast("Callable[[datetime, bool], bool]", kwargs["has_come"])
        return ring in given.since and has_come(given.since[ring], given.urgent)
