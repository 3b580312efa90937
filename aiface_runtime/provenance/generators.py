"""Traces of image generators in texts: their names, and the settings that they write.

Sources: what the programs themselves write, as of November 2026, and China's GB 45438-2025, appendix E (`AIGC`).
"""

from __future__ import annotations

import re

from .quoting import as_text, one_line, quoted
from .results import Claim, Finding

_MAX_TEXT = 2**20  # characters that are searched
_NAMES = re.compile(
    r"\b(?:NovelAI|Midjourney|DALL.?E\b|Stable[ _-]?Diffusion|StableSwarmUI|SwarmUI|ComfyUI|InvokeAI|Invoke AI"
    r"|Fooocus|Draw Things|Easy Diffusion|DiffusionBee|Mochi Diffusion|AUTOMATIC1111|Adobe Firefly"
    r"|ChatGPT|GPT-4o|gpt-image|OpenAI|Bing Image Creator|Image Creator|Microsoft Designer|Microsoft_Responsible_AI"
    r"|Google Gemini|Gemini \d|Nano Banana|Imagen \d|Google Generative AI|Made with Google AI"
    r"|Leonardo\.?[ ]?AI|Ideogram|FLUX\.\d|Black Forest Labs|Stability ?AI|DreamStudio|Recraft|Grok|Aurora by xAI"
    r"|Runway ?(?:ML|AI|Gen)|Seedream|Doubao|Jimeng|Playground AI|Craiyon|NightCafe|Tensor\.?Art|StyleGAN\d?"
    r"|thispersondoesnotexist)",
    re.IGNORECASE,
)
# Each of them is written by that program alone, or by those that take over its form.
_SETTINGS = (
    ("SwarmUI", re.compile(r'"sui_image_params"')),
    ("ComfyUI", re.compile(r'"class_type"\s*:|"last_node_id"\s*:|"widgets_values"\s*:')),
    ("InvokeAI", re.compile(r'"app_id"\s*:\s*"invoke-ai|"invokeai_|"generation_mode"\s*:\s*"|"core_metadata"')),
    ("Fooocus", re.compile(r'\bVersion: Fooocus|"version"\s*:\s*"Fooocus|Fooocus V?\d|\bFooocus Expansion\b')),
    ("NovelAI", re.compile(r'"signed_hash"\s*:|"request_type"\s*:\s*"\w*GenerateRequest"|"uncond_scale"\s*:')),
    ("Draw Things", re.compile(r'"seed_mode"\s*:|"seedMode"\s*:')),
    ("Midjourney", re.compile(r"\bJob ID: ?[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}")),
    ("Easy Diffusion", re.compile(r"\buse_stable_diffusion_model\b|\bStable Diffusion model: ")),
    (
        "AUTOMATIC1111 or a program that writes its form",
        re.compile(r"\bSteps: ?\d+,\s*(?:Sampler|CFG scale|Seed|Size)\b"),
    ),
)
_KEYWORDS = {
    **dict.fromkeys(("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "dream"), "InvokeAI"),
    **dict.fromkeys(("fooocus_scheme",), "Fooocus"),
    **dict.fromkeys(("generation_data",), "Tensor.Art"),
    **dict.fromkeys(("use_stable_diffusion_model",), "Easy Diffusion"),
    **dict.fromkeys(("parameters", "prompt", "negative_prompt", "negative prompt"), "a generator that is not named"),
}
# Of a text in JSON, or of lines of `name: value`, by a program that is not known.
_KEYS = re.compile(
    r"(?i)[\"'\n, {]((?:negative[_ ]?|positive[_ ]?)?prompt|sampler(?:_name)?|seed|steps|num_inference_steps"
    r"|cfg[_ ]?scale|guidance(?:_scale)?|scheduler|model_hash|model hash|denoising[_ ]strength|clip[_ ]skip)[\"']?\s*:"
)
_MIN_KEYS = 3
_AIGC = re.compile(r'"(?:Label|ContentProducer|ProduceID|ContentPropagator)"\s*:')
_LABEL = re.compile(r'"Label"\s*:\s*"?([123])')
_LABELS = {
    "1": (Claim.GENERATED, "made by a generative model"),
    "2": (Claim.OTHER, "possibly made by a generative model"),
    "3": (Claim.OTHER, "suspected to be made by a generative model"),
}
_CREDIT = re.compile(
    r"(?i)\b(?:(?P<made>made|created|generated|produced)|(?P<edited>edited|altered|modified))"
    r" (?:with|by|using) (?:google )?(?:generative )?AI\b"
)
_WHOLE = re.compile(
    r"(?i)\s*(?:image |picture |photo )?(?:\w+ )?(?:AI|NovelAI)[- ]generated(?: image| picture| photo)?\.?\s*"
)


def generator_named(text: str) -> bool:
    """Say whether a text names an image generator."""
    return _NAMES.search(text[:_MAX_TEXT]) is not None


def program_finding(text: str, where: str) -> Finding:
    """Return what a file says of the program that wrote it."""
    if generator_named(text):
        return Finding(Claim.GENERATOR, "The file says that an image generator wrote it", quoted(text), where)
    return Finding(Claim.SOFTWARE, "The file says that this program wrote it", quoted(text), where)


def settings_finding(text: str, where: str, keyword: str = "") -> Finding | None:
    """Return whose settings a text is, None where it is not known for any."""
    text = text[:_MAX_TEXT]
    if '"AIGC"' in text or keyword.lower() == "aigc":
        return named_aigc_finding(text, where)
    for program, pattern in _SETTINGS:
        if found := pattern.search(text):
            return _settings(program, text, found.start(), where)
    if program := _KEYWORDS.get(keyword.lower(), ""):
        return _settings(program, text, 0, where)
    keys = {found[1].lower() for found in _KEYS.finditer(f"\n{text}")}
    return _settings("a generator that is not named", text, 0, where) if len(keys) >= _MIN_KEYS else None


def _settings(program: str, text: str, start: int, where: str) -> Finding:
    shown = f"{one_line(text[:80], 80)} … {one_line(text[start:], 150)}" if start > 80 else one_line(text)
    return Finding(
        Claim.GENERATOR_SETTINGS, f"The file carries settings of an image generator ({program})", f'"{shown}"', where
    )


def named_aigc_finding(text: str, where: str) -> Finding | None:
    """Return what China's label of generated content says, None where a text is none in spite of its name."""
    if not _AIGC.search(text):
        return None
    found = _LABEL.search(text)
    claim, meaning = _LABELS.get(found[1] if found else "", (Claim.OTHER, "nothing that this version knows"))
    return Finding(claim, f"The file's AIGC label (GB 45438) says: {meaning}", quoted(text), where)


def credit_finding(text: str, where: str) -> Finding | None:
    """Return what a credit line says of AI; nothing else of it is quoted, for it may name a person."""
    if not (found := _CREDIT.search(text[:_MAX_TEXT])):
        return None
    if found["edited"]:
        return Finding(Claim.EDITED_WITH_AI, "The file's credit says that AI edited it", quoted(found[0]), where)
    return Finding(Claim.GENERATED, "The file's credit says that AI made it", quoted(found[0]), where)


def label_finding(text: str, where: str) -> Finding | None:
    """Return what a title or description says that consists of nothing but `AI generated image` or the like."""
    if len(text) > 80 or not _WHOLE.fullmatch(text):
        return None
    return Finding(Claim.GENERATED, "The file says that AI made it", quoted(text), where)


def text_findings(keyword: str, data: bytes, where: str) -> list[Finding]:
    """Return what a text under a keyword, as PNG has them, says."""
    text = as_text(data)
    if not text.strip():
        return []
    name = keyword.lower()
    if (settings := settings_finding(text, where, keyword)) is not None:
        return [settings]
    if name in ("software", "generator", "creator tool", "creatortool"):
        return [program_finding(text, where)]
    if name in ("source", "title", "model", "make", "ai") and generator_named(text) and len(text) < 500:
        return [program_finding(text, where)]
    found = credit_finding(text, where) if name in ("credit", "source") else label_finding(text, where)
    return [found] if found else []
