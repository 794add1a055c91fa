"""Options of speaker trials: defaults."""

from sertk.scoring.options import CalibrationOptions, NormOptions


def test_scores_are_neither_normalised_nor_calibrated_by_default():
    assert NormOptions() == NormOptions(cohort=None, cohort_utt2spk=None, top_n=300, norm_side="both")
    assert CalibrationOptions().calibration_trials is None and CalibrationOptions().quality == ()
