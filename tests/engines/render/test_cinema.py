import numpy as np
import pytest

from pipeline.engines.render.appearance import cinema
from pipeline.engines.render.appearance.cinema import STYLES, FilmLab, Stock, draw_stock
from pipeline.engines.take import UnusableDraw

WIDTH, HEIGHT = 64, 36
PLAIN = Stock(
    ratio=None,
    level=0.15,
    adaptation=0.9,
    softness_px=0.4,
    haze_per_m=0.0,
    vignette=0.0,
    bloom=0.0,
    halation=0.0,
    streak=0.0,
    grade=1.0,
    saturation=1.0,
    bleach=0.0,
    contrast=0.0,
    lift=0.0,
    grain=0.0,
    grain_px=0.5,
)


def lab(style=STYLES[0], **changes) -> FilmLab:
    stock = Stock(**(PLAIN.__dict__ | changes))
    return FilmLab(np.random.default_rng(0), style, stock, WIDTH, HEIGHT)


def flat(value: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), value, np.float32)


def test_about_a_third_of_the_recordings_have_bars_in_every_style():
    for style in STYLES:
        rng = np.random.default_rng(1)
        ratios = [draw_stock(rng, style).ratio for _ in range(400)]
        assert np.mean([ratio is not None for ratio in ratios]) == pytest.approx(0.35, abs=0.08)
        assert {None, 1.85, 2.39} <= set(ratios)


@pytest.mark.parametrize(
    ("ratio", "width", "expected"), [(2.39, 256, 108), (1.85, 192, 104), (1.85, 256, 138)]
)
def test_the_picture_between_the_bars_has_its_ratio_and_even_rows(ratio, width, expected):
    stock = Stock(**(PLAIN.__dict__ | {"ratio": ratio}))
    assert cinema.picture_height(stock, width, 144) == expected
    assert cinema.picture_height(PLAIN, width, 144) == 144


def test_bars_are_black_and_the_picture_is_centred():
    picture = cinema.letterbox(flat(0.5)[:20], HEIGHT)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[:8] == 0).all()
    assert (picture[28:] == 0).all()
    assert (picture[8:28] == 0.5).all()


def test_the_circle_of_confusion_is_nothing_in_focus_and_grows_away_from_it():
    depth = np.array([[2.0, 1.0, 4.0, 1e3]], np.float32)
    circle = cinema.confusion(depth, 0.02, 2.0, 200.0)[0]
    assert circle[0] == pytest.approx(0, abs=1e-6)
    # A thin lens of 20 mm focused at 2 m: 0.02 (1/1 - 1/2) rad at 1 m, and so on.
    assert circle[1:] == pytest.approx([2.0, 1.0, 2.0], rel=0.01)


def test_defocus_is_smoothed_without_touching_or_smearing_what_is_in_focus():
    rng = np.random.default_rng(2)
    noisy = flat(1.0) + 0.3 * rng.standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)
    noisy[:, :32] = 9.0
    circle = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    circle[:, :32] = 0.0
    smooth = cinema.smooth_defocus(noisy, circle)
    assert np.array_equal(smooth[:, :30], noisy[:, :30])
    assert smooth[:, 40:].std() < 0.4 * noisy[:, 40:].std()
    assert smooth[:, 36:].max() < 2


def test_one_odd_pixel_is_cleared_and_an_even_picture_kept():
    spark = flat(0.2)
    spark[10, 10] = 50.0
    nobody = np.zeros((HEIGHT, WIDTH), np.bool_)
    assert cinema.clear_sparks(spark, nobody).max() < 0.5
    assert cinema.clear_sparks(flat(0.2), ~nobody) == pytest.approx(flat(0.2), abs=1e-6)


def test_a_dark_scene_is_lifted_but_stays_darker():
    everybody = np.ones((HEIGHT, WIDTH), np.bool_)
    bright, dark = flat(1.0), flat(0.01)
    factor = cinema.expose(PLAIN, bright, everybody), cinema.expose(PLAIN, dark, everybody)
    assert factor[1] > 10 * factor[0]
    assert 0.5 * factor[0] < 0.01 * factor[1] < 0.9 * factor[0]


def test_exposure_follows_the_people_but_keeps_the_rest_below_white():
    picture, people = flat(1.0), np.zeros((HEIGHT, WIDTH), np.bool_)
    people[:, :10] = True
    even = cinema.expose(PLAIN, picture, people)
    picture[people] = 0.05
    against_light = cinema.expose(PLAIN, picture, people)
    assert even < against_light <= 0.8 + 1e-3


def test_developing_keeps_the_order_of_brightness():
    ramp = np.tile(np.linspace(0, 2, WIDTH, dtype=np.float32)[None, :, None], (HEIGHT, 1, 3))
    for style in STYLES:
        luma = lab(style).develop(ramp, 1.0)[:, 2:-2].mean(axis=(0, 2))
        assert (np.diff(luma) > -1e-3).all()
        assert luma[-1] - luma[0] > 0.6


def test_amber_has_teal_shadows_and_orange_lights_and_silver_little_colour():
    amber, silver = lab(STYLES[0]), lab(STYLES[2], bleach=0.7)
    shadow, light = (amber.develop(flat(x), 1.0).mean(axis=(0, 1)) for x in (0.01, 0.3))
    assert shadow[2] > shadow[0]
    assert light[0] > light[2] + 0.05
    red = flat(0.2) * np.array((1.5, 0.7, 0.7), np.float32)
    assert np.ptp(silver.develop(red, 1.0)[5, 5]) < 0.6 * np.ptp(amber.develop(red, 1.0)[5, 5])


def test_a_flash_streaks_along_its_row_only():
    picture = flat(0.02)
    picture[18, 32] = 400.0
    plain, streaked = lab().develop(picture, 1.0), lab(streak=1.0).develop(picture, 1.0)
    gain = (streaked - plain).sum(2)
    assert gain[18, 10:22].min() > 0.01
    assert np.abs(gain[2:10]).max() < 1e-3


def test_grain_moves_from_frame_to_frame():
    film = lab(grain=0.03)
    first, second = film.develop(flat(0.2), 1.0), film.develop(flat(0.2), 1.0)
    assert 0.005 < first.std(axis=(0, 1)).mean() < 0.06
    assert np.abs(first - second).mean() > 0.003


def test_a_film_that_is_dark_or_of_one_grey_is_blank():
    rng = np.random.default_rng(0)
    size = (4, 18, 32, 3)
    cinema.refuse_blank(rng.integers(0, 255, size, np.uint8))
    for grey in (0, 120):
        with pytest.raises(UnusableDraw, match="blank"):
            cinema.refuse_blank(rng.integers(grey, grey + 9, size, np.uint8))
