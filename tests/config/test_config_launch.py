"""`launch` of a tenant: how long learners' pages work, and whom they name."""

import pytest

from gateway.config import LaunchConfig

DAY_S = 86_400


def test_without_a_word_pages_work_for_ever_and_name_nobody(acme):
    assert acme().launch == LaunchConfig(expires_s=None, contact=None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("launch: {expires: 365d}", LaunchConfig(expires_s=365 * DAY_S)),
        ("launch: {expires: 1s}", LaunchConfig(expires_s=1)),
        ("launch: {expires: never}", LaunchConfig()),
        (
            "launch: {contact: ' Acme Training, 08 5550 1234 '}",
            LaunchConfig(contact="Acme Training, 08 5550 1234"),
        ),
        ("launch: {contact: 0855501234}", LaunchConfig(contact="0855501234")),
        ("launch: {contact: ' '}", LaunchConfig()),
    ],
)
def test_what_is_said_is_read(acme, line, expected):
    assert acme(line).launch == expected


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("launch: {expires: 0d}", "tenants.acme.launch.expires"),
        ("launch: {expires: 365}", "tenants.acme.launch.expires"),
        ("launch: {expires: a year}", "tenants.acme.launch.expires"),
        ("launch: {contact: ''}", "tenants.acme.launch.contact"),
        ("launch: {contact: [Acme]}", "tenants.acme.launch.contact"),
        ("launch: {expire: 365d}", "tenants.acme.launch.expire"),
        ("launch: off", "tenants.acme.launch"),
        ("launch: {contact: '${env:KEY}'}", "tenants.acme.launch.contact"),
    ],
)
def test_what_cannot_be_meant_is_a_problem_at_its_place(problem_of, line, place):
    assert problem_of(line).place == place


def test_one_lms_of_several_may_say_it_otherwise(read):
    tenants = read(
        "launch: {expires: 365d, contact: Acme}",
        "lms:",
        "  two: {mapping: small, secrets: {apiKey: '${env:KEY}'}, launch: {expires: never}}",
        "  three: {mapping: small, secrets: {apiKey: '${env:KEY}'}}",
    ).tenants
    assert tenants["acme"].launch == tenants["acme/three"].launch
    assert tenants["acme"].launch == LaunchConfig(expires_s=365 * DAY_S, contact="Acme")
    assert tenants["acme/two"].launch == LaunchConfig(expires_s=None, contact="Acme")
