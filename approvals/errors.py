"""Every refusal, one tree. A class is a refusal; its docstring is the sentence that people and agents read.

`raise SelfApproval(person="Dana")` fills the names in the sentence. `code` is the stable word for programs and
for the trail. Nothing here says why a policy is as it is, or whether a row of another tenant exists.
"""

import re
from inspect import cleandoc


class CountersignError(Exception):
    """Something went wrong."""

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(cleandoc(self.__doc__ or "").replace("\n", " ").format(**details))

    @property
    def code(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class Refusal(CountersignError):
    """The product said no. Nothing was changed."""


# --- who asks ---------------------------------------------------------------------------------------------


class NotAuthenticated(Refusal):
    """Who you are could not be established. Present a valid credential and try again."""


class TokenRefused(NotAuthenticated):
    """The access token is not valid here. Ask for a new one for this server and try again."""


class IssuerSilent(CountersignError):
    """Tokens cannot be checked at the moment: their issuer does not publish its keys. Try again in a minute."""


class CredentialRefused(NotAuthenticated):
    """The client id or the client secret is wrong, or the agent was switched off.
    Check COUNTERSIGN_CLIENT_ID and COUNTERSIGN_CLIENT_SECRET, or ask the agent's owner."""


class ScopeMissing(Refusal):
    """This needs the scope {scope}, which your token does not carry. Get a token with that scope and call again."""


class SwitchedOff(Refusal):
    """An operator has stopped {what}, and says: "{reason}" Nothing was done{still}.
    Do not repeat the call: it stays stopped until an operator lets it go on. Tell your user."""


class SwitchesUnknown(Refusal):
    """Whether this was stopped by an operator cannot be read at the moment, so nothing was done, and look-ups
    go on. Try again in a minute."""


class ProgramSwitchedOff(Refusal):
    """{name} was switched off by an operator, so it cannot be connected. Ask whoever runs Countersign in your
    company."""


class LimitReached(Refusal):
    """This is over a limit: {limit}. Nothing was done. Come back in {seconds} seconds."""


class LimitsUnknown(Refusal):
    """Requests cannot be counted at the moment, so none is taken. Nothing was done, and look-ups go on.
    Come back in {seconds} seconds."""


class NotFound(Refusal):
    """There is no {thing} {id} here. Check the id; ids of other companies read the same.{hint}"""

    def __init__(self, *, hint: str = "", **details: object) -> None:
        """`hint` is a sentence about where such an id is found."""
        super().__init__(hint=f" {hint}" if hint else "", **details)


class WatchesTooMuch(Refusal):
    """This is more than can be watched at once: {limit}. Nothing is watched. Watch fewer requests, close a stream that
    is no longer needed, or ask with get_request_status."""


# --- submit -----------------------------------------------------------------------------------------------


class ArgumentsInvalid(Refusal):
    """The arguments were not accepted: {problems}. Correct them and call again."""


class KeyReused(Refusal):
    """The idempotency key {key} was already used for a request with other arguments ({request_id}).
    Use a new key for a new request, or the same arguments to get the same request."""


class Doomed(Refusal):
    """{sentence} No request was filed."""


class BackingRefused(Refusal):
    """The shop's system refused: {message}"""


class NothingFound(BackingRefused):
    """The company's system has no such object."""


class NoAnswer(CountersignError):
    """The company's system did not answer. Try again in a minute."""


class NotReached(NoAnswer):
    """The company's system could not be reached, so nothing was done. Try again in a minute."""


class TryLater(CountersignError):
    """The company's system asks to wait {seconds} s. Try again then."""


# --- decide -----------------------------------------------------------------------------------------------


class MoveRefused(Refusal):
    """This request is already {status}, so it can no longer be {wanted}."""


class SelfApproval(Refusal):
    """You cannot decide this request: {why}. Somebody else has to decide."""


class NotEntitled(Refusal):
    """This request needs a decision by {roles}. Your roles here do not include it."""


class AlreadyVoted(Refusal):
    """You have already decided on this revision. One person counts once."""


class PageOutdated(Refusal):
    """What you saw is no longer what would be approved: {changed} changed. Nothing was decided.
    Read the request again, then decide."""


class PolicyForbids(Refusal):
    """The policy now refuses this request, so it can only be denied: {because}"""


class RequestAltered(Refusal):
    """This request is not what was filed: {what} does not fit its arguments. It can only be denied.
    Tell an operator."""


class StepUpNeeded(Refusal):
    """This decision needs you to prove once more who you are. Nothing was decided. Prove it, then decide again:
    what you typed is kept."""


class CommentMissing(Refusal):
    """A denial needs a reason of at least 3 characters: the agent is told it."""


class CommentTooLong(Refusal):
    """A comment has at most 1,000 characters. Shorten it, so that nothing of it is cut."""


# --- break-glass ------------------------------------------------------------------------------------------


class SecondFactorNeeded(Refusal):
    """This needs your second factor, proved within the last minutes: a password is not enough. Nothing was changed.
    Prove it, then push again: the reason that you typed is kept."""


class GlassReasonMissing(Refusal):
    """Pushing a request through alone needs a reason of 20 to 500 characters. Everybody who watches will read it."""


class NotConfirmed(Refusal):
    """To confirm, type exactly what this is about: {what}"""


class NobodyWatches(Refusal):
    """Nobody else here has the role security, so nobody would be told. Nothing was changed.
    Ask whoever runs Countersign to give it to somebody."""


class NothingToBreak(Refusal):
    """This request needs no person's approval: a worker approves it. There is nothing to push through."""


class StoppedMeanwhile(Refusal):
    """An operator has stopped this, and nobody pushes anything past a switch. Let it go on first."""


class OwnBreakGlass(Refusal):
    """You pushed this through yourself. Somebody else has to say whether it was justified."""


class ReviewedAlready(Refusal):
    """Somebody has reviewed this already."""


class ReviewMissing(Refusal):
    """Say whether it was justified, and why, in 3 to 1,000 characters."""


# --- operate ----------------------------------------------------------------------------------------------


class OperatorOnly(Refusal):
    """Only {role}s stop this or let it go on. Your roles here do not include it."""


class ReasonMissing(Refusal):
    """A stop needs a reason of 3 to 300 characters: agents and reviewers are told it."""


class StoppedAlready(Refusal):
    """Exactly this is stopped already. Let it go on first, to stop it in another way."""


class WentOnAlready(Refusal):
    """This was let go on already."""


class NoMember(Refusal):
    """{email} holds no role in {tenant}, so they cannot answer for an agent there.
    Give them one first: {command}"""


class SubjectTaken(Refusal):
    """Another agent of this tenant is known as {subject} already. Remove it first, or name another subject."""


class AgentRemoved(Refusal):
    """{name} was removed before, and stays so. Add a new agent instead."""


class NoSecret(Refusal):
    """{name} has no secret here: a person connected it, or another issuer vouches for it."""


class WeakPassword(Refusal):
    """This password was not taken: {why}"""


class CodeUnknown(Refusal):
    """This code is not known here, was answered already, or its time is over.
    Look at your terminal: it may show a new one."""


class TooManyCodes(Refusal):
    """You have sent too many codes. Come back in ten minutes."""


class TooManyPrograms(Refusal):
    """You came with too many programs that nobody here had seen before. Come back in {minutes} minutes."""


# --- set-up -----------------------------------------------------------------------------------------------


class SettingMissing(CountersignError):
    """The setting {name} is missing. {hint}"""
