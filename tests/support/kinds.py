"""All vendors there are, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support import kind_canvas, kind_learnupon, kind_media77, kind_moodle
from tests.support.deployment import KINDS
from tests.support.kind import Kind

_MORE = (kind_learnupon.KIND, kind_media77.KIND, kind_moodle.KIND, kind_canvas.KIND)
ALL_KINDS: Mapping[str, Kind] = {**KINDS, **{kind.name: kind for kind in _MORE}}
