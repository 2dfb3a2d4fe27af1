"""The switches of the caller, and the short list that covers them in pairs."""

import itertools

from gateway.sandbox.rtopilot_switches import CHOICES, Switches, all_switch_combinations, pairs_of, switch_id


def test_the_first_choice_of_every_switch_is_its_default():
    assert Switches(**{name: choices[0] for name, choices in CHOICES.items()}) == Switches()


def test_the_combinations_cover_every_pair_of_settings():
    covered = set().union(*(pairs_of(switches) for switches in all_switch_combinations()))
    for (one, ones), (two, twos) in itertools.combinations(CHOICES.items(), 2):
        for a, b in itertools.product(ones, twos):
            assert (one, a, two, b) in covered


def test_the_combinations_are_few_distinct_and_begin_with_the_defaults():
    combinations = all_switch_combinations()
    assert combinations[0] == Switches()
    assert len(set(combinations)) == len(combinations) <= 20


def test_the_name_of_a_combination_tells_it_from_the_others():
    names = [switch_id(switches) for switches in all_switch_combinations()]
    assert names[0] == "defaults"
    assert len(set(names)) == len(names)
    assert switch_id(Switches(url="raw", timeout_s=5.0)) == "url=raw,timeout_s=5.0"
