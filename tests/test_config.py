from __future__ import annotations

import json
import logging
import re
import stat
from pathlib import Path

import jsonschema
import pytest

from gateway.config import ProgressConfig, Rtopilot, find_config, load_config
from gateway.contract import Operation
from gateway.errors import ProblemsFound, StoreError
from gateway.mapping.schema import load_schema
from gateway.rtopilot.credentials import basic, bearer, custom_header, open_door

ROOT = Path(__file__).parents[1]
KEY = "rtop_" + "0123456789abcdef" * 4
PATH = "abcdefghijklmnopqrstuv"
ENVIRON = {"KEY": "vendor-key-marker", "TOKEN": "inbound-token-marker", "RTOP": KEY, "PATH22": PATH}

SMALL = """
format: 1
mapping: small
version: 1.0.0
vendor: {name: Small}
provisional: [CourseName]
settings:
  domain: {type: host, required: true, example: acme.example.com}
  pin: {type: text, secret: true}
  onlyNames: {type: switch, default: true}
secrets: {apiKey: {help: Account > API}, other: {required: false}}
server:
  base: "https://${settings.domain}/api"
  hosts: ["${settings.domain}", "cdn.vendor.example"]
  auth: {kind: basic, user: "${secrets.apiKey}", password: "${secrets.other ?? ''}"}
operations:
  getCourses:
    steps:
      - id: all
        call: GET /courses
        query: {"pin?": "${settings.pin}", only: "${settings.onlyNames}"}
        items: reply.body
    each: steps.all.items
    as: course
    give: {id: "${course.id}", name: "${course.CourseName}"}
  createEnrolment: {refuse: "No."}
  transferEnrolment: {refuse: "No."}
  cancelEnrolment: {refuse: "No."}
"""
TENANT = """\
    mapping: small
    settings: {domain: acme.example.com}
    secrets: {apiKey: "${env:KEY}"}
    inbound: {auth: {kind: bearer, token: "${env:TOKEN}"}}
"""
HEAD = "store: sqlite:///gateway.db\ntenants:\n  acme:\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def load(folder):
    def load(text: str, environ=ENVIRON):
        (folder / "config.yaml").write_text(text)
        return load_config(folder / "config.yaml", environ=environ)

    return load


@pytest.fixture
def report_of(load):
    def report_of(text: str):
        with pytest.raises(ProblemsFound) as caught:
            load(text)
        return caught.value.problems

    return report_of


def tenant(*lines: str, without: str = "") -> str:
    """The usual tenant with lines added, and the line that begins with `without` left out."""
    usual = [line for line in TENANT.splitlines() if not without or not line.strip().startswith(without)]
    return HEAD + "\n".join([*usual, *(f"    {line}" for line in lines)]) + "\n"


# -- what a file becomes ----------------------------------------------------------------------------------


def test_a_small_file_gets_every_default(load, folder):
    settings = load(tenant())
    assert (settings.listen.host, settings.listen.port) == ("127.0.0.1", 8080)
    assert settings.admin is not None and settings.admin.port == 8081
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.store.reveal() == f"sqlite:///{folder}/gateway.db"
    assert (settings.answer_s, settings.work_s, settings.retention_days) == (8.0, 60.0, 30)
    assert (settings.limits.max_reply_bytes, settings.limits.max_connections) == (10_000_000, 100)
    assert settings.warnings == ()
    acme = settings.tenants["acme"]
    assert acme.mapping.name == "small"
    assert acme.secrets["apiKey"].reveal() == "vendor-key-marker"
    assert acme.accepted.default == (bearer("inbound-token-marker"),)
    assert acme.off == frozenset()
    assert (acme.adopt_unknown_ids, acme.push_adopted_completed) == (True, False)
    assert (acme.repeat_window_s, acme.grace_s) == (900.0, 45.0)
    assert (acme.path, acme.door, acme.names) == (None, "acme", {})
    assert acme.progress == ProgressConfig()
    assert acme.rtopilot == Rtopilot()


def test_every_key_is_read(load, folder):
    (folder / "key").write_text("a secret of the gateway\n")
    settings = load(
        """
listen: {host: 0.0.0.0, port: 0}
admin: off
public_url: https://gw.example.net/
store: postgresql+psycopg://gateway@db/gateway
secret: "${file:key}"
deadlines: {answer: 5s, work: 2m}
limits: {reply: 20MB, connections: 8}
retention: 7d
tenants:
  acme:
"""
        + TENANT
        + """\
    operations: {updateMarking: off, cancelEnrolment: false, transferEnrolment: on}
    rtopilot:
      base_url: https://v2.rtopilot.com.au/api/
      production: true
      api_key: "${env:RTOP}"
      extra_fields: {getEnrolment: {add: {status: active}, rename: {progress: percent}}}
    progress: {every: 15m}
    adopt_unknown_ids: off
    adopted_completed: push
    repeat_window: 5m
    grace: 0s
    names: {CourseName: Title}
"""
    )
    assert (settings.listen.port, settings.admin, settings.public_url) == (0, None, "https://gw.example.net")
    assert settings.session_secret().reveal() == "a secret of the gateway"
    assert (settings.answer_s, settings.work_s, settings.retention_days) == (5.0, 120.0, 7)
    assert (settings.limits.max_reply_bytes, settings.limits.max_connections) == (20_000_000, 8)
    acme = settings.tenants["acme"]
    assert acme.off == {Operation.UPDATE_MARKING, Operation.CANCEL_ENROLMENT}
    assert acme.rtopilot.base_url == "https://v2.rtopilot.com.au/api"
    assert acme.rtopilot.api_key is not None and acme.rtopilot.api_key.reveal() == KEY
    extra = acme.rtopilot.extra_fields[Operation.GET_ENROLMENT]
    assert extra.apply({"progress": 4}) == {"percent": 4, "status": "active"}
    assert acme.progress == ProgressConfig(every_s=900.0)
    assert (acme.adopt_unknown_ids, acme.push_adopted_completed) == (False, True)
    assert (acme.repeat_window_s, acme.grace_s, acme.names) == (300.0, 0.0, {"CourseName": "Title"})


def test_no_secret_shows_in_the_settings(load):
    shown = repr(load(tenant("rtopilot: {base_url: https://x.example/api, api_key: '${env:RTOP}'}")))
    assert not [secret for secret in ENVIRON.values() if secret in shown]


@pytest.mark.parametrize(
    ("auth", "accepted"),
    [
        ("{kind: bearer, token: '${env:TOKEN}'}", (bearer("inbound-token-marker"),)),
        ("{kind: basic, user: rtopilot, password: '${env:TOKEN}'}", (basic("rtopilot", ENVIRON["TOKEN"]),)),
        ("{kind: header, name: X-Key, value: '${env:TOKEN}'}", (custom_header("X-Key", ENVIRON["TOKEN"]),)),
        (
            "[{kind: bearer, token: '${env:TOKEN}'}, {kind: bearer, token: '${env:KEY}'}]",
            (bearer(ENVIRON["TOKEN"]), bearer(ENVIRON["KEY"])),
        ),
    ],
    ids=["bearer", "basic", "header", "two at once"],
)
def test_credentials_of_every_kind_are_read(load, auth, accepted):
    settings = load(tenant(f"inbound: {{auth: {auth}}}", without="inbound"))
    assert settings.tenants["acme"].accepted.default == accepted


def test_an_operation_may_have_a_credential_of_its_own(load):
    inbound = """inbound:
      auth: {kind: bearer, token: "${env:TOKEN}"}
      operations: {createEnrolment: {auth: {kind: bearer, token: "${env:KEY}"}}}"""
    accepted = load(tenant(inbound, without="inbound")).tenants["acme"].accepted
    assert accepted.of(Operation.CREATE_ENROLMENT) == (bearer(ENVIRON["KEY"]),)
    assert accepted.of(Operation.GET_COURSES) == (bearer(ENVIRON["TOKEN"]),)


def test_without_a_credential_the_path_is_the_secret(load):
    inbound = "inbound: {auth: {kind: none}, path: '${env:PATH22}'}"
    acme = load(tenant(inbound, without="inbound")).tenants["acme"]
    assert acme.accepted.default == (open_door(),)
    assert acme.door == PATH
    assert PATH not in repr(acme)


# -- hosts ------------------------------------------------------------------------------------------------


def test_hosts_are_the_mappings_and_those_from_settings_must_be_public(load):
    acme = load(tenant()).tenants["acme"]
    assert acme.base == "https://acme.example.com/api"
    assert acme.hosts == {"acme.example.com", "cdn.vendor.example"}
    assert acme.public_only_hosts == {"acme.example.com"}


def test_base_url_takes_the_place_of_the_mappings_address_and_may_be_this_machine(load):
    acme = load(tenant("base_url: http://127.0.0.1:8181/api/v1/")).tenants["acme"]
    assert acme.base == "http://127.0.0.1:8181/api/v1"
    assert acme.hosts == {"acme.example.com", "cdn.vendor.example", "127.0.0.1"}
    assert acme.public_only_hosts == {"acme.example.com"}


def test_a_host_that_config_yaml_names_itself_need_not_be_public(load):
    acme = load(tenant("base_url: https://acme.example.com/v2")).tenants["acme"]
    assert acme.public_only_hosts == frozenset()


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ('base: "https://${settings.pin}.example/api"', "is not among the hosts of this mapping"),
        ('base: "http${lower(settings.pin)}"', "the base address is not https://host"),
        ('base: "https://${settings.pin}${settings.host}/api"', "`settings.host` is null"),
        ('base: "${settings.onlyNames}"', "server.base does not give text"),
    ],
    ids=["another host", "no address", "null", "no text"],
)
def test_a_mapping_whose_address_cannot_be_called_is_refused(load, folder, server, message):
    file = folder / "mappings" / "small.yaml"
    text = SMALL.replace('base: "https://${settings.domain}/api"', server)
    file.write_text(text.replace("  onlyNames:", "  host: {type: host}\n  onlyNames:"))
    with pytest.raises(ProblemsFound, match=re.escape(message)):
        load(tenant("settings: {domain: acme.example.com, pin: other}", without="settings"))


def test_a_public_suffix_is_no_host(report_of):
    (problem,) = report_of(tenant("settings: {domain: com.au}", without="settings"))
    assert problem.message == "`com.au` cannot be called: calls go to one full host name only."


def test_a_host_with_a_port_and_a_whole_address_are_hosts_by_their_name(load, folder):
    file = folder / "mappings" / "small.yaml"
    file.write_text(
        SMALL.replace("cdn.vendor.example", "CDN.vendor.example:8443").replace(
            "pin: {type: text, secret: true}", "pin: {type: url}"
        ).replace('hosts: ["${settings.domain}"', 'hosts: ["${settings.domain}", "${settings.pin}"')
    )  # fmt: skip
    line = "settings: {domain: acme.example.com, pin: 'https://files.example.com/x'}"
    acme = load(tenant(line, without="settings")).tenants["acme"]
    assert acme.hosts == {"acme.example.com", "files.example.com", "cdn.vendor.example"}
    assert acme.public_only_hosts == {"acme.example.com", "files.example.com"}


def test_a_host_whose_setting_is_not_given_is_none(load, folder):
    file = folder / "mappings" / "small.yaml"
    hosts = 'hosts: ["${settings.domain}", "${settings.pin}"'
    url = SMALL.replace("pin: {type: text, secret: true}", "pin: {type: url}")
    file.write_text(url.replace('hosts: ["${settings.domain}"', hosts))
    assert load(tenant()).tenants["acme"].hosts == {"acme.example.com", "cdn.vendor.example"}


# -- mappings ---------------------------------------------------------------------------------------------


def test_a_mapping_by_name_is_found_beside_config_yaml_first_then_installed(load, folder, caplog):
    caplog.set_level(logging.INFO, "gateway.config.tenants")
    (folder / "mappings" / "talentlms.yaml").write_text(SMALL)
    assert load(tenant("mapping: talentlms", without="mapping")).tenants["acme"].mapping.name == "small"
    digest = load(tenant()).tenants["acme"].mapping.digest
    assert f"tenant acme: mapping small, hash {digest}" in caplog.text
    assert str(folder / "mappings" / "small.yaml") in caplog.text
    (folder / "mappings" / "talentlms.yaml").unlink()
    assert load(tenant("mapping: talentlms", without="mapping")).tenants["acme"].mapping.name == "talentlms"


def test_a_mapping_by_path_starts_at_the_folder_of_config_yaml(load, folder):
    (folder / "mine.yaml").write_text(SMALL)
    assert load(tenant("mapping: mine.yaml", without="mapping")).tenants["acme"].mapping.name == "small"


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("smal", "Write `small`."),
        ("zzzz", "There is: 77media, canvas, learning-assistant, learnupon, moodle, small, talentlms."),
        ("nope/x.yaml", "A path starts at "),
    ],
)
def test_a_mapping_that_is_not_there_is_named_with_what_is(report_of, written, fix):
    (problem,) = report_of(tenant(f"mapping: {written}", without="mapping"))
    assert problem.message == f"There is no mapping `{written}`."
    assert problem.fix.startswith(fix)


def test_the_problems_of_a_mapping_are_in_the_same_report_once(report_of, folder):
    (folder / "mappings" / "small.yaml").write_text(SMALL.replace("vendor: {name: Small}", "vendor: {}"))
    problems = report_of(tenant() + "  beta:\n" + TENANT + "    gracee: 1s\n")
    files = [Path(problem.file).name for problem in problems]
    assert files == ["config.yaml", "config.yaml", "config.yaml", "small.yaml"]
    assert "gracee" in problems[-2].message


# -- mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "message", "fix"),
    [
        ("listn: {}\n" + tenant(), "listn", "`listn` is not a keyword here.", "Write `listen`."),
        ("admin: maybe\n" + tenant(), "admin", "`maybe` cannot stand here.", None),
        ("admin: {port: 70000}\n" + tenant(), "admin.port", "65535", None),
        ("retention: 5h\n" + tenant(), "retention", "less than a day", "`30d`"),
        ("deadlines: {answer: 8}\n" + tenant(), "deadlines.answer", "`8` has no unit", "such as `8s`"),
        ("public_url: gw.example.net\n" + tenant(), "public_url", "cannot be given this address", "https://"),
        ("secret: short\n" + tenant(), "secret", "shorter than 16 characters", None),
        (tenant().replace("sqlite:", "mysql:"), "store", "mysql, which is not supported", None),
        (
            tenant().replace("sqlite:///gateway.db", "postgresql://h/d"),
            "store",
            "they must share a secret too",
            "Add `secret:",
        ),
        (tenant().replace("store: sqlite:///gateway.db\n", ""), "", "`store`", "Add `store:`."),
        (
            tenant().replace("  acme:", "  Acme Pty:"),
            "tenants.Acme Pty",
            "A tenant's name stands in addresses",
            "Write `acme-pty`.",
        ),
        (tenant(without="inbound"), "tenants.acme", "`inbound`", "Add `inbound:`."),
        (tenant("gracee: 1s"), "tenants.acme.gracee", "is not a keyword here", "Write `grace`."),
        (tenant("grace: soon"), "tenants.acme.grace", "A duration is", None),
        ("limits: {reply: 10}\n" + tenant(), "limits.reply", "`10` has no unit", "such as `10MB`"),
        (tenant("adopt_unknown_ids: yes"), "tenants.acme.adopt_unknown_ids", "cannot stand here", None),
        (tenant("secrets: {}", without="secrets"), "tenants.acme.secrets",
         "`apiKey` is missing: Account > API", 'Write `secrets: {apiKey: "${env:ACME_API_KEY}"}`.'),
        (tenant(without="secrets"), "tenants.acme.secrets", "The secret `apiKey` is missing", None),
        (tenant("secrets: {apiKey: '${env:KEY}', othr: '${env:KEY}'}", without="secrets"),
         "tenants.acme.secrets.othr", "small has no secret `othr`.", "Write `other`."),
        (tenant("secrets: {apiKey: '${env:KEY}', zzz: '${env:KEY}'}", without="secrets"),
         "tenants.acme.secrets.zzz", "small has no secret `zzz`.", "It has: apiKey, other."),
        (tenant("secrets: {apiKey: '${env:NOPE}'}", without="secrets"), "tenants.acme.secrets.apiKey",
         "The environment variable `NOPE` is not set.", "export NOPE=…"),
        (tenant("secrets: {apiKey: '${file:nope}'}", without="secrets"), "tenants.acme.secrets.apiKey",
         "There is no file `nope`.", None),
        (tenant("secrets: {apiKey: 'x ${env:KEY}'}", without="secrets"), "tenants.acme.secrets.apiKey",
         "one whole `${env:NAME}`", None),
        (tenant("secrets: {apiKey: [a]}", without="secrets"), "tenants.acme.secrets.apiKey",
         "one text", None),
        (tenant("base_url: '${env:KEY}'"), "tenants.acme.base_url", "stand only as whole values", None),
        (tenant("settings: {domain: '${env:KEY}'}", without="settings"), "tenants.acme.settings.domain",
         "stand only as whole values", "Write the value itself."),
        (tenant("base_url: http://example.com/api"), "tenants.acme.base_url", "https only", "https://"),
        (tenant("base_url: https://u:p4ssw0rd@example.com"), "tenants.acme.base_url",
         "not https://host", None),
        (tenant("base_url: 'http://[x'"), "tenants.acme.base_url", "not https://host", None),
        (tenant("operations: {getCourses: off}"), "tenants.acme.operations.getCourses",
         "`getCourses` cannot be off", "Only cancelEnrolment, transferEnrolment, updateMarking may be off."),
        (tenant("operations: {updateMarkin: off}"), "tenants.acme.operations.updateMarkin",
         "is not a keyword here", "Write `updateMarking`."),
        (tenant("operations: {updateMarking: no}"), "tenants.acme.operations.updateMarking",
         "`no` cannot stand here", None),
        (tenant("names: {CourseNam: Title}"), "tenants.acme.names.CourseNam",
         "small does not call `CourseNam` provisional", "Write `CourseName`."),
        (tenant("inbound: {auth: {kind: none}}", without="inbound"), "tenants.acme.inbound",
         "anybody could call", "Add `path:` here, 22 to 64 random"),
        (tenant("inbound: {auth: {kind: none}, path: '${env:RTOP}'}", without="inbound"),
         "tenants.acme.inbound.path", "could be guessed", None),
        (tenant("inbound: {auth: {kind: basic, user: 'a:b', password: '${env:KEY}'}}", without="inbound"),
         "tenants.acme.inbound.auth", "without a colon", None),
        (tenant("inbound: {auth: {kind: header, name: 'a b', value: '${env:KEY}'}}", without="inbound"),
         "tenants.acme.inbound.auth", "not the name of a header", None),
        (tenant("inbound: {auth: {kind: bearr, token: '${env:KEY}'}}", without="inbound"),
         "tenants.acme.inbound.auth.kind", "`bearr` cannot stand here.", "Write `bearer`."),
        (tenant("inbound: {auth: {kind: bearer}}", without="inbound"),
         "tenants.acme.inbound.auth", "`token`", "Add `token:`."),
        (tenant("inbound: {auth: [{kind: none}, {kind: bearer, token: '${env:KEY}'}], path: '${env:PATH22}'}",
                without="inbound"), "tenants.acme.inbound.auth", "lets everybody in", "Leave it out."),
        (tenant("rtopilot: {base_url: 'https://v2.rtopilot.com.au/api', api_key: '${env:RTOP}'}"),
         "tenants.acme.rtopilot.base_url", "RTOPilot's production", "`production: true`"),
        (tenant("rtopilot: {base_url: 'http://x.example/api', api_key: '${env:RTOP}'}"),
         "tenants.acme.rtopilot.base_url", "cannot be called", "https://v2.rtopilot.com.au/api"),
        (tenant("rtopilot: {base_url: 'https://x.example/api'}"), "tenants.acme.rtopilot",
         "`api_key` is missing", None),
        (tenant("rtopilot: {api_key: '${env:RTOP}'}"), "tenants.acme.rtopilot",
         "`base_url` is missing", None),
        (tenant("rtopilot: {base_url: 'https://x.example/api', api_key: '${env:KEY}'}"),
         "tenants.acme.rtopilot.api_key", "begin with `rtop_`", "Copy the key again."),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_place_with_a_correction(report_of, text, place, message, fix):
    (problem,) = [problem for problem in report_of(text) if problem.severity == "error"]
    assert problem.place == place
    assert message in problem.message
    assert fix is None or fix in problem.fix


def test_all_mistakes_come_in_one_report_in_the_order_of_the_file(report_of, folder):
    problems = report_of(
        "listn: {}\n" + tenant("grace: 45", "base_url: x") + "  beta:\n" + TENANT.replace("KEY", "NOPE")
    )
    assert [(problem.line, problem.place) for problem in problems] == [
        (1, "listn"),
        (9, "tenants.acme.grace"),
        (10, "tenants.acme.base_url"),
        (14, "tenants.beta.secrets.apiKey"),
    ]
    assert {Path(problem.file) for problem in problems} == {folder / "config.yaml"}


def test_three_mistakes_read_as_help(report_of, folder):
    problems = report_of(
        HEAD
        + """\
    mapping: small
    settings: {domian: acme.example.com}
    secrets: {apiKey: "${env:ACME_KEY}"}
    inbound: {auth: {kind: none}}
"""
    )
    file = folder / "config.yaml"
    assert "\n\n".join(str(problem) for problem in problems) == REPORT.replace("FILE", str(file)).strip("\n")


REPORT = """
FILE:5:16  tenants.acme.settings.domian
     5 |     settings: {domian: acme.example.com}
       |                ^
    small has no setting `domian`.
    Write `domain`.

FILE:6:23  tenants.acme.secrets.apiKey
     6 |     secrets: {apiKey: "${env:ACME_KEY}"}
       |                       ^
    The environment variable `ACME_KEY` is not set.
    Set it before the gateway starts: export ACME_KEY=…

FILE:7:5  tenants.acme.inbound
     7 |     inbound: {auth: {kind: none}}
       |     ^
    With `kind: none` anybody could call; the address itself must be the secret.
    Add `path:` here, 22 to 64 random letters, digits, `-` and `_`.
"""


@pytest.mark.parametrize("text", ["", "[a, b]", "just text"], ids=["empty", "list", "text"])
def test_a_file_that_is_no_object_is_one_problem(report_of, text):
    (problem,) = report_of(text)
    assert problem.message == "A configuration is an object with keys such as `store` and `tenants`."


def test_two_tenants_behind_one_path_are_refused(report_of):
    inbound = "inbound: {auth: {kind: none}, path: '${env:PATH22}'}"
    one = tenant(inbound, without="inbound")
    (problem,) = report_of(one + "  beta:\n" + one.removeprefix(HEAD))
    assert problem.place == "tenants.beta.inbound.path"
    assert problem.message.startswith("`acme` has the same path")


# -- secrets stay secret ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(tenant("secrets: hush-marker", without="secrets"), id="in place of the object"),
        pytest.param(tenant("secrets: {apiKey: hush-marker, zzz: 1}", without="secrets"), id="same line"),
        pytest.param(tenant("inbound: hush-marker", without="inbound"), id="in place of inbound"),
        pytest.param(tenant("inbound: {auth: hush-marker}", without="inbound"), id="in place of auth"),
        pytest.param(
            tenant("inbound: {auth: {kind: bearer, tokn: hush-marker}}", without="inbound"), id="key"
        ),
        pytest.param(tenant("rtopilot: {api_key: hush-marker, base_url: https://x.example}"), id="api_key"),
        pytest.param(tenant("rtopilot: {api_key: {a: hush-marker}}"), id="api_key as an object"),
        pytest.param(tenant("rtopilot: {hooks: hush-marker}"), id="in place of hooks"),
        pytest.param(tenant("rtopilot: {hooks: {secret: hush-marker}}"), id="hooks key"),
        pytest.param(tenant("rtopilot: {hooks: {events: {a: hush-marker}}}"), id="in place of an event"),
        pytest.param(tenant("rtopilot: {hooks: {events: {a: {secret: [hush-marker, []]}}}}"), id="event"),
        pytest.param(
            tenant("rtopilot: {hooks: {auth: {kind: basic, user: u, pasword: hush-marker}}}"), id="hooks auth"
        ),
        pytest.param("secret: hush-marker\n" + tenant(), id="secret"),
        pytest.param(tenant().replace("sqlite:///gateway.db", "mysql://u:hush-marker@h/d"), id="store"),
        pytest.param(tenant("settings: {pin: hush-marker, domain: x}", without="settings"), id="setting"),
        pytest.param(tenant("secrets: {apiKey: 'hush-marker}", without="secrets"), id="broken YAML"),
        pytest.param(tenant("secrets: {apiKey: @hush-marker}", without="secrets"), id="YAML with a hint"),
        pytest.param(tenant("base_url: https://u:hush-marker@example.com"), id="in an address"),
    ],
)
def test_no_report_shows_a_secret(report_of, text):
    problems = report_of(text)
    assert problems
    assert "hush-marker" not in "\n".join(map(str, problems))


def test_a_yaml_mistake_elsewhere_keeps_its_line(report_of):
    (problem,) = report_of("listen: {host: a}}\n")
    assert problem.source == "listen: {host: a}}"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (tenant("secrets: {apiKey: written-out}", without="secrets"), ["tenants.acme.secrets.apiKey"]),
        (
            tenant("inbound: {auth: {kind: bearer, token: short}}", without="inbound"),
            ["tenants.acme.inbound.auth.token", "tenants.acme.inbound.auth.token"],
        ),
        (
            "secret: sixteen-letters-x\n"
            + tenant().replace("sqlite:///gateway.db", "postgresql://u:pass@h/d"),
            ["secret", "store"],
        ),
        (
            tenant("rtopilot: {base_url: 'http://127.0.0.1:9/api', api_key: rtop_1}"),
            ["tenants.acme.rtopilot.api_key"],
        ),
        (
            tenant("base_url: http://127.0.0.1:9", "secrets: {apiKey: written-out}", without="secrets"),
            [],
        ),
    ],
    ids=["secret", "short token", "store and secret", "odd api key", "a stand-in on this machine"],
)
def test_a_secret_written_out_is_a_warning_unless_it_protects_nothing(load, text, places):
    warnings = load(text).warnings
    assert [problem.place for problem in warnings] == places
    assert all(problem.severity == "warning" for problem in warnings)
    assert "written-out" not in "\n".join(map(str, warnings))


def test_a_store_from_the_environment_may_hold_a_password(load):
    text = "secret: '${env:TOKEN}'\n" + tenant().replace("sqlite:///gateway.db", "'${env:STORE}'")
    settings = load(text, {**ENVIRON, "STORE": "postgresql://u:p4ss@h/d"})
    assert settings.store.reveal() == "postgresql+psycopg://u:p4ss@h/d"
    assert settings.warnings == ()


# -- the session secret -----------------------------------------------------------------------------------


def test_a_key_file_is_made_beside_the_store_when_it_is_first_needed(load, folder):
    settings = load(tenant())
    assert not (folder / "gateway.db.key").exists()
    first = settings.session_secret()
    assert settings.session_secret() == first
    assert stat.S_IMODE((folder / "gateway.db.key").stat().st_mode) == 0o600


def test_a_key_file_that_cannot_be_made_is_a_store_error(load):
    settings = load(tenant().replace("gateway.db", "nowhere/gateway.db"))
    with pytest.raises(StoreError, match="cannot be made"):
        settings.session_secret()


# -- finding the file -------------------------------------------------------------------------------------


def test_config_is_found_by_option_then_environment_then_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml", "config.yaml"):
        Path(name).write_text("")
    environ = {"LMS_GATEWAY_CONFIG": "b.yaml"}
    assert find_config(Path("a.yaml"), environ=environ) == Path("a.yaml")
    assert find_config(environ=environ) == Path("b.yaml")
    assert find_config(environ={}) == Path("config.yaml")


@pytest.mark.parametrize(
    ("explicit", "environ", "looked"),
    [
        (None, {}, ["--config: not given", "LMS_GATEWAY_CONFIG: not set", "./config.yaml: not there"]),
        (Path("x.yaml"), {}, ["--config: x.yaml", "LMS_GATEWAY_CONFIG: not set"]),
        (None, {"LMS_GATEWAY_CONFIG": "y.yaml"}, ["--config: not given", "LMS_GATEWAY_CONFIG: y.yaml"]),
    ],
    ids=["nothing", "option", "environment"],
)
def test_where_no_config_is_found_all_three_places_are_named(
    tmp_path, monkeypatch, explicit, environ, looked
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemsFound) as caught:
        find_config(explicit, environ=environ)
    message = str(caught.value)
    assert all(line in message for line in [*looked, "./config.yaml: not there"])


# -- what is shipped --------------------------------------------------------------------------------------


def test_the_shipped_file_serves_with_an_empty_environment():
    settings = load_config(ROOT / "config.yaml", environ={})
    assert list(settings.tenants) == ["sandbox"]
    assert settings.tenants["sandbox"].base == "http://127.0.0.1:8181/api/v1"
    assert settings.warnings == ()


def test_the_shipped_examples_load_once_uncommented(tmp_path):
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    head, _, examples = text.partition("  # TalentLMS ---")
    lines = [
        line.replace("  # ", "  ", 1)
        for line in examples.splitlines()[1:]
        if not re.match("  # [A-Z].* -{5,}$", line)
    ]
    (tmp_path / "config.yaml").write_text(head + "\n".join(lines), encoding="utf-8")
    names = re.findall(r"\$\{env:(\w+)\}", "\n".join(lines))
    environ = {name: KEY for name in names}
    settings = load_config(tmp_path / "config.yaml", environ=environ)
    whole = ["acme", "beacon", "cedar", "delta", "elder", "fern"]
    assert list(settings.organisations) == ["sandbox", *whole, "gorse"]
    for name in whole:
        tenant = settings.tenants[name]
        written = re.search(rf"(?ms)^  {name}:.*?(?=^  \w|\Z)", "\n".join(lines))
        missing = [setting for setting in tenant.mapping.settings if f" {setting}:" not in written[0]]
        assert not missing, name


def test_every_key_of_the_schema_is_explained_and_exemplified():
    schema = load_schema("config.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    for where, node in _properties(schema):
        assert {"title", "description", "examples"} <= set(node), where


def _properties(node, where=""):
    if isinstance(node, dict):
        for name, child in (
            (node.get("properties") or {}).items() if isinstance(node.get("properties"), dict) else ()
        ):
            if isinstance(child, dict) and "$ref" not in child and "const" not in child:
                yield f"{where}.{name}", child
        for key, child in node.items():
            if key != "examples":
                yield from _properties(child, f"{where}.{key}")
    elif isinstance(node, list):
        for child in node:
            yield from _properties(child, where)


def test_the_examples_of_the_schema_are_valid():
    schema = load_schema("config.json")
    for where, node in _properties(schema):
        part = {**node, "$defs": schema["$defs"]}
        for example in node["examples"]:
            errors = list(jsonschema.Draft202012Validator(part).iter_errors(example))
            assert not errors, f"{where}: {json.dumps(example)}"
