"""Releases of Moodle that the stand-in can be, and what differs between them.

Source: vendors/moodle.md 3, 4 and 6; its sources compared 3.5, 3.8, 4.4, 4.5 and 5.1, and 4.3 was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = Literal["3.5", "3.8", "4.1", "4.3", "4.4", "4.5", "5.1"]
ORDER: tuple[Name, ...] = ("3.5", "3.8", "4.1", "4.3", "4.4", "4.5", "5.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A release: `number` and `release` are what site info says, both text."""

    name: Name
    number: str
    release: str

    def since(self, name: Name) -> bool:
        """Whether this is that release or a later one."""
        return ORDER.index(self.name) >= ORDER.index(name)

    @property
    def says_completed(self) -> bool:
        """A user's courses tell `completed` and take `returnusercount` [D: 3.8 and later]."""
        return self.since("3.8")

    @property
    def lists_suspended(self) -> bool:
        """Enrolled users can be asked for with `onlysuspended` [D: 4.x]."""
        return self.since("4.1")

    @property
    def warns(self) -> bool:
        """Updating users answers warnings, not null [D: not 3.8, 4.4; recorded: 4.3; 4.1 is inferred]."""
        return self.since("4.1")

    @property
    def namespaced(self) -> bool:
        """Many exception classes carry their namespace [D: 4.5 and later]."""
        return self.since("4.5")

    @property
    def finds_by_section(self) -> bool:
        """Courses can be asked for by the field `sectionid` [D: 4.5 and later]."""
        return self.since("4.5")


VERSIONS: dict[Name, Version] = {
    version.name: version
    for version in (
        Version(name="3.5", number="2018051700", release="3.5 (Build: 20180517)"),
        Version(name="3.8", number="2019111800", release="3.8 (Build: 20191118)"),
        # sites on a minor release have a fraction in their number [I]
        Version(name="4.1", number="2022112805.03", release="4.1.5+ (Build: 20230914)"),
        Version(name="4.3", number="2023100900", release="4.3 (Build: 20231009)"),
        Version(name="4.4", number="2024042200", release="4.4 (Build: 20240422)"),
        Version(name="4.5", number="2024100706", release="4.5.6 (Build: 20250811)"),
        Version(name="5.1", number="2025100600", release="5.1 (Build: 20251006)"),
    )
}
