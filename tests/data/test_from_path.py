"""`--from PATH`: whatever the user has is taken if its content is right, and told apart if it is not."""

import gzip
import pickle

import pytest

from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS, NAMES
from mlfound.errors import UserError
from tests.support.made import made_up


def plain(made, folder):
    return made.write(folder)


def packed(made, folder):
    return made.write(folder, ".gz")


def dotted(made, folder):
    return made.write(folder, dotted=True)


def dotted_and_packed(made, folder):
    return made.write(folder, ".gz", dotted=True)


def one_of_the_four(made, folder):
    return made.write(folder, ".gz") / f"{NAMES[3]}.gz"


def pickle_file(made, folder):
    folder.mkdir()
    (folder / "my.pkl.gz").write_bytes(gzip.compress(made.pickle))
    return folder / "my.pkl.gz"


def packed_where_the_raw_one_is_too(made, folder):
    made.write(folder)
    return made.write(folder, ".gz") / f"{NAMES[0]}.gz"


def four_and_a_pickle_that_is_not_needed(made, folder):
    (made.write(folder) / "mnist.pkl.gz").write_bytes(b"nonsense")
    return folder


def folder_with_pickle(made, folder):
    pickle_file(made, folder).rename(folder / "mnist.pkl.gz")
    return folder


def kaggle_archive(made, folder):
    """Each file twice: under a dotted name, and in a folder that is named like it."""
    made.write(folder, dotted=True)
    return only_folders(made, folder)


def only_folders(made, folder):
    for name, raw in made.raws.items():
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_bytes(raw)
    return folder


def one_level_down(made, folder):
    return made.write(folder / "unpacked").parent


def torchvision_root(made, folder):
    made.write(folder / "MNIST" / "raw")
    return made.write(folder / "MNIST" / "raw", ".gz").parent.parent


def torchvision_folder(made, folder):
    return torchvision_root(made, folder) / "MNIST"


def torchvision_raw(made, folder):
    return torchvision_root(made, folder) / "MNIST" / "raw"


def among_others(made, folder):
    """The digest decides: torchvision's root with another data set, which is looked at first, and one not whole."""
    other = made_up(seed=1)
    other.write(folder / "AnotherMNIST" / "raw")
    (made.write(folder / "KMNIST" / "raw") / NAMES[0]).unlink()
    return torchvision_root(made, folder)


def one_of_the_four_among_others(made, folder):
    for path in made_up(seed=1).write(folder).iterdir():
        path.rename(path.with_name(f"emnist-{path.name}"))
    return made.write(folder) / NAMES[1]


def keras_file(made, folder):
    folder.mkdir()
    (folder / "other.npz").write_bytes(made.npz())
    return folder / "other.npz"


def keras_folder(made, folder):
    """`~/.keras/datasets` with another data set in it."""
    made_up(seed=1).write(folder / "fashion-mnist", ".gz")
    (folder / "mnist.npz").write_bytes(made.npz())
    return folder


HAVE = [kaggle_archive, only_folders, one_level_down, torchvision_root, torchvision_folder, torchvision_raw]
HAVE += [among_others, one_of_the_four_among_others, keras_file, keras_folder]
HAVE += [plain, packed, dotted, dotted_and_packed, one_of_the_four, packed_where_the_raw_one_is_too]
HAVE += [pickle_file, folder_with_pickle, four_and_a_pickle_that_is_not_needed]


@pytest.mark.parametrize("have", HAVE)
def test_what_the_user_has_is_taken(made, tmp_path, have):
    source = have(made, tmp_path / "have")
    arrivals = fetch(made.dataset, tmp_path / "cache", source=source)
    assert {a.source for a in arrivals} == {str(source)}
    assert {name: (tmp_path / "cache" / "made" / name).read_bytes() for name in NAMES} == made.raws
    assert {a.source for a in fetch(made.dataset, tmp_path / "cache")} == {"cache"}


def nothing(made, folder):
    return folder, "does not exist; give a folder with train-images-idx3-ubyte"


def empty_folder(made, folder):
    folder.mkdir()
    return folder, "has no train-images-idx3-ubyte; give a folder with"


def three_files(made, folder):
    (made.write(folder) / NAMES[3]).unlink()
    return folder, "has no file t10k-labels-idx1-ubyte, raw or .gz"


def alien_file(made, folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt", "is not one of the files wanted; give"


def alien_file_beside_the_four(made, folder):
    (made.write(folder) / "notes.txt").write_text("hello")
    return folder / "notes.txt", "is not one of the files wanted; give"


def truncated(made, folder):
    (made.write(folder) / NAMES[2]).write_bytes(made.raws[NAMES[2]][:-5])
    return folder, "has the wrong content for t10k-images-idx3-ubyte"


def too_long(made, folder):
    (made.write(folder) / NAMES[2]).write_bytes(made.raws[NAMES[2]] + b"x")
    return folder, "has more than 3,152 bytes"


def truncated_gzip(made, folder):
    file = made.write(folder, ".gz") / f"{NAMES[2]}.gz"
    file.write_bytes(file.read_bytes()[:-5])
    return folder, "t10k-images-idx3-ubyte.gz ends early"


def swapped_files(made, folder):
    raws = made.raws
    (made.write(folder) / NAMES[2]).write_bytes(raws[NAMES[0]][: len(raws[NAMES[2]])])
    return folder, "wrong content for t10k-images"


def hostile_pickle(made, folder):
    folder.mkdir()
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(b"cposix\nsystem\nU\x0ctouch canary\x85R."))
    return folder, "is not the lesson's mnist.pkl.gz: it names b'posix system'"


def pickle_unpacked(made, folder):
    folder.mkdir()
    (folder / "mnist.pkl.gz").write_bytes(made.pickle)
    return folder / "mnist.pkl.gz", "is a pickle that gzip has not packed; pack it with gzip"


def folder_in_place_of_a_file(made, folder):
    (made.write(folder) / NAMES[1]).unlink()
    (folder / NAMES[1]).mkdir()
    return folder, "has no file train-labels-idx1-ubyte, raw or .gz"


def web_page(made, folder):
    (made.write(folder, ".gz") / f"{NAMES[1]}.gz").write_text("<!doctype html>" + "404 " * 40_000)
    return (
        folder,
        "train-labels-idx1-ubyte.gz is a web page: the link leads to a page about the file; download",
    )


def packed_twice(made, folder):
    (made.write(folder, ".gz") / f"{NAMES[1]}.gz").write_bytes(gzip.compress(made.packed[NAMES[1]]))
    return folder, "is packed by gzip once too often; unpack it once with gunzip"


def pickle_that_is_a_page(made, folder):
    folder.mkdir()
    (folder / "mnist.pkl.gz").write_text("<html>")
    return folder, "mnist.pkl.gz is a web page"


def pickle_packed_twice(made, folder):
    folder.mkdir()
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(gzip.compress(made.pickle)))
    return folder, "mnist.pkl.gz: it is packed by gzip once too often"


def pickle_of_today(made, folder, protocol=4):
    pairs = pickle.loads(made.pickle, encoding="latin1")
    folder.mkdir()
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps(pairs, protocol)))
    return (
        folder,
        "mnist.pkl.gz: Python 3 pickled it again, which is not supported; give the lesson's own file, or",
    )


def pickle_of_today_in_protocol_2(made, folder):
    return pickle_of_today(made, folder, protocol=2)


def two_sets_that_are_not_it(made, folder):
    """Each is named with its reason."""
    made_up(seed=1).write(folder / "a")
    (made_up(seed=2).write(folder / "b") / NAMES[3]).unlink()
    return folder, f"b has no file {NAMES[3]}, raw or .gz"


def t10k_and_test(made, folder):
    path = made.write(folder) / NAMES[2]
    path.with_name(path.name.replace("t10k", "test")).write_bytes(path.read_bytes())
    return folder, "has both t10k-images-idx3-ubyte and test-images-idx3-ubyte; remove one"


WRONG = [web_page, packed_twice, pickle_that_is_a_page, pickle_packed_twice, pickle_of_today]
WRONG += [pickle_of_today_in_protocol_2, two_sets_that_are_not_it, t10k_and_test]
WRONG += [nothing, empty_folder, three_files, alien_file, alien_file_beside_the_four, truncated, too_long]
WRONG += [truncated_gzip, swapped_files, hostile_pickle, pickle_unpacked, folder_in_place_of_a_file]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named_and_the_cache_stays_as_it_was(made, tmp_path, wrong):
    cache = made.write(tmp_path / "cache" / "made")
    source, words = wrong(made, tmp_path / "have")
    with pytest.raises(UserError) as caught:
        fetch(made.dataset, tmp_path / "cache", source=source)
    assert words in str(caught.value)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.key == "from"
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == made.raws


def test_source_is_read_even_when_the_cache_is_whole_and_mends_a_damaged_one(made, tmp_path):
    cache = made.write(tmp_path / "cache" / "made")
    (cache / NAMES[0]).write_bytes(b"damaged")
    source = made.write(tmp_path / "have", ".gz")
    assert {a.source for a in fetch(made.dataset, tmp_path / "cache", source=source)} == {str(source)}
    assert (cache / NAMES[0]).read_bytes() == made.raws[NAMES[0]]


def test_one_of_three_files_is_answered_with_the_one_that_is_missing(made, tmp_path):
    (made.write(tmp_path) / NAMES[3]).unlink()
    with pytest.raises(UserError, match=r"has no file t10k-labels-idx1-ubyte, raw or \.gz"):
        fetch(made.dataset, tmp_path / "cache", source=tmp_path / NAMES[0])


def test_debian_fashion_mnist_is_taken_and_told_from_mnist(debian_fashion, tmp_path):
    arrivals = fetch(DATASETS["fashion-mnist"], tmp_path, source=debian_fashion)
    assert [a.sha256 for a in arrivals] == [file.sha256 for file in DATASETS["fashion-mnist"].files]
    with pytest.raises(UserError, match="it is train-images-idx3-ubyte of fashion-mnist"):
        fetch(DATASETS["mnist"], tmp_path, source=debian_fashion)
    assert not (tmp_path / "mnist").exists()


def test_sample_is_told_from_mnist(tmp_path):
    with pytest.raises(UserError, match="it is train-images-idx3-ubyte of mnist-sample"):
        fetch(DATASETS["mnist"], tmp_path, source=DATASETS["mnist-sample"].folder)
