"""Errors that a user can act on; the command line turns them into exit statuses."""

from __future__ import annotations


class SynthlawError(Exception):
    """The work failed or is incomplete: says what and how much. Exit status 1."""

    exit_status = 1


class UsageError(SynthlawError):
    """Wrong use or a bad file: names place, what was found, what would be right. Exit status 2."""

    exit_status = 2


class InterruptedWorkError(SynthlawError):
    """Work was asked to stop and saved its state: it is no failure, and goes on when taken up."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class MissingExtraError(UsageError):
    """An optional dependency is needed; names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'synthlaw[{extra}]'"
        )
