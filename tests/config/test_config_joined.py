"""Several LMSs of one organisation: `lms:` with a name for each, and the tenant's own mapping beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load_config
from gateway.errors import Problem, ProblemsFound

HEAD = "store: sqlite:///gateway.db\ntenants:\n  acme:\n"
INBOUND = '    inbound: {auth: {kind: bearer, token: "${env:TOKEN}"}}\n'
ONE = 'one: {mapping: small, secrets: {apiKey: "${env:KEY}"}}'
TWO = (
    'two: {mapping: small, secrets: {apiKey: "${env:KEY}"}, settings: {zone: Hobart}, progress: {every: 5m}}'
)
OWN = '    mapping: small\n    secrets: {apiKey: "${env:KEY}"}\n'


@pytest.fixture
def joined(folder: Path, environ: dict[str, str]) -> Callable[..., Any]:
    """Loads an organisation with these LMSs, and these lines of its own."""

    def joined(*lms: str, lines: str = "") -> Any:
        below = "".join(f"      {each}\n" for each in lms)
        (folder / "config.yaml").write_text(HEAD + INBOUND + lines + (f"    lms:\n{below}" if lms else ""))
        return load_config(folder / "config.yaml", environ=environ)

    return joined


def problems(joined: Callable[..., Any], *lms: str, lines: str = "") -> list[Problem]:
    with pytest.raises(ProblemsFound) as caught:
        joined(*lms, lines=lines)
    return [each for each in caught.value.problems if each.severity == "error"]


def test_each_lms_is_a_tenant_with_its_own_settings_behind_the_organisations_door(joined: Any) -> None:
    settings = joined(ONE, TWO, lines="    grace: 7s\n    progress: {every: 20m}\n")
    one, two = settings.tenants["acme/one"], settings.tenants["acme/two"]
    assert settings.organisations == {"acme": ("acme/one", "acme/two")}
    assert (one.alias, two.alias) == ("one", "two")
    assert {one.door, two.door} == {"acme"}
    assert (one.events_door, two.events_door) == ("acme/one", "acme/two")
    assert (one.grace_s, two.grace_s) == (7.0, 7.0)
    assert (one.progress.every_s, two.progress.every_s) == (1200.0, 300.0)
    assert (one.progress.zone, two.progress.zone) == ("Australia/Perth", "Australia/Hobart")
    assert two.secrets["apiKey"].reveal() == "vendor-key-marker"


def test_learners_may_sign_in_elsewhere_at_one_lms_or_at_all(joined: Any) -> None:
    lms = (ONE, TWO.replace("two: {", "two: {sign_in: lms, "))
    settings = joined(*lms, lines="    sign_in: elsewhere\n")
    assert [settings.tenants[f"acme/{each}"].signs_in_elsewhere for each in ("one", "two")] == [True, False]
    settings = joined(ONE.replace("one: {", "one: {sign_in: elsewhere, "), TWO)
    assert [settings.tenants[f"acme/{each}"].signs_in_elsewhere for each in ("one", "two")] == [True, False]


def test_the_tenants_own_mapping_stands_beside_them_and_its_ids_carry_no_name(joined: Any) -> None:
    settings = joined(TWO, lines=OWN)
    assert settings.organisations == {"acme": ("acme", "acme/two")}
    assert settings.tenants["acme"].alias is None
    assert settings.tenants["acme"].events_door == "acme"


def test_secrets_of_each_lms_are_read_from_the_environment_only_there(joined: Any) -> None:
    (problem,) = problems(
        joined, 'one: {mapping: small, settings: {zone: "${env:KEY}"}, secrets: {apiKey: x}}'
    )
    assert "settings.zone" in problem.place
    assert "vendor-key-marker" not in str(problem)


@pytest.mark.parametrize(
    ("lms", "lines", "place", "message", "fix"),
    [
        ((), "", "tenants.acme", "This tenant is joined to no LMS.", "Add `mapping:`, or `lms:`"),
        (("Moo: {mapping: small}",), "", "lms.Moo", "This name begins the LMS's ids", "Write `moo`."),
        (("a_b: {mapping: small}",), "", "lms.a_b", "This name begins the LMS's ids", "Write `ab`."),
        (("hooks: {mapping: small}",), "", "lms.hooks", "This name begins the LMS's ids", "Write `lms2`."),
        (("one: {mapping: smal}",), "", "lms.one.mapping", "There is no mapping `smal`.", "Write `small`."),
        (("one: {}",), "", "lms.one", "`one` needs `mapping`.", None),
        ((ONE, "two: {mapping: small}"), "", "lms.two.secrets", "The secret `apiKey` is missing", "ACME_TWO_API_KEY"),
        ((ONE,), "    settings: {zone: Perth}\n", "acme.settings", "`settings` belongs to one LMS.", "under `lms:`"),
        ((ONE,), "    base_url: https://a.example\n", "acme.base_url", "`base_url` belongs to one LMS.", None),
        (("one: {mapping: small, inbound: {}}",), "", "lms.one", "`inbound` is not a keyword here", None),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_said_at_its_place(
    joined: Any, lms: tuple[str, ...], lines: str, place: str, message: str, fix: str | None
) -> None:
    found = problems(joined, *lms, lines=lines)
    about = [each for each in found if place in each.place and message in each.message]
    assert about, [(each.place, each.message) for each in found]
    assert fix is None or fix in (about[0].fix or "")


def test_a_long_name_is_warned_of_since_two_uuids_no_longer_fit(joined: Any) -> None:
    settings = joined('longername: {mapping: small, secrets: {apiKey: "${env:KEY}"}}')
    assert any("A short name is better" in each.message for each in settings.warnings)
    assert not any("A short name" in each.message for each in joined(ONE).warnings)
