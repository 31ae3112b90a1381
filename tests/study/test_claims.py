"""study/claims.py: what the pages claim holds in the logs, and one that did not would be named."""

import re

import pytest
from conftest import ROOT
from made_up import read

from lab.files import RunError
from lab.runs import compare
from study import claims


@pytest.fixture(scope="module")
def logs():
    """The runs of the report: {name: [run, ...]}."""
    return {**read(ROOT / "logs/report"), **read(ROOT / "logs/report/validation")}


def shift(logs, name, points):
    """The logs as they would be if every seed of one series had so many points more."""
    runs = [{**run, "final": {**run["final"], "test_accuracy":
                              run["final"]["test_accuracy"] + points / 100}} for run in logs[name]]
    return {**logs, name: runs}


def test_the_logs_of_the_report_bear_out_every_claim(logs):
    claims.check_claims(logs)


@pytest.mark.parametrize(("name", "points", "words"), [
    ("mlp", 3, "lenet is better than mlp; the logs say worse: -1.63 points, "),
    ("lenet_dropout", 0.1, "lenet_dropout is undecided against lenet; the logs say better: +0.15"),
    ("lenet_decay", -0.14, "lenet_decay is better than lenet; the logs say undecided: +0.00"),
    ("lenet_augment", -0.5, "lenet_augment is better than lenet; the logs say worse: -0.26"),
    ("lenet_reg", -0.33, "lenet_reg is better than lenet; the logs say undecided: +0.00"),
    ("lenet_heavy", 3, "lenet_heavy is worse than lenet; the logs say better: +1.81"),
    ("lenet_reg-validate", -0.2, "lenet_reg-validate is undecided against "
                                 "lenet_reg-dropout0.0-validate; the logs say worse: -0.22"),
    ("mlp-validate", -1, "mlp-lr0.1-validate is undecided against mlp-validate; the logs say "
                         "better: +0.91"),
    ("lenet_record", -0.2, "lenet_record is undecided against lenet_reg; the logs say worse: "),
    ("mlp_28", -0.17, "mlp_28 is better than mlp; the logs say undecided: "),
    ("lenet_1998", -0.19, "lenet_1998_linear is undecided against lenet_1998; the logs say b")])
def test_a_claim_that_no_longer_holds_is_named(logs, name, points, words):
    with pytest.raises(RunError, match="^the pages say that " + re.escape(words)):
        claims.check_claims(shift(logs, name, points))


@pytest.mark.parametrize("name", sorted(claims.JUDGED))
def test_the_seeds_are_as_many_as_the_pages_say(logs, name):
    said = 5 if name.startswith(("mlp-", "modern-")) else 10
    with pytest.raises(RunError, match=f"^the pages say that {name} has {said} seeds; the logs "
                                       f"have {said - 1}$"):
        claims.check_claims({**logs, name: logs[name][1:]})


def test_the_p_of_a_claim_is_corrected_for_its_group(logs):
    """One step of the road would be decided if it were the only one."""
    difference = compare.measure_difference(logs, "lenet_record", "lenet_reg")
    assert compare.judge_all([difference])[0][0] == "better"
    claims.check_claims(logs)


def reverse(logs, name):
    """The logs as they would be if one series had gone through its epochs backwards."""
    return {**logs, name: [{**run, "history": run["history"][::-1]} for run in logs[name]]}


@pytest.mark.parametrize(("words", "change"), [
    ("LeNet-5 is as good as known", lambda logs: shift(logs, "lenet_1998", -0.19)),
    ("whether dropout adds anything", lambda logs: shift(logs, "lenet_reg-dropout0.0", 0.2)),
    ("**Weight decay and augmentation", lambda logs: shift(logs, "lenet_reg", -0.5)),
    ("In accuracy, that is undecided", lambda logs: shift(logs, "lenet_reg", 0.5)),
    ("lowest in epoch 14", lambda logs: reverse(logs, "lenet")),
    ("with every training image right", lambda logs: {**logs, "lenet": logs["mlp_wide"]}),
    ("the loss falls to the end", lambda logs: reverse(logs, "lenet_reg")),
    ("far from LeNet-5", lambda logs: shift(logs, "mlp_28", 0.5)),
    ("no other rate", lambda logs: shift(logs, "lenet-epochs12-validate", 0.5)),
    ("no larger than LeNet-5", lambda logs: {**logs, "modern": logs["lenet_record"]}),
    ("comes close to the reg", lambda logs: shift(logs, claims.TODAY[0], -0.1)),
    ("misread more", lambda logs: shift(logs, "mlp_wide", 1)),
    ("a tenth of a point", lambda logs: shift(logs, "lenet", 0.1)),
    ("a tenth of a point", lambda logs: shift(logs, "lenet", -0.1))])
def test_a_fact_that_no_longer_holds_is_found(logs, words, change):
    (holds,) = (holds for fact, holds in claims.FACTS.items() if words in fact)
    assert holds(logs)
    assert not holds(change(logs))


def test_a_fact_that_no_longer_holds_is_named(logs, monkeypatch):
    monkeypatch.setitem(claims.FACTS, "it is blue", lambda series: "mlp" not in series)
    with pytest.raises(RunError, match=r"^the pages say 'it is blue'; the logs do not"):
        claims.check_claims(logs)


@pytest.mark.parametrize("words", claims.FACTS)
def test_every_fact_stands_in_a_page(words):
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    text = " ".join(" ".join(path.read_text("utf-8").split()) for path in pages)
    assert words in text
