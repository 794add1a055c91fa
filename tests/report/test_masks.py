"""The figure of masks."""

from sertk.report.masks import shown_masks


def test_the_figures_masks_are_those_of_the_training():
    for name, width in (("conservative", 15), ("aggressive", 27)):
        masks = shown_masks(name, "utt", (200, 128), 0)
        assert len(masks) == 4 and masks == shown_masks(name, "utt", (200, 128), 0)
        assert all(0 < bins.stop - bins.start <= width for _, bins in masks[:2])
        assert all(0 < frames.stop - frames.start <= 40 for frames, _ in masks[2:])  # p T = 40
    assert shown_masks("none", "utt", (200, 128), 0) == []


def test_figure_2_shows_every_policy_on_a_segment_of_the_data(page):
    assert "Spectrogram of Ses01F-Ses01F_impro01_F000 unmasked" in page[0]
    assert "| aggressive | 27 | 70 | 0.2 | 2 | 2 | bins " in page[1]
