import pytest
import torch
import torchaudio

from asteroid.dsp.bands import band_table, build_scale

# Facts of the published filter banks at 16 kHz: bands, n_fft, band, first and last bin, sum.
PUBLISHED_FILTERS = [
    (18, 1024, 0, 9, 11, 1.28273),
    (18, 1024, 8, 55, 73, 1.26399),
    (18, 1024, 17, 455, 511, 0.60909),
    (21, 512, 0, 2, 6, 1.71035),
    (21, 512, 8, 33, 41, 1.70949),
    (21, 512, 20, 238, 255, 0.16689),
    (25, 512, 0, 0, 2, 1.22332),
    (25, 512, 8, 17, 21, 1.19976),
    (25, 512, 24, 108, 122, 1.19544),
]


@pytest.mark.parametrize("n_bins", [1, 18, 40])
def test_mel_filters_equal_torchaudios(n_bins):
    expected = torchaudio.functional.melscale_fbanks(513, 0.0, 8000.0, n_bins, 16000).T
    filters = build_scale("mel", n_bins=n_bins).filters
    torch.testing.assert_close(filters, expected, atol=1e-5, rtol=0)


def test_linear_scale_changes_nothing():
    magnitude = torch.rand(2, 513, 7)
    assert torch.equal(build_scale("linear")(magnitude), magnitude)


@pytest.mark.parametrize(("n_bins", "total"), [(18, 1.0), (21, 1.0), (25, 0.58)])
def test_importance_sums_to_what_its_source_says(n_bins, total):
    name = {18: "third_octave_18", 21: "critical_21", 25: "quackenbush_25"}[n_bins]
    assert sum(band_table(name).importance) == pytest.approx(total, abs=2e-3)


def test_critical_bands_of_the_standard_touch_each_other():
    table = band_table("critical_21")
    edges = [100.0]
    for width in table.bandwidths_hz:
        edges.append(edges[-1] + width)
    assert edges[-1] == 9500
    for low, centre, high in zip(edges, table.centres_hz, edges[1:], strict=False):
        assert low < centre < high


def test_third_octaves_are_a_third_of_an_octave_wide():
    table = band_table("third_octave_18")
    for centre, width in zip(table.centres_hz, table.bandwidths_hz, strict=True):
        assert width == pytest.approx(centre * (2 ** (1 / 6) - 2 ** (-1 / 6)), abs=0.02)


@pytest.mark.parametrize("n_bins", [18, 21, 25])
def test_a_tone_at_a_centre_frequency_lights_its_own_band_most(n_bins):
    scale = build_scale("critical", n_bins=n_bins, n_fft=4096, extend=n_bins == 25)
    times = torch.arange(4096) / 16000
    for band, centre in enumerate(scale.centres_hz):
        if centre >= 8000:
            continue
        tone = torch.hann_window(4096) * torch.sin(2 * torch.pi * centre * times)
        values = scale(torch.fft.rfft(tone).abs()[None, :, None])[0, :, 0]
        assert values.argmax() == band, f"{centre} Hz"


@pytest.mark.parametrize("n_bins", [18, 21, 25])
def test_gaussian_filters_have_equal_areas_below_nyquist(n_bins):
    scale = build_scale("critical", n_bins=n_bins, n_fft=8192, extend=n_bins == 25)
    whole = (scale.centres_hz + scale.bandwidths_hz < 8000) & (scale.centres_hz > 60)
    areas = scale.filters.sum(1)[whole]
    assert (areas.max() - areas.min()) / areas.max() < 0.05


@pytest.mark.parametrize(("n_bins", "n_fft", "band", "first", "last", "total"), PUBLISHED_FILTERS)
def test_gaussian_filters_are_the_published_ones(n_bins, n_fft, band, first, last, total):
    options = {"published_table": True, "extend": n_bins == 25}
    row = build_scale("critical", n_bins=n_bins, n_fft=n_fft, **options).filters[band]
    bins = row.nonzero().flatten()
    assert (int(bins[0]), int(bins[-1])) == (first, last)
    assert float(row.sum()) == pytest.approx(total, abs=1e-4)


def test_25_bands_warn_that_they_end_far_below_nyquist_and_extend_up_to_it():
    with pytest.warns(UserWarning, match="25 critical bands end at 3771 Hz"):
        short = build_scale("critical", n_bins=25)
    long = build_scale("critical", n_bins=25, extend=True)
    assert not short.filters[:, 300:].any()
    assert long.filters[:, 300:500].sum(0).min() > 0
    torch.testing.assert_close(long.filters[:25], short.filters)


def test_25_bands_do_not_warn_at_telephone_rates(recwarn):
    build_scale("critical", n_bins=25, n_fft=512, sample_rate=8000)
    assert not recwarn.list


@pytest.mark.parametrize("name", ["linear", "mel", "critical"])
def test_filters_move_with_the_module_and_stay_out_of_its_state(name):
    scale = build_scale(name).double()
    assert not scale.state_dict()
    assert scale(torch.rand(1, 513, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "n_bins", "words"),
    [
        ("bark", 18, "scale must be one of linear, mel, critical; got 'bark'"),
        ("critical", 17, "n_bins of 18, 21, 25; got 17"),
        ("mel", 0, "n_bins from 1 to n_fft // 4 = 256; got 0"),
        ("mel", 400, "n_bins from 1 to n_fft // 4 = 256; got 400"),
        ("linear", 40, r"n_fft // 2 \+ 1 = 513 bands"),
    ],
)
def test_a_scale_that_does_not_exist_is_refused_with_those_that_do(name, n_bins, words):
    with pytest.raises(ValueError, match=words):
        build_scale(name, n_bins=n_bins)


def test_standard_bands_warn_above_16_khz_that_the_mel_scale_reaches_higher():
    with pytest.warns(UserWarning, match='21 critical bands end at 9400 Hz.*Take scale="mel"'):
        build_scale("critical", n_bins=21, n_fft=2048, sample_rate=48000)
