"""The course page `GET /c/NAME/`: its script does with the address what the action `launch` does.

A fragment never reaches a server; so a browser that opens a launch link here is noted as a launch as well.
Source: vendors/77media.md 2.2 (rule 1) and 7.
"""

from __future__ import annotations

import html

from gateway.sandbox.media77_state import Course

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{environment}</p><p id="said">Opening the course</p>
<script>
fetch("/_control/act/launch", {{method: "POST", body: JSON.stringify({{url: location.href}})}})
  .then(answer => answer.json())
  .then(said => {{
    const place = said.registration;
    document.getElementById("said").textContent = said.launched
      ? "Welcome, " + place.name + ". Your progress: " + place.progress
      : "This link does not open the course: " + (said.error || said.violations.join(", "));
  }});
</script></body></html>
"""


def course_page(course: Course) -> str:
    return _PAGE.format(title=html.escape(course.title), environment=course.environment)
