"""Content Credentials (C2PA) of a file, checked by encypher-c2pa; nothing is fetched, sent or saved.

Its `verify` would look at settings of the user's that allow the network, and may save some. The call below it, which
`verify` makes too, takes all of them as arguments.
Sources: C2PA specification 2.4, sections 15 (validation) and 18 (assertions).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from .generators import generator_named
from .quoting import one_line, quoted
from .results import Claim, Credentials, CredentialState, Finding
from .source_types import finding_of

# Every manifest store starts with a JUMBF box of this type; the others carry or name one in PNG, GIF and ISOBMFF.
_TRACES = (b"jumdc2pa", b"caBX", b"C2PA_GIF", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"))
_STORE, _COMPRESSED = _TRACES[0], b"jumdc2cm"
_VERIFY = "verify_bytes"
# A report takes up to some 25 times as much memory as the store that it is about.
_MAX_STORE = 8 * 2**20
_MAX_STORES = 16
_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "tiff": "image/tiff"}
_INSTALL = 'pip install "aiface[c2pa]"'
_MAX_SHOWN = 32  # actions, and manifests behind the active one
_ELSEWHERE = "are not stored in the file but at"
_PARENT = "parentOf"
_OUTSIDE = "claimSignature.outsideValidity"
_REASONS = {
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "what they say was changed after it was signed",
    "claimSignature.mismatch": "what they say was changed after it was signed",
    "claim.hardBindings.missing": "they are not bound to any picture",
    "signingCredential.revoked": "the certificate was revoked",
    "signingCredential.invalid": "the certificate is not one that may sign them",
}


_NOT_LISTED = "the signer's certificate leads to none on the trust list"
_EXPIRED = "the signer's certificate is no longer valid, and no time stamp proves when it was used"
_TRUST_CODES = frozenset(("signingCredential.untrusted", _OUTSIDE))


def read_credentials(
    data: bytes, reader: str, remote: str | None, trust: str | None = None
) -> tuple[Credentials, list[Finding]]:
    """Check a file's Content Credentials.

    Args:
        data: The file.
        reader: Name of its format, as `reader_of` returns it.
        remote: Address at which the file says that its credentials lie; it is not asked.
        trust: Certificates in PEM of further signers to trust.

    Raises:
        UsageError: `trust` holds no certificates.
    """
    if not any(trace in data for trace in _TRACES):
        if remote is None:
            return Credentials(CredentialState.ABSENT), []
        return _not_checked(f"they {_ELSEWHERE} {quoted(remote, 120)}, which is not fetched"), []
    media_type = _TYPES.get(reader) or (_isobmff_type(data) if reader == "isobmff" else None)
    if media_type is None:
        return _not_checked("they are not read in this format"), []
    if (reason := _cost(data)) is not None:
        return _not_checked(reason), []
    try:
        import encypher_c2pa

        verify_bytes: Any = getattr(encypher_c2pa, _VERIFY)  # not in its __all__
    except (ImportError, AttributeError):
        return _not_checked(f"the file has some, and what checks them is not installed: {_INSTALL}"), []
    return _checked(verify_bytes, data, media_type, trust)


def _cost(data: bytes) -> str | None:
    """Say why the credentials are not checked: they could take more memory than a photo may; None where they are."""
    if _COMPRESSED in data:
        return "they are compressed, and what they would take is not known"
    position = -1
    for _ in range(_MAX_STORES):
        position = data.find(_STORE, position + 1)
        if position < 0:
            return None
        length = int.from_bytes(data[max(position - 12, 0) : max(position - 8, 0)], "big")
        if data[max(position - 8, 0) : max(position - 4, 0)] != b"jumb" or length == 0 or length > _MAX_STORE:
            break
    return f"they take more than {_MAX_STORE // 2**20} MiB, or come more than {_MAX_STORES} times"


def _isobmff_type(data: bytes) -> str:
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return "image/avif" if b"avif" in brands or b"avis" in brands else "image/heic"


def _not_checked(reason: str) -> Credentials:
    return Credentials(CredentialState.NOT_CHECKED, reason=reason)


def _broken(reason: str) -> tuple[Credentials, list[Finding]]:
    return Credentials(CredentialState.BROKEN, reason=reason), []


def _checked(verify_bytes: Any, data: bytes, media_type: str, trust: str | None) -> tuple[Credentials, list[Finding]]:
    options = {"online": False, "telemetry": {"enabled": False}, "trust_pem": trust}
    try:
        report = json.loads(verify_bytes(data, media_type, json.dumps(options)))
    except (ValueError, RecursionError) as error:
        if "trust material" in str(error):
            raise UsageError(f"trust: {_last_part(error)}; pass certificates in PEM") from error
        return _broken(f"they cannot be read: {_last_part(error)}")
    except Exception as error:  # noqa: BLE001 whatever it raises on hostile bytes is about them
        return _broken(f"they cannot be read: {one_line(str(error) or type(error).__name__, 120)}")
    if not report.get("present"):
        return _broken("there are traces of them that cannot be read") if _STORE in data else _absent()
    if report.get("integrity") != "valid":
        return _broken(_reason(report))
    return _intact(report)


def _last_part(error: Exception) -> str:
    """Return the part of a message that says most: what stands before it names the stages of the work."""
    return one_line(str(error).rpartition("failed: ")[2] or type(error).__name__, 120)


def _absent() -> tuple[Credentials, list[Finding]]:
    return Credentials(CredentialState.ABSENT), []


def _reason(report: Mapping[str, Any]) -> str:
    """Return the failure that says most, in words."""
    failures = _failures(report.get("validation_results"))
    codes = {item.get("code") for item in failures}
    for code, reason in _REASONS.items():
        if code in codes:
            return reason
    other = [item for item in failures if item.get("code") not in _TRUST_CODES]
    return one_line(str((other or [{}])[0].get("explanation") or "they do not verify"), 120)


def _failures(results: object) -> list[Mapping[str, Any]]:
    return [_dict(item) for item in _list(_dict(results).get("failure"))]


def _intact(report: Mapping[str, Any]) -> tuple[Credentials, list[Finding]]:
    store = _dict(report.get("manifest_report"))
    manifests = _dict(store.get("manifests"))
    active = str(store.get("active_manifest"))
    manifest = _dict(manifests.get(active))
    is_trusted = _dict(report.get("trust")).get("status") == "valid_for_supplied_material"
    actions = [_dict(action) for action in _actions(manifest)]
    credentials = Credentials(
        CredentialState.TRUSTED if is_trusted else CredentialState.UNTRUSTED,
        _issuer(_dict(manifest.get("signature_info"))),
        _generator(manifest),
        tuple(one_line(str(action.get("action")), 80) for action in actions[:_MAX_SHOWN]),
        None if is_trusted else _why_untrusted(report),
    )
    findings = list(_action_findings(actions, "C2PA", "Content Credentials say that the picture was"))
    findings += _metadata_findings(manifest)
    findings += _ingredient_findings(manifests, active, _broken_ingredients(store))
    return credentials, findings


def _why_untrusted(report: Mapping[str, Any]) -> str:
    codes = {item.get("code") for item in _failures(report.get("validation_results"))}
    return _EXPIRED if _OUTSIDE in codes else _NOT_LISTED


def _actions(manifest: Mapping[str, Any]) -> Iterator[object]:
    for assertion in _list(manifest.get("assertions")):
        if str(_dict(assertion).get("label")).startswith("c2pa.actions"):
            yield from _list(_dict(_dict(assertion).get("data")).get("actions"))


def _issuer(signature: Mapping[str, Any]) -> str | None:
    """Return the name in the signer's certificate, and who certified it."""
    name, authority = signature.get("common_name"), signature.get("issuer")
    if name and authority:
        return f"{one_line(str(name), 80)}, certified by {one_line(str(authority), 80)}"
    return one_line(str(name or authority), 80) if name or authority else None


def _generator(manifest: Mapping[str, Any]) -> str | None:
    info = manifest.get("claim_generator_info") or manifest.get("claim_generator")
    first = (info or [None])[0] if isinstance(info, list) else info
    if isinstance(first, dict):
        first = " ".join(str(first[key]) for key in ("name", "version") if first.get(key))
    return one_line(str(first), 120) if first else None


def _action_findings(actions: Sequence[Mapping[str, Any]], where: str, subject: str) -> Iterator[Finding]:
    for action in actions:
        name = f"{where} {one_line(str(action.get('action')), 60)}"
        kind, agent = action.get("digitalSourceType"), action.get("softwareAgent")
        found = finding_of(kind, f"{name} digitalSourceType", subject) if isinstance(kind, str) else None
        if found is not None:
            yield found
        text = str(_dict(agent).get("name", "")) if isinstance(agent, dict) else str(agent or "")
        if generator_named(text):
            statement = "Content Credentials name an image generator"
            yield Finding(Claim.GENERATOR, statement, quoted(text), f"{name} softwareAgent")


def _metadata_findings(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the digital source types of metadata that were signed, `stds.iptc` and `c2pa.metadata` among them."""
    for assertion in map(_dict, _list(manifest.get("assertions"))):
        for key, value in _dict(assertion.get("data")).items():
            if key.rpartition(":")[2].lower() == "digitalsourcetype" and isinstance(value, str):
                where = f"C2PA {one_line(str(assertion.get('label')), 60)} {one_line(key, 60)}"
                yield from filter(None, [finding_of(value, where, "Content Credentials say that the picture was")])


def _broken_ingredients(store: Mapping[str, Any]) -> str:
    """Return the addresses of all that failed, when they were taken over or since, in earlier pictures' manifests."""
    deltas = [_dict(delta) for delta in _list(_dict(store.get("validation_results")).get("ingredientDeltas"))]
    failures = [item for delta in deltas for item in _failures(delta.get("validationDeltas"))]
    return "\n".join(str(item.get("url")) for item in failures if item.get("code") not in _TRUST_CODES)


def _ingredient_findings(manifests: Mapping[str, Any], active: str, broken: str) -> Iterator[Finding]:
    """Yield what the manifests of earlier pictures say; of a part that was generated the whole is an edit."""
    for label, relation in _ingredients(manifests, active):
        if label in broken:
            statement = "Content Credentials of an earlier picture were broken, and what they say is left out"
            yield Finding(Claim.OTHER, statement, quoted(label, 80), f"C2PA ingredient ({one_line(relation, 30)})")
            continue
        actions = [_dict(action) for action in _actions(_dict(manifests.get(label)))]
        is_parent = relation == _PARENT
        subject = f"Content Credentials say that {'an earlier version' if is_parent else 'a part'} of the picture was"
        for found in _action_findings(actions, f"C2PA ingredient ({one_line(relation, 30)})", subject):
            is_edit = found.claim is Claim.GENERATED and not is_parent
            claim = Claim.EDITED_WITH_AI if is_edit else found.claim
            yield Finding(claim, found.statement, found.evidence, found.where)


def _ingredients(manifests: Mapping[str, Any], active: str) -> Iterator[tuple[str, str]]:
    """Yield label and relation of each manifest that the active one goes back to, directly or not, once."""
    seen, waiting = {active}, [(active, _PARENT)]
    for label, above in waiting:  # which grows
        for assertion in _list(_dict(manifests.get(label)).get("assertions")):
            data = _dict(_dict(assertion).get("data"))
            if not str(_dict(assertion).get("label")).startswith("c2pa.ingredient"):
                continue
            reference = _dict(data.get("activeManifest") or data.get("c2pa_manifest")).get("url")
            target = next((part for part in str(reference).split("/") if part in manifests), None)
            if target is None or target in seen or len(seen) > _MAX_SHOWN:
                continue
            seen.add(target)
            relation = str(data.get("relationship")) if above == _PARENT else above
            waiting.append((target, relation))
            yield target, relation


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []
