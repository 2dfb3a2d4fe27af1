"""Events in deliveries of every shape, each for itself."""

from __future__ import annotations

import time

import pytest

from gateway.engine.events import MAX_EVENTS, MAX_REASONS, Event, events
from gateway.mapping.expressions import compile_expression
from gateway.mapping.progress_spec import Verify, Webhook
from gateway.mapping.templates import compile_template


def template(value):
    return compile_template(
        value, ("x",), lambda source, _path, _offset: compile_expression(source), lambda _: None
    )


def hook(**more):
    for name in ("events", "keep"):
        more[name] = compile_expression(more[name]) if name in more else None
    more["find"] = {
        name: template(text) for name, text in more.get("find", {"id": "${text(event.id)}"}).items()
    }
    for name in ("id", "value"):
        more[name] = template(more[name]) if name in more else None
    return Webhook(place="progress.webhook", line=1, verify=Verify(kind="secret-path"), **more)


@pytest.fixture
def read(make_frame):
    def read(webhook, body, **headers):
        return events(make_frame(), webhook, body, headers)

    return read


def ids(found):
    return [event.find["id"] for event in found.events]


@pytest.mark.parametrize(
    ("how", "body"),
    [
        pytest.param({}, {"id": 1}, id="object"),
        pytest.param({}, [{"id": 1}], id="array-of-one"),
        pytest.param({"events": "body.data"}, {"data": [{"id": 1}]}, id="list-under-a-key"),
        pytest.param({"events": "body.data"}, {"data": {"id": 1}}, id="one-or-many"),
        pytest.param({"events": "[body]"}, {"id": 1}, id="made-a-list"),
        pytest.param(
            {"events": "body.items[].events[]"}, {"items": [{"events": [{"id": 1}]}, {}]}, id="nested"
        ),
        pytest.param({"row": "e", "find": {"id": "${text(e.id)}"}}, {"id": 1}, id="other-name"),
    ],
)
def test_an_event_is_found_in_a_body_of_any_shape(read, how, body):
    assert read(hook(**how), body).events == (Event(id=None, find={"id": "1"}, value=None),)


def test_several_events_are_read_in_their_order(read):
    assert ids(read(hook(), [{"id": 3}, {"id": 1}, {"id": 2}, {"id": 1}])) == ["3", "1", "2", "1"]
    assert read(hook(), []).events == ()


def test_one_event_that_cannot_be_used_costs_its_neighbours_nothing(read):
    found = read(
        hook(),
        [
            {"id": 1},
            {"other": 1},
            {"id": None},
            {"id": ""},
            {"id": "a\0b"},
            {"id": " \t"},
            None,
            7,
            "x",
            [],
            {"id": 2},
        ],
    )
    assert ids(found) == ["1", "2"]
    assert len(found.dropped) == 9
    assert "`event` has no `id`" in found.dropped[0] or "event.id" in found.dropped[0]


def test_reasons_name_places_never_values(read):
    found = read(
        hook(find={"id": "${number(event.id)}"}),
        [{"id": "Joana Reis"}, {"id": ["Joana"]}, {"id": {"Joana": 1}}],
    )
    assert len(found.dropped) == 3 and "Joana" not in str(found.dropped)


def test_keep_sees_the_event_as_the_lists_item(read):
    body = [{"id": 1, "type": "done"}, {"id": 2, "type": "other"}, {"id": 3}]
    found = read(hook(keep="type == 'done'"), body)
    assert (ids(found), found.ignored, found.dropped) == (["1"], 2, ())
    assert ids(read(hook(keep="$.event.type == 'done'"), body)) == ["1"]
    assert ids(read(hook(keep="$.headers.x_type == 'done'"), body, x_type="done")) == ["1", "2", "3"]
    assert ids(read(hook(keep="$.body[0].type == type"), body)) == ["1"]


def test_an_event_that_is_not_kept_need_not_have_what_the_others_have(read):
    assert read(hook(keep="id != null"), [{}, {"id": 1}]).dropped == ()


def test_a_keep_that_fails_on_an_event_drops_that_event_only(read):
    found = read(hook(keep="starts_with(kind, 'a')"), [{"id": 1, "kind": 5}, {"id": 2, "kind": "ab"}])
    assert ids(found) == ["2"] and len(found.dropped) == 1


def test_find_holds_texts_of_all_fields_or_the_event_is_dropped(read):
    webhook = hook(find={"courseId": "${event.course}", "userId": "u-${event.user}"})
    found = read(
        webhook,
        [{"course": 7, "user": 8}, {"course": 7}, {"course": [7], "user": 8}, {"course": 1.0, "user": True}],
    )
    assert [event.find for event in found.events] == [
        {"courseId": "7", "userId": "u-8"},
        {"courseId": "1", "userId": "u-true"},
    ]
    assert len(found.dropped) == 2


def test_an_event_that_has_no_id_counts_as_new(read):
    webhook = hook(id="${headers.x_webhook_id}-${text(event.id)}")
    assert [event.id for event in read(webhook, [{"id": 1}, {"id": 2}], x_webhook_id="w").events] == [
        "w-1",
        "w-2",
    ]
    assert [event.id for event in read(webhook, {"id": 1}).events] == [None]
    assert [event.id for event in read(hook(id="${event.list}"), {"id": 1, "list": [1]}).events] == [None]


def test_a_value_is_given_only_where_the_mapping_trusts_it(read):
    value = {"percent?": "${number(event.percent)}", "completed": "${event.done}"}
    trusted, hint = hook(value=value, trust="value"), hook(value=value, trust="hint")
    body = [{"id": 1, "percent": "40.5", "done": False}, {"id": 2, "done": True}, {"id": 3, "percent": 1}]
    found = read(trusted, body)
    assert [event.value for event in found.events] == [
        {"percent": 40.5, "completed": False},
        {"completed": True},
    ]
    assert len(found.dropped) == 1
    assert [event.value for event in read(hint, body).events] == [None] * 3


@pytest.mark.parametrize(
    ("how", "body"),
    [
        pytest.param({"events": "body.data"}, {"other": []}, id="nothing-under-the-key"),
        pytest.param({"events": "body.data"}, "text", id="no-object"),
        pytest.param({"events": "keys(body)"}, [1], id="fails"),
        pytest.param({}, None, id="null"),
    ],
)
def test_a_delivery_without_events_where_they_should_be_is_dropped_as_a_whole(read, how, body):
    found = read(hook(**how), body)
    assert found.events == () and len(found.dropped) == 1
    assert found.dropped[0].startswith("progress.webhook.events: ")


def test_a_delivery_has_at_most_so_many_events(read):
    found = read(hook(), [{"id": number} for number in range(MAX_EVENTS + 5)])
    assert len(found.events) == MAX_EVENTS and len(found.dropped) == 5


def test_thousands_of_broken_events_are_counted_but_explained_only_at_first(read):
    started = time.perf_counter()
    found = read(hook(), [{}] * MAX_EVENTS)
    assert len(found.dropped) == MAX_EVENTS and len(set(found.dropped[MAX_REASONS:])) == 1
    assert time.perf_counter() - started < 5


def test_the_settings_of_the_tenant_are_in_sight(read):
    assert read(hook(find={"id": "${settings.word}-${event.id}"}), {"id": 1}).events[0].find == {
        "id": "one-1"
    }


def test_ten_events_with_one_bad_give_nine(read):
    """Source: vendors/learnupon.md 5.2 and 5.3: up to ten events a delivery, each treated alone."""
    body = {"data": [*({"enrollmentId": number} for number in range(9)), {"enrollmentId": {}}]}
    webhook = hook(
        events="body.data", keep="enrollmentId != null", find={"id": "${text(event.enrollmentId)}"}
    )
    found = read(webhook, body)
    assert len(found.events) == 9 and len(found.dropped) == 1
