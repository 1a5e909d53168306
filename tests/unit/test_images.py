"""Resizing: which size comes out, that every kind of pixel survives, and that nothing large or broken is decoded."""

import random
import resource
import sys
import time
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

from consumer import images
from consumer.images import MAX_PIXELS, Resized, Wish, resized, target_size
from shared.errors import PermanentFailure
from tests.support.pictures import (
    decoded,
    encoded,
    gif_that_says,
    jpeg_that_says,
    png_that_says,
    quadrants,
    webp_that_says,
)

RED, LIME, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FORMATS = ("jpeg", "png", "webp", "gif")


def resize(source: bytes, width: int | None = None, height: int | None = None, **wish: Any) -> Resized:
    return resized(source, Wish(width=width, height=height, **wish))


def near(pixel: Any, expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(pixel, expected, strict=True))


@pytest.mark.parametrize(
    ("fit", "width", "height", "expected"),
    [
        ("contain", 20, 20, (20, 10)),
        ("contain", 80, 20, (40, 20)),
        ("contain", 100, 100, (100, 50)),
        ("contain", 20, None, (20, 10)),
        ("contain", None, 10, (20, 10)),
        ("contain", 1, None, (1, 1)),
        ("inside", 20, 20, (20, 10)),
        ("inside", 100, 100, (40, 20)),
        ("inside", 100, None, (40, 20)),
        ("cover", 20, 20, (20, 20)),
        ("cover", 100, 10, (100, 10)),
        ("cover", 20, None, (20, 10)),
        ("fill", 7, 33, (7, 33)),
        ("fill", None, 10, (20, 10)),
        ("pad", 20, 20, (20, 20)),
        ("pad", 20, None, (20, 10)),
    ],
)
def test_the_size_that_comes_out(fit: Any, width: int | None, height: int | None, expected: tuple[int, int]) -> None:
    """Each way of fitting 40 x 20 into a box, with both sides given or one."""
    made = resize(encoded(quadrants(), "PNG"), width, height, fit=fit)
    assert (made.width, made.height) == decoded(made.content).size == expected


def test_cover_cuts_both_sides_evenly() -> None:
    """The middle stays: left of it red and blue, right of it green and white."""
    image = decoded(resize(encoded(quadrants(400, 200), "PNG"), 100, 100, fit="cover").content).convert("RGB")
    corners = [image.getpixel(place) for place in ((10, 10), (90, 10), (10, 90), (90, 90))]
    assert all(map(near, corners, (RED, LIME, BLUE, WHITE)))


def test_pad_adds_what_the_format_can() -> None:
    """Transparent bars, or white ones in a JPEG; the picture in the middle is whole."""
    source = encoded(Image.new("RGB", (40, 20), "red"), "PNG")
    assert decoded(resize(source, 40, 40, fit="pad").content).convert("RGBA").getpixel((20, 2))[3] == 0  # type: ignore[index]
    image = decoded(resize(source, 40, 40, fit="pad", format="jpeg").content)
    assert near(image.getpixel((20, 2)), WHITE)
    assert near(image.getpixel((20, 20)), RED)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_becomes_every_other(source: str, to: Any) -> None:
    """Right colours in the right places, in the format that was asked for."""
    made = resize(encoded(quadrants(400, 200), source.upper()), 200, format=to)
    image = decoded(made.content)
    assert (made.format, image.format) == (to, to.upper())
    places = ((50, 25), (150, 25), (50, 75), (150, 75))
    assert all(near(image.convert("RGB").getpixel(place), color, 30) for place, color in zip(places, (RED, LIME, BLUE, WHITE), strict=True))


@pytest.mark.parametrize("format_", FORMATS)
def test_the_format_stays_unless_another_is_wished(format_: str) -> None:
    """It is that of the bytes, whatever anybody called them."""
    assert resize(encoded(quadrants(), format_.upper()), 10).format == format_


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("to", FORMATS)
def test_every_kind_of_pixel(mode: str, to: Any) -> None:
    """Black and white, grey, palettes and 16 bits, with and without transparency: a light grey stays a light grey."""
    value = {"I;16": 60_000, "1": 1}.get(mode)
    image = Image.new(mode, (20, 10), value) if value else Image.new("RGBA", (20, 10), (234, 234, 234, 255)).convert(mode)
    made = decoded(resize(encoded(image, "PNG"), 10, format=to).content).convert("L")
    assert abs(int(made.getpixel((5, 2))) - (255 if mode == "1" else 234)) <= 8  # type: ignore[arg-type]


def test_cmyk_becomes_rgb() -> None:
    """As printers send it."""
    source = encoded(Image.new("CMYK", (20, 10), (0, 255, 255, 0)), "JPEG")
    assert near(decoded(resize(source, 10).content).getpixel((5, 2)), RED)


def test_transparency_becomes_white_in_a_jpeg() -> None:
    """Half a red is a light red; nothing is white. In other formats transparency stays."""
    image = Image.new("RGBA", (20, 10), (255, 0, 0, 128))
    image.paste((0, 0, 0, 0), (0, 0, 10, 10))
    flat = decoded(resize(encoded(image, "PNG"), 20, format="jpeg").content)
    assert near(flat.getpixel((2, 5)), WHITE)
    assert near(flat.getpixel((17, 5)), (255, 127, 127))
    assert decoded(resize(encoded(image, "PNG"), 20, format="webp").content).getpixel((2, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_pictures_stand_upright(format_: str, orientation: int, size: tuple[int, int]) -> None:
    """A phone that was turned stores the pixels as they came and says so in EXIF; afterwards nothing needs to be said."""
    turns = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = quadrants(*(side * 10 for side in size))
    turn = turns[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = encoded(upright if turn is None else upright.transpose(turn), format_, exif=exif)
    image = decoded(resize(source, size[0]).content)
    assert image.size == size
    assert near(image.convert("RGB").getpixel((size[0] // 4, size[1] // 4)), RED, 40)
    assert near(image.convert("RGB").getpixel((3 * size[0] // 4, size[1] // 4)), LIME, 40)
    assert 0x0112 not in image.getexif()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF"])
def test_nothing_but_pixels_comes_out(format_: str) -> None:
    """No EXIF with a place, no comment, no profile, no text: none of it is in the file."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    text = PngInfo()
    text.add_text("Comment", "SECRET")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    own: dict[str, dict[str, Any]] = {"PNG": {"pnginfo": text}, "JPEG": {"comment": "SECRET"}, "GIF": {"comment": "SECRET"}}
    source = encoded(quadrants(), format_, **own.get(format_, {}), **({} if format_ == "GIF" else {"exif": exif, "icc_profile": profile}))
    assert b"SECRET" in source
    made = resize(source, 40, 20)
    assert b"SECRET" not in made.content
    assert not {"exif", "icc_profile", "comment", "Comment", "xmp"} & decoded(made.content).info.keys()


def test_colours_of_another_profile_become_those_of_srgb() -> None:
    """A profile whose red is green makes what says red green, and is not kept; one that is nonsense changes nothing."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    for mode, extra in (("RGB", ()), ("RGBA", (255,))):
        source = encoded(Image.new(mode, (4, 4), (*RED, *extra)), "PNG", icc_profile=swapped)
        assert near(decoded(resize(source, 4).content).getpixel((1, 1)), (*LIME, *extra))
    broken = encoded(Image.new("RGB", (4, 4), (100, 100, 100)), "PNG", icc_profile=b"nonsense")
    assert decoded(resize(broken, 4).content).getpixel((1, 1)) == (100, 100, 100)


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(format_: str) -> None:
    """One picture in, one picture out."""
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "lime", "blue")]
    made = decoded(resize(encoded(frames[0], format_, save_all=True, append_images=frames[1:]), 10).content)
    assert getattr(made, "n_frames", 1) == 1
    assert near(made.convert("RGB").getpixel((5, 2)), RED)


def test_several_pictures_of_a_camera_are_a_jpeg() -> None:
    """MPO: what many phones call .jpg."""
    source = encoded(quadrants(), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 20))])
    assert resize(source, 10).format == "jpeg"


def test_quality() -> None:
    """Less of it makes smaller files, where a format knows it at all."""
    noise = encoded(Image.effect_noise((200, 200), 80).convert("RGB"), "PNG")
    for format_ in ("jpeg", "webp"):
        sizes = [len(resize(noise, 200, format=format_, quality=quality).content) for quality in (1, 50, 100)]
        assert sizes == sorted(set(sizes))
    assert resize(noise, 20, format="png", quality=1) == resize(noise, 20, format="png")


@pytest.mark.parametrize("make", [png_that_says, webp_that_says, gif_that_says, jpeg_that_says])
def test_a_bomb_is_refused_by_its_header(make: Any) -> None:
    """Hundreds of megapixels in a small file: refused within milliseconds, without memory for them."""
    side = {png_that_says: 50_000, webp_that_says: 16_000}.get(make, 60_000)
    source = make(side, side)
    resize(encoded(quadrants(), "PNG"), 10)  # the library is loaded
    memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(PermanentFailure, match=f"at most {MAX_PIXELS} are decoded"):
        resize(source, 10)
    assert time.monotonic() - start < 0.25
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20_000, "KiB"


def test_the_pixel_limit_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the source and of the result."""
    source = encoded(quadrants(40, 20), "PNG")
    monkeypatch.setattr(images, "MAX_PIXELS", 800)
    assert resize(source, 40).width == 40
    with pytest.raises(PermanentFailure, match="41 x 20"):
        resize(source, 41)
    monkeypatch.setattr(images, "MAX_PIXELS", 799)
    with pytest.raises(PermanentFailure, match="40 x 20 pixels"):
        resize(source, 10)


@pytest.mark.parametrize(
    ("wish", "fails"),
    [
        (Wish(width=10_000, height=None), False),
        (Wish(width=10_000, height=5_001, fit="fill"), True),
        (Wish(width=10_000, height=5_000, fit="fill"), False),
        (Wish(width=10_000, height=10_000), False),
        (Wish(width=None, height=10_000), True),
    ],
)
def test_the_largest_results(wish: Wish, fails: bool) -> None:
    """The other side of a very wide picture is bound too, before anything is made."""
    if fails:
        with pytest.raises(PermanentFailure, match="the result would have"):
            target_size((40, 20), wish)
    else:
        assert max(target_size((40, 20), wish)) == 10_000


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"GIF",
        b"8BPS" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>",
        b"BM" + bytes(100),
        b"II*\0" + bytes(100),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"<html>not found</html>",
    ],
)
def test_what_is_no_picture_fails_for_good(source: bytes) -> None:
    """Other formats, PostScript above all, and the beginnings of pictures."""
    with pytest.raises(PermanentFailure, match="source"):
        resize(source, 10)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_that_breaks_off_fails_for_good(format_: str) -> None:
    """Wherever it was cut."""
    whole = encoded(Image.effect_noise((200, 200), 80).convert("RGB"), format_.upper())
    for share in (0.02, 0.5, 0.9):
        with pytest.raises(PermanentFailure):
            resize(whole[: int(len(whole) * share)], 10)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of tags that make no sense
@pytest.mark.parametrize("format_", FORMATS)
def test_noise_never_does_worse(format_: str) -> None:
    """Pictures with bytes changed here and there are pictures, or fail for good: no other error comes out."""
    dice = random.Random(format_)
    image = Image.effect_noise((60, 40), 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((5, 5, 30, 30), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = encoded(image, format_.upper(), **({} if format_ == "gif" else {"exif": exif, "icc_profile": profile}))
    ended = {"made": 0, "refused": 0}
    for _ in range(300):
        noisy = bytearray(source)
        for _ in range(dice.randint(1, 5)):
            noisy[dice.randrange(dice.choice((len(noisy), 200)))] = dice.randrange(256)
        try:
            assert resize(bytes(noisy), 10).width == 10
            ended["made"] += 1
        except PermanentFailure:
            ended["refused"] += 1
    assert all(ended.values()), ended


def test_a_consumer_that_resizes_nothing_loads_nothing() -> None:
    """The module is imported at every start: its library must not be."""
    import subprocess  # noqa: PLC0415

    code = (
        "import sys; from consumer import registry; from shared.settings import Settings; from consumer.resources import Resources;"
        "registry.load(Settings()); Resources(Settings());"
        "print([name for name in ('PIL', 'obstore', 'reportlab', 'xlsxwriter', 'pymupdf_fonts') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
