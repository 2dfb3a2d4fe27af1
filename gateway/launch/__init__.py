"""The page of an enrolment, for its learner: a course behind a personal link, and whom to ask.

terms.py    what a tenant says of its pages
token.py    the address of a page, which nobody can guess and which never changes
links.py    one enrolment's link, its course's name and its course's own help
page.py     the HTML, all of it
routes.py   GET /launch/{tenant}/{token}
"""
