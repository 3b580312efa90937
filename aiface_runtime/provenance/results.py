"""What a file says of its own picture: credentials that were signed, and statements that anyone could have written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class CredentialState(StrEnum):
    """What became of a file's Content Credentials (C2PA).

    Attributes:
        TRUSTED: They are as they were signed, and so is the picture; the signer is on the trust list.
        UNTRUSTED: They are as they were signed, and so is the picture; the signer is not on the trust list.
        BROKEN: They, or the picture, have been changed since they were signed, or they cannot be read.
        ABSENT: The file has none.
        NOT_CHECKED: Nothing is known of them; the reason says why.
    """

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    BROKEN = "broken"
    ABSENT = "absent"
    NOT_CHECKED = "not_checked"


class Claim(StrEnum):
    """What a finding says; later versions may add more.

    Attributes:
        GENERATED: Made by a generative model.
        EDITED_WITH_AI: A picture of another origin, parts of which a generative model made.
        EDITED: A picture edited or put together without a word of a generative model.
        CAPTURED: Taken of real life by a camera or a scanner.
        CREATED: Made by a person or a program, without a camera and without a word of a generative model.
        CAMERA: Make and model of a camera.
        SOFTWARE: Program that wrote the file.
        GENERATOR_SETTINGS: Prompt, sampler, seed or workflow of a generator.
    """

    GENERATED = "generated"
    EDITED_WITH_AI = "edited_with_ai"
    EDITED = "edited"
    CAPTURED = "captured"
    CREATED = "created"
    CAMERA = "camera"
    SOFTWARE = "software"
    GENERATOR_SETTINGS = "generator_settings"


class CredentialsRecord(TypedDict):
    """Content Credentials as JSON takes them."""

    state: str
    issuer: str | None
    claim_generator: str | None
    actions: list[str]
    reason: str | None


class FindingRecord(TypedDict):
    """A finding as JSON takes it."""

    claim: str
    statement: str
    evidence: str
    where: str


class ProvenanceRecord(TypedDict):
    """All that a file says of itself, as JSON takes it."""

    input: str
    credentials: CredentialsRecord
    findings: list[FindingRecord]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content Credentials (C2PA) of a file.

    Attributes:
        state: What became of them.
        issuer: Organisation or name in the signer's certificate; anyone can make a certificate in any name, so it
            counts only where the state is `TRUSTED`.
        claim_generator: Program that made them, by its own account.
        actions: What was done to the picture, `c2pa.created` for one, in order, by their account.
        reason: Why they are broken, or were not checked; in one line.
    """

    state: CredentialState
    issuer: str | None = None
    claim_generator: str | None = None
    actions: tuple[str, ...] = ()
    reason: str | None = None

    def to_record(self) -> CredentialsRecord:
        """Return a dictionary that JSON takes."""
        return {
            "state": self.state.value,
            "issuer": self.issuer,
            "claim_generator": self.claim_generator,
            "actions": list(self.actions),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a file says of its picture.

    Attributes:
        claim: What it says, in one word.
        statement: The same in a plain sentence.
        evidence: The words of the file, quoted; on one line, printable, and not all of it where it is long.
        where: Location of those words in the file, `PNG tEXt parameters` for one.
    """

    claim: Claim
    statement: str
    evidence: str
    where: str

    def to_record(self) -> FindingRecord:
        """Return a dictionary that JSON takes."""
        return {
            "claim": self.claim.value,
            "statement": self.statement,
            "evidence": self.evidence,
            "where": self.where,
        }


_STATES = {
    CredentialState.TRUSTED: "intact, signer trusted",
    CredentialState.UNTRUSTED: "intact, signer not trusted",
    CredentialState.BROKEN: "broken",
    CredentialState.ABSENT: "none",
    CredentialState.NOT_CHECKED: "not checked",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file says of its own picture. It never changes an answer's score, which comes from the pixels alone.

    Attributes:
        input: Path, or a short description of what was passed.
        credentials: Its Content Credentials.
        findings: What else it says, those of generators first.
        notes: What to know before relying on it.
    """

    input: str
    credentials: Credentials
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def to_record(self) -> ProvenanceRecord:
        """Return a dictionary that JSON takes."""
        return {
            "input": self.input,
            "credentials": self.credentials.to_record(),
            "findings": [finding.to_record() for finding in self.findings],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        credentials = self.credentials
        reason = f" ({credentials.reason})" if credentials.reason else ""
        details = {
            "issuer": credentials.issuer,
            "claim generator": credentials.claim_generator,
            "actions": ", ".join(credentials.actions),
        }
        lines = [f"Content Credentials: {_STATES[credentials.state]}{reason}"]
        lines += [f"  {name}: {value}" for name, value in details.items() if value]
        lines += [f"{finding.statement}: {finding.evidence} [{finding.where}]" for finding in self.findings]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n  ".join((self.input, *lines))
