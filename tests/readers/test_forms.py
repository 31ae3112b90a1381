"""Each form that people have, read back: against the digits themselves, and against its own users.

Those are torchvision's ImageFolder, MNIST, EMNIST and QMNIST, and NumPy.
"""

import numpy as np
import pytest
import torch
import torchvision
from conftest import write_files
from forms import FORMS, below, emnist_files, idx_files, write_form
from six_digits import assert_equal, fault, read_both

import main
from dataset import MNIST, Transform
from lab.runs.checkpoints import build_net, read_checkpoint
from lab.training import names

RECORD = "logs/report/lenet_record-seed0.pt"  # weights


@pytest.fixture(scope="module")
def few_digits(digits):
    """The first 60 training and 20 test digits: {split: (images, labels)}, numpy uint8."""
    return {split: tuple(array[:count] for array in digits[split])
            for split, count in (("train", 60), ("test", 20))}


def in_order_of_folders(digits):
    """As class folders give them: by class, then by name as text, so 10 comes before 2."""
    return {split: tuple(array[sorted(range(len(labels)), key=lambda i: (labels[i], f"{i}."))]
                         for array in (images, labels))
            for split, (images, labels) in digits.items()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_digits(form, few_digits, tmp_path):
    found = read_both(write_form(tmp_path, form, few_digits))
    expected = in_order_of_folders(few_digits) if form.startswith("classes") else few_digits
    if "jpg" in form:  # JPEG loses some
        for split, (images, labels) in expected.items():
            difference = np.abs(found[split][0].numpy()[:, 0] - images.astype(float))
            assert difference.mean() < 4
            np.testing.assert_array_equal(found[split][1].numpy(), labels)
    else:
        assert_equal(found, expected)


@pytest.mark.parametrize("form", ["classes", "classes, jpg", "classes, bmp"])
def test_class_folders_equal_torchvisions_image_by_image(form, few_digits, tmp_path):
    folder = write_form(tmp_path, form, few_digits)
    for path in sorted(folder.rglob("0")):  # the folder of a class in each split
        oracle = torchvision.datasets.ImageFolder(path.parent)
        images, labels = MNIST(folder, "train" in str(path.parent.name))[:]
        assert len(labels) == len(oracle)
        for image, label, (picture, index) in zip(images, labels, oracle, strict=True):
            assert oracle.classes[index] == str(label.item())
            np.testing.assert_array_equal(image[0], np.asarray(picture.convert("L")))


@pytest.mark.parametrize(("name", "options"), [
    ("MNIST", {}), ("FashionMNIST", {}), ("QMNIST", {}), ("EMNIST", {"split": "digits"})])
def test_what_torchvision_reads_is_read_alike(name, options, few_digits, tmp_path):
    write_form(tmp_path, name, few_digits)
    for train in (True, False):
        oracle = getattr(torchvision.datasets, name)(tmp_path, train=train, **options)
        images, labels = MNIST(tmp_path, train)[:]
        turned = oracle.data.mT if name == "EMNIST" else oracle.data
        assert torch.equal(images.squeeze(1), turned)
        assert labels.tolist() == [label for _, label in oracle]


@pytest.mark.parametrize("form", ["csv", "csv, header"])
def test_rows_equal_numpys(form, few_digits, tmp_path):
    for path in write_form(tmp_path, form, few_digits).iterdir():
        rows = np.genfromtxt(path, delimiter=",", skip_header=form != "csv")
        images, labels = MNIST(tmp_path, "train" in path.name)[:]
        np.testing.assert_array_equal(images.reshape(-1, 784), rows[:, 1:])
        np.testing.assert_array_equal(labels, rows[:, 0])


def test_emnist_is_upright(digits, tmp_path):
    """A net that has learned MNIST reads it."""
    write_files(tmp_path, emnist_files({split: [array[:500] for array in arrays]
                                        for split, arrays in digits.items()}))
    net = build_net(read_checkpoint(main.__file__.replace("main.py", RECORD)))
    images, labels = MNIST(tmp_path, False, Transform(net.image_size))[:]
    with torch.inference_mode():
        right = (net(images).argmax(1) == labels).float().mean()
        lying = (net(images.mT).argmax(1) == labels).float().mean()
    assert right > 0.95
    assert lying < 0.6


def test_of_two_sets_of_torchvision_neither_is_taken(few_digits, tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        write_form(tmp_path, name, few_digits)
    assert fault(tmp_path) == (
        f"{tmp_path}: has FashionMNIST/raw and MNIST/raw; choose one of them, as --data-dir "
        f"{tmp_path / 'FashionMNIST' / 'raw'}")
    assert_equal(read_both(tmp_path / "FashionMNIST"), few_digits)


def test_of_the_sets_of_emnist_one_is_chosen(few_digits, tmp_path):
    """Its archive has six sets, and torchvision unpacks them all into one folder."""
    raw = tmp_path / "EMNIST" / "raw"
    layout = "{split}-{kind}-idx{n}-ubyte"
    for name in ("letters", "digits", "balanced"):
        write_files(raw, emnist_files(few_digits, f"emnist-{name}-{layout}"))
    chosen = raw / "emnist-digits"
    assert fault(tmp_path) == (
        f"{raw}: has emnist-balanced, emnist-digits, emnist-letters; choose one of them, as "
        f"--data-dir {chosen}, or move all but one to another folder")
    assert_equal(read_both(chosen), few_digits)
    assert names.name_folder(chosen) == "emnist_digits"
    assert fault(raw / "emnist-mnist").startswith(f"{raw / 'emnist-mnist'}: no such folder")
    write_files(raw, {"emnist-digits-test-labels-idx1-ubyte": None})
    assert fault(chosen).startswith(f"{chosen}-test-labels-idx1-ubyte or ")


def test_letters_are_no_digits(few_digits, tmp_path):
    letters = {split: (images, labels + 1) for split, (images, labels) in few_digits.items()}
    write_files(tmp_path, emnist_files(letters))
    assert fault(tmp_path) == (
        f"{tmp_path / 'emnist-digits-train-labels-idx1-ubyte'}: label 10 at position 4; of EMNIST, "
        "only `digits` and `mnist` are digits")


def test_what_lies_in_the_folder_itself_comes_before_torchvisions(few_digits, tmp_path):
    """So `data/` stays what it is, when someone downloads to it with torchvision."""
    swapped = {"train": few_digits["test"], "test": few_digits["train"]}
    write_files(tmp_path, idx_files(few_digits) | below("MNIST/raw", idx_files(swapped)))
    assert_equal(read_both(tmp_path), few_digits)


@pytest.mark.parametrize(("form", "folder", "name"), [
    ("MNIST", "", "MNIST"), ("FashionMNIST", "", "FashionMNIST"),
    ("FashionMNIST", "FashionMNIST", "FashionMNIST"),
    ("FashionMNIST", "FashionMNIST/raw", "FashionMNIST"), ("csv", "", "mine")])
def test_a_run_is_named_by_the_set(form, folder, name, few_digits, tmp_path):
    write_form(tmp_path / "mine", form, few_digits)
    assert names.name_folder(tmp_path / "mine" / folder) == name
