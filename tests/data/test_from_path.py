"""`--from PATH`: whatever the user has is taken if its content is right, and told apart if it is not."""

import gzip

import pytest

from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS, NAMES
from mlfound.errors import UserError


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


HAVE = [plain, packed, dotted, dotted_and_packed, one_of_the_four, packed_where_the_raw_one_is_too]
HAVE += [pickle_file, folder_with_pickle, four_and_a_pickle_that_is_not_needed]


@pytest.mark.parametrize("have", HAVE)
def test_what_the_user_has_is_taken(made, tmp_path, have):
    source = have(made, tmp_path / "have")
    arrivals = fetch(made.dataset, tmp_path / "cache", source=source)
    assert {a.road for a in arrivals} == {str(source)}
    assert {name: (tmp_path / "cache" / "made" / name).read_bytes() for name in NAMES} == made.raws
    assert {a.road for a in fetch(made.dataset, tmp_path / "cache")} == {"cache"}


def nothing(made, folder):
    return folder, "does not exist; give a folder with train-images-idx3-ubyte"


def empty_folder(made, folder):
    folder.mkdir()
    return folder, "has no train-images-idx3-ubyte; give a folder"


def three_files(made, folder):
    (made.write(folder) / NAMES[3]).unlink()
    return folder, "has no t10k-labels-idx1-ubyte; give"


def alien_file(made, folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt", "is none of the files wanted; give"


def alien_file_beside_the_four(made, folder):
    (made.write(folder) / "notes.txt").write_text("hello")
    return folder / "notes.txt", "is none of the files wanted; give"


def truncated(made, folder):
    (made.write(folder) / NAMES[2]).write_bytes(made.raws[NAMES[2]][:-5])
    return folder, "has the wrong content for t10k-images-idx3-ubyte"


def too_long(made, folder):
    (made.write(folder) / NAMES[2]).write_bytes(made.raws[NAMES[2]] + b"x")
    return folder, "holds more than 3,152 bytes"


def truncated_gzip(made, folder):
    file = made.write(folder, ".gz") / f"{NAMES[2]}.gz"
    file.write_bytes(file.read_bytes()[:-5])
    return folder, "t10k-images-idx3-ubyte.gz breaks off in the middle"


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
    return folder / "mnist.pkl.gz", "is a damaged gzip file"


def folder_in_place_of_a_file(made, folder):
    (made.write(folder) / NAMES[1]).unlink()
    (folder / NAMES[1]).mkdir()
    return folder, "train-labels-idx1-ubyte is not a file"


WRONG = [nothing, empty_folder, three_files, alien_file, alien_file_beside_the_four, truncated, too_long]
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
    assert {a.road for a in fetch(made.dataset, tmp_path / "cache", source=source)} == {str(source)}
    assert (cache / NAMES[0]).read_bytes() == made.raws[NAMES[0]]


def test_one_of_three_files_is_answered_with_the_one_that_is_missing(made, tmp_path):
    (made.write(tmp_path) / NAMES[3]).unlink()
    with pytest.raises(UserError, match="has no t10k-labels-idx1-ubyte; give a folder"):
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
