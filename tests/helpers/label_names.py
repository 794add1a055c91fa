"""Names of labels that figures must show: short and long ones, other scripts, accents."""

LABELS = {
    "short": ["ang", "hap", "neu", "sad"],
    "long": ["disappointment", "frustration", "neutral_state", "surprise_positive", "surprise_negative",
             "contempt_and_disgust_mixed", "fearful_anticipation_of_pain", "sad"],
    "two": ["activation_is_high", "activation_is_low"],
    "wide": ["生气/angry", "中立/neutral", "难过/sad", "<unk>"],
    "other": ["喜び", "중립", "क्रोध", "\N{FACE WITH PLEADING EYES}"],
    "accents": ["cole\u0301re", "de\u0301gou\u0302t", "joie", "a$x$"],
    "arabic": ["غضب", "حزن", "سعادة", "محايد"],
}  # fmt: skip
