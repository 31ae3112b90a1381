"""study/images.py: what the misread images tell, compared with numbers by hand."""

import statistics

import pytest
from conftest import ROOT
from made_up import read, rows_of, write_series

from main import RECIPES
from study import images


@pytest.fixture
def nested(tmp_path):
    """Series whose errors are nested: each net misreads the first so many images."""
    for name, values in (("lenet", [0.9910, 0.9914]), ("mlp", [0.98, 0.97]),
                         ("lenet_reg", [0.9950, 0.9956])):
        errors = [[i, 0, 1, 0.5] for i in range(round(10_000 * (1 - values[0])))]
        write_series(tmp_path, name, values, RECIPES[name], errors=errors)
    return read(tmp_path)


def test_two_nets_are_compared_by_the_images_that_only_one_misreads(nested):
    text = images.paired_tests(nested)
    # 90 of the MLP's 200 are LeNet's too, and 110 its alone.
    assert ("Of two nets of one seed, `lenet` alone misreads 0 to 0 images, and `mlp` alone 110 to "
            "110. Over the 2 seeds, p is 1.5e-33 to 1.5e-33 (McNemar's exact test)") in text
    del nested["mlp"][1]["errors"][100:]
    text = images.paired_tests(nested)
    assert "and `mlp` alone 10 to 110. Over the 2 seeds, p is 1.5e-33 to 0.002 (Mc" in text


def test_the_test_set_is_a_sample_with_doubtful_labels(nested):
    del nested["lenet_reg"][1]["errors"][20:]
    text = images.sampling_error(nested)
    assert "(`lenet_reg`) reads 99.53 % of the 10,000 test images right" in text
    # Wilson's interval for 9,953 of 10,000: where the distance is 1.96 standard errors.
    assert "99.38 to 99.65 % (95 % interval, Wilson)" in text
    assert "misreads 0 of these 15.\n- 20 images are misread by more than half of its 2" in text
    assert "50 by one or more" in text


def test_mcnemar_by_hand():
    # One image misread by the first alone, nine by the second alone: 2 * (1 + 10) / 2**10.
    assert images.mcnemar({0, 1}, {0, *range(2, 11)}) == (1, 9, pytest.approx(22 / 1024))
    assert images.mcnemar({1, 2}, {1, 2}) == (0, 0, 1.0)
    assert images.mcnemar({1}, {2}) == (1, 1, 1.0)


@pytest.mark.parametrize(("one", "other", "audited"), [
    ("lenet_reg", "lenet", 0.09), ("lenet", "mlp", 0.18), ("lenet_record", "lenet_reg", 0.046)])
def test_the_doubt_over_the_images_is_that_of_every_image_counted(one, other, audited):
    logs = read(ROOT / "logs/report")
    differences = []
    for index in range(10_000):
        differences.append(0)
        for name, sign in ((one, 1), (other, -1)):
            differences[-1] += sign * sum(each[0] == index for run in logs[name]
                                          for each in run["errors"]) / len(logs[name])
    reach = 1.96 * 100 * statistics.stdev(differences) / 100
    assert images.reach_over_images(logs, one, other) == pytest.approx(reach, rel=1e-4)
    assert reach == pytest.approx(audited, abs=0.005)


def test_both_sources_of_doubt_stand_side_by_side(nested):
    first, second = rows_of(images.sources_table(nested))
    # Differences of 110 and 214 images over the seeds; of 110 images, both nets tell them apart.
    error = (0.011 * (1 - 0.011) / 9999) ** 0.5
    assert first == ["`lenet` less `mlp`", "+1.620", f"± {12.7062 * 0.52:.3f}",
                     f"± {100 * 1.96 * error:.3f}"]
    assert second[0] == "`lenet_reg` less `lenet`"
