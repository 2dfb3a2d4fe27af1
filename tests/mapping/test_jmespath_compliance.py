"""The public JMESPath cases: all must give the result, or the class of error, that JMESPath itself gives."""

import json
from pathlib import Path

import pytest

from gateway.errors import ExpressionError
from gateway.mapping.expressions import compile_expression

FOLDER = Path(__file__).parent.parent / "data" / "jmespath-compliance"
KINDS = {
    "syntax": {"syntax"},
    "invalid-type": {"type"},
    "invalid-arity": {"arity"},
    "invalid-value": {"value"},
    "unknown-function": {"unknown-function"},
}


def _cases():
    for path in sorted(FOLDER.glob("*.json")):
        for group, suite in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            for number, case in enumerate(suite["cases"]):
                yield pytest.param(suite["given"], case, id=f"{path.stem}-{group}-{number}")


CASES = list(_cases())


def test_all_cases_are_here():
    with_results = [case for case in CASES if "bench" not in case.values[1]]
    assert (len(CASES), len(with_results)) == (908, 892)


@pytest.mark.parametrize(("given", "case"), CASES)
def test_compliance_case_gives_the_upstream_result(given, case):
    if "error" in case:
        with pytest.raises(ExpressionError) as caught:
            compile_expression(case["expression"]).search(given)
        assert caught.value.kind in KINDS[case["error"]]
        return
    result = compile_expression(case["expression"]).search(given)
    if "result" in case:
        assert result == case["result"]
