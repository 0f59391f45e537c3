"""Images in every form become the same RGB pictures, in the right order, and what was changed is said."""

from __future__ import annotations

import numpy as np
import pytest

from secateur.networks import read_images

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

RGB = np.random.default_rng(0).integers(0, 256, (5, 12, 9, 3), dtype=np.uint8)


def arrays_of(images):
    return np.stack([np.asarray(images[i]) for i in range(len(images))])


@pytest.fixture
def folder(tmp_path):
    """Files whose natural order is not that of their characters."""
    for i, name in enumerate(["im1", "im2", "im10", "im11", "im100"]):
        Image.fromarray(RGB[i]).save(tmp_path / f"{name}.png")
    return tmp_path


def test_forms_agree(folder):
    paths = [folder / f"im{i}.png" for i in (1, 2, 10, 11, 100)]
    forms = [folder, str(folder), paths, [str(path) for path in paths], RGB, list(RGB)]
    for form in [*forms, [Image.fromarray(a) for a in RGB], RGB / 255, RGB.astype(np.float32) / 255]:
        images = read_images(form)
        np.testing.assert_array_equal(arrays_of(images), RGB)
        assert images.notes == ()
        assert images.categories is None
    assert read_images(folder).names == ("im1", "im2", "im10", "im11", "im100")
    assert read_images(folder).named
    assert read_images(RGB).names == ("0", "1", "2", "3", "4")
    assert not read_images(RGB).named
    assert read_images(images) is images
    assert len(read_images(paths[0])) == len(read_images(Image.fromarray(RGB[0]))) == 1
    assert len({read_images(folder).digest(i) for i in range(5)}) == 5
    assert read_images(RGB).digest(0) == read_images([Image.fromarray(RGB[0])]).digest(0)


def test_sub_folders_are_categories(tmp_path):
    for i, name in enumerate(["b2/x", "b2/y", "b10/x", "a/x", "a/z"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(RGB[i]).save(tmp_path / f"{name}.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "a" / "readme.txt").write_text("no image")
    images = read_images(tmp_path)
    assert images.names == ("a/x", "a/z", "b2/x", "b2/y", "b10/x")
    assert images.categories == ("a", "a", "b2", "b2", "b10")
    np.testing.assert_array_equal(arrays_of(images), RGB[[3, 4, 0, 1, 2]])
    assert images.notes == (f"1 file of other kinds in {tmp_path.name} left out",)
    Image.fromarray(RGB[0]).save(tmp_path / "loose.png")
    with pytest.raises(ValueError, match=r"a folder or in its sub-folders, got both in .*: loose\.png and a/x\.png"):
        read_images(tmp_path)


def test_names(folder):
    images = read_images(RGB, names=list("abcde"))
    assert images.names == tuple("abcde")
    assert images.named
    with pytest.raises(ValueError, match="names must be distinct, one for each of 5 images, got 5 names, 4 of them"):
        read_images(RGB, names=list("abcda"))
    with pytest.raises(ValueError, match="names must be distinct, one for each of 5 images, got 2 names"):
        read_images(folder, names=["a", "b"])
    Image.fromarray(RGB[0]).save(folder / "im1.bmp")
    assert {"im1.png", "im1.bmp"} <= set(read_images(folder).names)  # the stem alone would not do
    assert read_images([folder / "im2.png", folder / "im2.png"]).names[0].startswith("0 ")


def test_conversions_are_made_and_said(tmp_path):
    grey = RGB[0, ..., 0]
    alpha = np.dstack([RGB[1], np.full((12, 9), 0, np.uint8)])
    alpha[0, 0, 3], alpha[0, 1, 3] = 255, 51
    deep = grey.astype(np.uint16) * 256 + 7
    Image.fromarray(grey).save(tmp_path / "1 grey.png")
    Image.fromarray(alpha).save(tmp_path / "2 alpha.png")
    Image.fromarray(deep).save(tmp_path / "3 deep.png")
    Image.fromarray(RGB[2]).convert("CMYK").save(tmp_path / "4 cmyk.tif")
    Image.fromarray(RGB[3]).save(tmp_path / "5 rgb.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB[4]).save(tmp_path / "6 turned.png", exif=exif)
    Image.fromarray(RGB[3]).quantize(8).save(tmp_path / "7 palette.png")
    images = read_images(tmp_path)
    for i in range(len(images)):
        assert images[i].mode == "RGB"
    for i in (0, 2):
        np.testing.assert_array_equal(np.asarray(images[i]), np.repeat(grey[..., None], 3, axis=2))
    over = np.asarray(images[1]).astype(float)
    np.testing.assert_array_equal(over[0, 0], RGB[1, 0, 0])  # opaque
    np.testing.assert_allclose(over[0, 1], 0.2 * RGB[1, 0, 1] + 0.8 * 255, atol=1)  # a fifth
    assert (over[1:] == 255).all()  # transparent: white
    np.testing.assert_array_equal(np.asarray(images[5]), np.rot90(RGB[4], -1))
    assert images.notes == (
        "2 images were grey and became RGB: 1 grey, 3 deep",
        "1 image was transparent and laid over white: 2 alpha",
        "1 image was CMYK and became RGB: 4 cmyk",
        "1 image was turned as its orientation says: 6 turned",
    )
    for form in (grey[None], grey[None, ..., None], [Image.fromarray(grey)]):
        np.testing.assert_array_equal(arrays_of(read_images(form)), np.repeat(grey[None, ..., None], 3, axis=3))
        assert read_images(form).notes == ("1 image was grey and became RGB: 0",)
    assert read_images(alpha[None]).notes == ("1 image was transparent and laid over white: 0",)


def test_frames(tmp_path):
    frames = [Image.fromarray(a).quantize(16) for a in RGB[:2]]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert read_images(tmp_path).notes == ("1 image was of several frames, the first of which is taken: film",)


def test_count():
    read_images(RGB).check_count(5)
    with pytest.raises(ValueError, match="must be as many as the stimuli of target, got 5 images for 92 stimuli"):
        read_images(RGB).check_count(92)


def test_refusals(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="images must be a folder or files that exist, got '/no/where'"):
        read_images("/no/where")
    with pytest.raises(FileNotFoundError, match=r"images must be files that exist, got 'no\.png' at 1"):
        read_images([folder / "im1.png", "no.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"must be a folder with images .*, got none"):
        read_images(tmp_path / "empty")
    for images, error, words in [
        ([], ValueError, "at least one image, got none"),
        (RGB.astype(np.int64), TypeError, "dtype uint8, or floats from 0 to 1, got int64"),
        (RGB.astype(float), ValueError, r"floats must lie from 0 to 1, got 0.0 to 255.0: divide by 255"),
        (np.full((1, 4, 4, 3), np.nan), ValueError, "floats must lie from 0 to 1, got nan"),
        (RGB[..., :2], ValueError, r"must have shape \(n, height, width, 3\), got \(5, 12, 9, 2\)"),
        (RGB[0], ValueError, r"got \(12, 9, 3\): one colour image is image\[None\]"),
        (RGB[0, 0], ValueError, r"must have shape \(n, height, width, 3\), got \(9, 3\)"),
        ([3], TypeError, "must be paths, PIL images or arrays, got int at 0"),
        ([Image.new("F", (4, 4))], ValueError, "got one of floats, whose scale is not known"),
    ]:
        with pytest.raises(error, match=words):
            read_images(images)
    (folder / "im3.png").write_bytes(b"no image at all")
    with pytest.raises(ValueError, match=r"images must be files that Pillow can read, got '.*im3\.png'"):
        read_images(folder)
    whole = (folder / "im2.png").read_bytes()
    (folder / "im3.png").write_bytes(whole[: len(whole) // 2])
    torn = read_images(folder)
    with pytest.raises(ValueError, match=r"images must be whole, got '.*im3\.png', which can't be read to its end"):
        torn[2]
    with pytest.raises(TypeError, match="one at a time"):
        torn[:2]
