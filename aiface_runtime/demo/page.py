"""The page itself, in Gradio: a form, an answer, a table, and what is known of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from ..classifier import Classifier
from ..errors import AifaceError
from ..limits import DEFAULT_LIMITS, Limits
from .answers import answer_all, look_closely
from .examples import examples
from .headers import SecurityHeaders
from .uploads import MAX_PHOTOS, Request, parse_request, removed_after
from .view import about_html, detail_html, form_html, message_html, table_html

if TYPE_CHECKING:
    from collections.abc import Callable

_ASSETS = Path(__file__).parent / "assets"
_AT_ONCE = 2  # requests that are answered; a single one uses all cores
_WAITING = 64  # requests
_SWEEP, _OLDEST = 60, 840  # seconds: an upload that nobody asked about is removed
_TELL = "() => window.dispatchEvent(new Event('aiface:{}'))"  # the script of the form waits for it

Answer = tuple[Any, Any]  # HTML of the table and of one photo; or an update that leaves what there is


def build(classifier: Classifier | None = None) -> gr.Blocks:
    """Make the page, to launch it or to mount it in an application of one's own.

    Args:
        classifier: Model that answers, under its limits and at first at its operating point; None for the bundled one.
    """
    classifier = classifier or Classifier()
    limits = classifier.limits
    style = _ASSETS.joinpath("style.css").read_text(encoding="utf-8")
    form = form_html(classifier.manifest, classifier.operating_point, limits, MAX_PHOTOS, examples())
    with gr.Blocks(title="aiface", analytics_enabled=False, delete_cache=(_SWEEP, _OLDEST)) as page:
        gr.HTML(f"<style>{style}</style>", padding=False)
        gr.HTML("<h1>aiface: a real face photo, or an AI-generated one?</h1>")
        script = _ASSETS.joinpath("form.js").read_text(encoding="utf-8")
        question = gr.HTML(html_template=_literal(form), js_on_load=script, apply_default_css=False)
        table = gr.HTML("", apply_default_css=False)
        answer = gr.HTML("", apply_default_css=False)
        gr.HTML(about_html(classifier.manifest, limits), apply_default_css=False)
        question.async_move_resource_to_block_cache = _in_place
        asked = question.submit(
            _answerer(classifier),
            question,
            [table, answer],
            api_name="answer",
            show_progress="hidden",
            concurrency_limit=_AT_ONCE,
        )
        asked.success(None, js=_TELL.format("answered"))
        asked.failure(None, js=_TELL.format("failed"))
    page.queue(max_size=_WAITING)
    return page


def launch_options(limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Return what `launch` needs so that no photo and no other word leaves the machine."""
    fonts = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]  # Gradio's own come from Google
    return {
        "theme": gr.themes.Default(font=fonts[0], font_mono=fonts[1]),
        "max_file_size": limits.bytes,
        "app_kwargs": {"middleware": [Middleware(SecurityHeaders)]},
        "share": False,
        "ssr_mode": False,
        "run_history": False,
        "mcp_server": False,
        "pwa": False,
        "enable_monitoring": False,
        "footer_links": [],
    }


def _literal(html: str) -> str:
    """Escape what Gradio would take for its template languages."""
    return html.replace("\\", "&#92;").replace("`", "&#96;").replace("$", "&#36;").replace("{", "&#123;")


async def _in_place(path: str) -> str:
    """Take an upload where it lies: Gradio would copy it, and fetch it from the network where it is an address."""
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("no upload of this page", print_exception=False)
    return path


def _answerer(classifier: Classifier) -> Callable[[Any], Answer]:
    classifiers = {name: classifier.at(name) for name in classifier.manifest.operating_points}

    def answer(value: Any) -> Answer:
        """Answer for what the form sent: `photos`, `operating_point` and `detail`."""
        try:
            request = parse_request(value, Path(get_upload_folder()), classifier.limits.bytes)
            with removed_after(request.uploads):
                if request.operating_point not in classifiers:
                    classifier.manifest.operating_point(request.operating_point)
                return _answer(classifiers[request.operating_point], request)
        except AifaceError as error:
            return "", message_html(str(error))

    return answer


def _answer(classifier: Classifier, request: Request) -> Answer:
    if len(request.uploads) > 1:
        return table_html(answer_all(classifier, request.uploads)), ""
    detail = look_closely(classifier, request.uploads[0])
    kept = gr.skip() if request.is_detail else ""
    if detail.error is not None:
        return kept, message_html(str(detail.error))
    return kept, detail_html(detail, classifier, request.operating_point)
