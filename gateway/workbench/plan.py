"""The requests an operation would send, with no network: every branch, every look-up, every undo.

    plan(mapping, settings, operation, given)  ->  Plan  (plan_text.py prints it); also of "poll"

Requests are built by the engine itself; what only the vendor's answers can tell is shown by name
(`‹steps.user.userId›`). Conditions that cannot be known yet are shown as they are written.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gateway import ids
from gateway.contract import Operation, Person
from gateway.engine import operations, shape
from gateway.engine.frame import Frame
from gateway.errors import ExpressionError
from gateway.mapping.expressions import Runtime
from gateway.mapping.load import compile_document
from gateway.mapping.settings import TenantSettings
from gateway.mapping.spec import MappingSpec, OperationSpec, Step
from gateway.mapping.templates import Context, NullHere, as_text
from gateway.perform.tenant import TenantSpec, frame
from gateway.workbench.given import check_given, person, record_of, vendor_course
from gateway.workbench.plan_calls import Maker, PlannedCall, State, state_of
from gateway.workbench.plan_checks import PlannedCheck, step_node, worked
from gateway.workbench.plan_steps import PlannedStep, form_steps, lines_of, planned, taken_over
from gateway.workbench.unknowns import RUNTIME, Known, Markers, Substitution, Unknown
from gateway.workbench.words import DEFAULTS, poll_words, rule_words, sentence
from gateway.yamlfile import Document, parse_yaml, read_yaml

PLAIN = ("searchTerm", "quizResults")
PEOPLE = ("student", "to")
NO_ADDRESS: dict[str, Any] = {"email": None}
"""RTOPilot's calls carry no address; only where an author gives one is there one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of an operation; `note` is all there is when it sends nothing."""

    title: str
    note: str | None = None
    steps: list[PlannedStep] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one operation may send. `log_in` is sent first where there is no live session."""

    mapping: str
    operation: str
    hosts: list[str]
    sections: list[Section]
    log_in: PlannedCall | None = None
    server_rules: list[str] = field(default_factory=list)
    defaults: str = DEFAULTS

    def data(self) -> dict[str, Any]:
        """The same as JSON-like data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), ensure_ascii=False, default=str))
        return plain


def plan(
    mapping: MappingSpec,
    settings: TenantSettings,
    operation: Operation | Literal["poll"],
    given: Mapping[str, Any],
    *,
    base: str | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    wire_names: Mapping[str, str] | None = None,
    document: Document | None = None,
) -> Plan:
    """What the operation would send. `given` holds RTOPilot's variables, `base` overrides the address.

    `steps` are values of earlier steps, such as a case knows them; `document` the mapping's YAML where it
    is not in a file. Raises RequestError for inputs that cannot be used, ProblemsFound for the mapping.
    """
    check_given(given)
    document = document or read_yaml(Path(mapping.file))
    tenant = TenantSpec(
        name="plan",
        mapping=mapping,
        settings=settings,
        secrets={name: f"‹secret {name}›" for name in mapping.secrets},
        base=base or _base(mapping, settings),
        hosts=frozenset(),
        wire_names=wire_names or {},
    )
    wanted = Operation.GET_ENROLMENT if operation == "poll" else operation
    planner = _Planner(tenant, document, wanted, dict(given), dict(steps or {}))
    sections = list(planner.polls() if operation == "poll" else planner.sections())
    return Plan(
        mapping=mapping.name,
        operation=str(operation),
        hosts=list(_hosts(mapping, settings)),
        sections=sections,
        log_in=planner.log_in() if any(section.steps for section in sections) else None,
        server_rules=[rule_words(rule) for rule in mapping.server.replies],
    )


def _hosts(mapping: MappingSpec, settings: TenantSettings) -> Iterator[str]:
    """Those whose settings are given."""
    for host in mapping.server.hosts:
        with contextlib.suppress(NullHere):
            yield _rendered(host, mapping, settings)


def _rendered(template: Any, mapping: MappingSpec, settings: TenantSettings) -> str:
    scope = {"settings": settings.values(None, Runtime()), "bundle": settings.bundle, "probe": {}}
    return as_text(template.render(Context(scope, Runtime())))


def _base(mapping: MappingSpec, settings: TenantSettings) -> str:
    return _rendered(mapping.server.base, mapping, settings).rstrip("/")


@dataclass(slots=True)
class _Planner:
    tenant: TenantSpec
    document: Document
    operation: Operation
    given: dict[str, Any]
    steps: dict[str, Any]

    # -- what an operation consists of -------------------------------------------------------------------

    def sections(self) -> Iterator[Section]:
        mapping = self.tenant.mapping
        spec = mapping.operations.get(self.operation)
        if spec is None:
            yield from self._left_out()
            return
        form = self._form(self.operation)
        if self.operation in (Operation.CREATE_ENROLMENT, Operation.TRANSFER_ENROLMENT):
            yield from self._courses_first(mapping)
        if form.kind != "create-then-cancel":
            yield self._section(self.operation, form)
            return
        yield self._part(Operation.CREATE_ENROLMENT, "for the new student")
        yield self._part(Operation.CANCEL_ENROLMENT, "for the old one, once the new one exists")

    def _left_out(self) -> Iterator[Section]:
        match self.operation:
            case Operation.GET_COURSE:
                yield Section(title="getCourse", note="The course is picked from the list of getCourses.")
                yield self._part(Operation.GET_COURSES, "when the list is not at hand")
            case Operation.GET_ENROLMENT:
                progress = self.tenant.mapping.progress
                if progress is None or not progress.read:
                    yield Section(title="getEnrolment", note="Answered from the store; nothing is sent.")
                else:
                    yield self._read()
            case _:
                yield Section(title=self.operation.value, note="Acknowledged with 200; nothing is sent.")

    def _courses_first(self, mapping: MappingSpec) -> Iterator[Section]:
        known = self.given.get("known", {})
        if mapping.remembers_courses and not known.get("course"):
            yield self._part(Operation.GET_COURSES, "first, where the course is not remembered yet")

    def _part(self, operation: Operation, when: str) -> Section:
        part = _part_of(self, operation)
        section = part._section(operation, part._form(operation))
        return replace(section, title=f"{section.title}, {when}")

    def _section(self, operation: Operation, form: OperationSpec) -> Section:
        title = operation.value
        match form.kind:
            case "acknowledge":
                return Section(title=title, note="Acknowledged with 200; nothing is sent.")
            case "refuse":
                return Section(title=title, note=f"Refused with 422: {sentence(form.sentence)}")
            case "manual":
                return Section(title=title, note=f"On the manual list: {self._sentence(form)}")
            case "constant":
                return Section(title=title, note="Answered from the tenant's settings; nothing is sent.")
        return Section(title=title, steps=self._steps(operation, lambda mapping: form_steps(mapping, form)))

    def _sentence(self, form: OperationSpec) -> str:
        assert form.sentence is not None
        try:
            return as_text(form.sentence.render(Context(self.scope(), RUNTIME)))
        except (Unknown, ExpressionError):
            return " ".join(expression.text for expression in form.sentence.expressions)

    def _read(self) -> Section:
        def read(mapping: MappingSpec) -> tuple[Step, ...]:
            assert mapping.progress is not None
            return mapping.progress.read

        return Section(title="getEnrolment", steps=self._steps(Operation.GET_ENROLMENT, read))

    def polls(self) -> Iterator[Section]:
        """What each poll of the mapping asks, again and again."""
        progress = self.tenant.mapping.progress
        if progress is None or not progress.polls:
            yield Section(title="poll", note="The mapping has no poll; nothing is sent.")
            return
        for poll in progress.polls:
            title = f"{poll.name}: {poll_words(poll)}"
            if poll.call is None:
                yield replace(self._read(), title=f"{title}, as progress.read reads it")
                continue
            at = self._maker(self.operation, {}, {poll.call.place: poll.line})
            step = PlannedStep(
                id=poll.name, state="yes", when=None, optional=False, calls=[_planned_poll(poll.name, at)]
            )
            yield Section(title=title, steps=[step])

    # -- what is known -----------------------------------------------------------------------------------

    def _person(self) -> Person | None:
        return person(self.given, self.operation)

    def _form(self, operation: Operation) -> OperationSpec:
        """The form this tenant's settings choose."""
        spec = self.tenant.mapping.operations[operation]
        return operations.form_of(frame(self.tenant, operation, Runtime()), spec)

    def _frame(self, operation: Operation, mapping: MappingSpec, filled: Mapping[str, Any]) -> Frame:
        """What production fills requests in from: the known values, all else has a marker by now."""
        root = {**self._root(), "enrolment": self._enrolment(), "known": self.given.get("known", {})}
        if "to" in self.given:
            root["to"] = self.given["to"]
        made = frame(
            replace(self.tenant, mapping=mapping), operation, Runtime(), person=self._person(), **root
        )
        made.steps.update({**self.steps, **filled})
        return made

    def _root(self) -> dict[str, Any]:
        """RTOPilot's variables as far as they are given; an enrolment's course may follow from its id."""
        root: dict[str, Any] = {name: self.given[name] for name in PLAIN if name in self.given}
        if "searchTerm" in root:
            # what is too short, or searched for here, is not sent
            root["searchTerm"] = shape.sent_term(self._form(Operation.GET_COURSES).search, root["searchTerm"])
        course = self.given.get("courseId", self._enrolment().get("courseId"))
        return root if course is None else {**root, "courseId": vendor_course(str(course))}

    def _enrolment(self) -> dict[str, Any]:
        """The enrolment's record as its id says it, with whatever else is given."""
        record = dict(self.given.get("enrolment", {}))
        written = self.given.get("enrolmentId")
        if written is None or ids.is_random(written):
            return record
        form = self._form(Operation.CREATE_ENROLMENT)
        record = {**record_of(written, form.key), **record}
        if form.course_field in record:
            record.setdefault("courseId", record[form.course_field])
        return record

    def scope(self, steps: Mapping[str, Any] | None = None) -> Known:
        """Everything that is known before the first answer; `steps` adds what is known of steps."""
        root = self._root()
        people = {name: {**NO_ADDRESS, **self.given[name]} for name in PEOPLE if name in self.given}
        who = {name: Known(data, path=f"{name}.") for name, data in people.items()}
        if self.operation is Operation.TRANSFER_ENROLMENT and "to" in who:
            who["student"] = Known(people["to"], path="student.")
        known = {
            name: Known(value, path=f"known.{name}.") for name, value in self.given.get("known", {}).items()
        }
        return Known(
            {
                **root,
                **who,
                "settings": self._settings(who),
                "bundle": self.tenant.settings.bundle,
                "probe": Known({}, path="probe."),
                "secrets": Known(
                    {}, path="secrets.", shown={name: f"secret {name}" for name in self.tenant.secrets}
                ),
                "token": Known({}, path="token."),
                "enrolment": Known(self._enrolment(), path="enrolment."),
                "known": Known(known, path="known."),
                "steps": Known(self._known_steps(steps or {}), path="steps."),
            }
        )

    def _known_steps(self, more: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: Known(value, path=f"steps.{name}.") for name, value in self.steps.items()}
        return {**given, **more}

    def _settings(self, who: Mapping[str, Any]) -> Known:
        """The tenant's settings; those that are filled in for a student only as far as one is known."""
        settings = self.tenant.settings
        hidden = {name for name in settings.secret if self._is_set(name)}
        values = {name: value for name, value in settings.constants.items() if name not in hidden}
        scope = Known({**who, "settings": settings.constants})
        for name, template in settings.templates.items():
            with contextlib.suppress(Unknown, ExpressionError):
                if name not in hidden:
                    values[name] = template.render(Context(scope, RUNTIME))
        return Known(values, path="settings.", shown={name: f"setting {name}" for name in hidden})

    def _is_set(self, setting: str) -> bool:
        settings = self.tenant.settings
        return setting in settings.templates or settings.constants.get(setting) is not None

    # -- steps -------------------------------------------------------------------------------------------

    def _steps(
        self, operation: Operation, steps_of: Callable[[MappingSpec], tuple[Step, ...]]
    ) -> list[PlannedStep]:
        states: dict[str, State] = {}
        checks: dict[str, PlannedCheck] = {}
        known: dict[str, Any] = {}
        filled: dict[str, Any] = {}
        written = steps_of(self.tenant.mapping)
        for step in written:
            scope = self.scope(known)
            states[step.id] = state_of(step.when, scope)
            if states[step.id] == "no":
                known[step.id] = filled[step.id] = None
            elif step.mint and (kept := taken_over(step, self.given)):
                known[step.id], filled[step.id] = Known(kept, path=f"steps.{step.id}."), kept
            elif step.check is not None:
                work = worked(step.id, step.check, step_node(self.document, step.place), scope)
                checks[step.id] = work.planned
                if states[step.id] == "yes" and step.id not in self.steps:
                    known[step.id], filled[step.id] = work.known, work.filled
        at = self._maker(operation, known, lines_of(written), filled)
        return [planned(step, states[step.id], at, checks) for step in steps_of(at.frame.mapping)]

    def _maker(
        self,
        operation: Operation,
        known: Mapping[str, Any],
        lines: Mapping[str, int],
        filled: Mapping[str, Any] | None = None,
    ) -> Maker:
        """`known` is what expressions see of steps, `filled` what requests are filled in from."""
        scope, markers = self.scope(known), Markers()
        mapping = _substituted(self.document, scope, markers)
        return Maker(self._frame(operation, mapping, filled or {}), scope, markers, lines)

    def log_in(self) -> PlannedCall | None:
        """The login of a session, or None where there is none."""
        at = self._maker(Operation.GET_COURSES, {}, {})
        session = at.frame.mapping.server.auth.session
        return None if session is None else at.call("log in", session.login, anonymous=True)


def _part_of(planner: _Planner, operation: Operation) -> _Planner:
    """The planner of a part; in a transfer the new student is the one it is about."""
    given = dict(planner.given)
    if "to" in given:
        given["student"] = given["to"]
    return replace(planner, operation=operation, given=given)


def _substituted(document: Document, scope: Known, markers: Markers) -> MappingSpec:
    data = Substitution(scope, markers).mapping(document.data)
    text = json.dumps(data, ensure_ascii=False)
    return compile_document(parse_yaml(text, file=document.file)).mapping


def _planned_poll(name: str, at: Maker) -> PlannedCall:
    """The call of a poll, in another compilation of its mapping."""
    progress = at.frame.mapping.progress
    assert progress is not None
    call = next(poll.call for poll in progress.polls if poll.name == name)
    assert call is not None
    return at.call(name, call)
