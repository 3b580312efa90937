"""What a file says of its own picture: credentials that were signed, and statements that anyone could have written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypedDict

from .quoting import visible


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
        EDITED: A picture edited or put together; no generative model is named.
        CAPTURED: Taken of real life by a camera or a scanner.
        CREATED: Made by a person or a program, without a camera; no generative model is named.
        CAMERA: Make and model of a camera.
        SOFTWARE: Program that wrote the file.
        GENERATOR: Program that wrote the file, which is an image generator; those edit photos too.
        GENERATOR_SETTINGS: Prompt, sampler, seed or workflow of an image generator.
        OTHER: A statement on the picture's origin that this version does not know.
    """

    GENERATED = "generated"
    EDITED_WITH_AI = "edited_with_ai"
    EDITED = "edited"
    CAPTURED = "captured"
    CREATED = "created"
    CAMERA = "camera"
    SOFTWARE = "software"
    GENERATOR = "generator"
    GENERATOR_SETTINGS = "generator_settings"
    OTHER = "other"


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
        state: State of them, and of the picture that they were signed with.
        issuer: Organisation or name in the signer's certificate; anyone can make a certificate in any name, so it
            counts only where the state is `TRUSTED`.
        claim_generator: Program that made them, by its own account.
        actions: Names of what was done to the picture, `c2pa.created` for one, in order, by their account.
        reason: Reason why they are broken, not trusted or not checked; in one line.
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
        claim: Meaning of it, in one word.
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


def _text(value: object) -> str | None:
    return None if value is None else str(value)


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
        credentials: Content Credentials of the file.
        findings: All else that it says, those of generated pictures first.
        notes: Sentences to know before relying on it.
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

    @classmethod
    def from_record(cls, record: ProvenanceRecord) -> Self:
        """Rebuild from a record, of which nothing is taken for granted.

        Raises:
            ValueError: It is no record; so do `TypeError` and `KeyError`.
        """
        given = record["credentials"]
        credentials = Credentials(
            CredentialState(given["state"]),
            _text(given["issuer"]),
            _text(given["claim_generator"]),
            tuple(str(action) for action in given["actions"]),
            _text(given["reason"]),
        )
        findings = tuple(
            Finding(Claim(each["claim"]), str(each["statement"]), str(each["evidence"]), str(each["where"]))
            for each in record["findings"]
        )
        return cls(str(record["input"]), credentials, findings, tuple(str(note) for note in record["notes"]))

    def lines(self) -> list[str]:
        """Return what the command prints below the name of the input."""
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
        return lines

    def __str__(self) -> str:
        return "\n  ".join([visible(self.input), *self.lines()])
