"""What verdicts, warnings, operating points and findings are called on the page."""

from __future__ import annotations

from ..prediction import Verdict
from ..provenance import CredentialState

VERDICTS = {
    Verdict.REAL: "Looks like a real photo",
    Verdict.AI: "Looks AI-generated",
    Verdict.UNCERTAIN: "Uncertain",
}

WARNINGS = {  # by the name of a `PhotoWarning`
    "no_face": "No face was found in the part that the model sees, so the verdict is uncertain.",
    "small_face": "The face is small: the model sees little of it.",
    "several_faces": "There is more than one face; the answer is about the photo as a whole.",
    "truncated": "Cut off: a part of the file is missing, and with it a part of the picture.",
    "broken_exif": "The EXIF data cannot be read, so the photo may lie on its side.",
    "tiny": "Tiny: the shorter side has fewer than 64 pixels.",
    "upscaled": "Small: the photo had to be enlarged for the model.",
    "wide_gamut": "The colours are wider than sRGB and were taken as sRGB.",
    "strong_compression": "Recompressed: a JPEG of very low quality, which hides how the photo was made.",
    "washed_out": "Washed out: its darkest parts are brighter than those of the photos of training.",
}

POINTS = {
    "balanced": "the default: a verdict of AI is seldom wrong, and doubtful photos stay uncertain",
    "low_false_alarm": "calls the fewest real photos AI, and misses more AI photos",
    "high_recall": "finds the most AI photos, and calls many real ones AI",
}

CREDENTIALS = {
    CredentialState.TRUSTED: "Content Credentials: intact, and the signer is trusted.",
    CredentialState.UNTRUSTED: "Content Credentials: intact, but the signer is not on the trust list.",
    CredentialState.BROKEN: "Content Credentials: broken. The file was changed after it was signed.",
    CredentialState.ABSENT: "Content Credentials: none in this file.",
    CredentialState.NOT_CHECKED: "Content Credentials: not checked.",
}

LIMITS = (
    "A score is evidence, never proof. Do not block, ban or accuse anyone on it alone.",
    "It errs, and more on what it was not trained on: new generators, edited photos, swapped faces, studio portraits.",
    "Photos that are small, filtered or were saved many times are judged less surely, or wrongly.",
    "It judges whole photos with one face, and says nothing of who is shown. Of drawings its answer means nothing.",
    "“Uncertain” is an answer.",
)


def warning_text(name: str) -> str:
    """Return a warning in plain words; one that this page does not know yet by its name."""
    return WARNINGS.get(name) or name.replace("_", " ").capitalize() + "."
