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


class DoomedRevision(Doomed):
    """{sentence} The request was not changed: it still waits for your answer, or for you to withdraw it."""


class OtherThing(Refusal):
    """A revision is about the same {thing} as the request, {id}. For another one, file a new request and withdraw
    this one."""


class NobodyAsked(Refusal):
    """Nobody asks to change this request: it is {status}. It can be revised once a reviewer asks for that. Do not
    file another one for the same."""


class NothingRevised(Refusal):
    """These are the arguments that a reviewer has asked you to change. Change what they asked for, or withdraw the
    request."""


def _kept(text: str) -> str:
    """Without what PostgreSQL and UTF-8 have no place for: NUL, and half of a surrogate pair. JSON can name both."""
    return text.replace("\x00", "").encode(errors="replace").decode()


class Elsewhere(CountersignError):
    """Something went wrong where {where} works."""

    def __init__(self, *, where: str = "The company's system", **details: object) -> None:
        """`where` begins a sentence: whom we asked. Their words are made such as our database keeps."""
        told = {name: _kept(value) if isinstance(value, str) else value for name, value in details.items()}
        super().__init__(where=where, **told)


class BackingRefused(Elsewhere, Refusal):
    """{where} refused: {message}"""


class NothingDone(Refusal):
    """Only what was done can be undone, and this request is {status}. Nothing was filed."""


class Irreversible(Refusal):
    """This cannot be undone: {because} Nothing was filed."""


class NothingToPutBack(Refusal):
    """What was before cannot be put back: {because} Nothing was filed."""


class UndoneAlready(Refusal):
    """Undoing this was asked for before: by a request that is not over yet, or that was carried out. Nothing was
    filed."""


class NotYoursToUndo(Refusal):
    """Undoing this is asked for by {roles}. Your roles here do not include it. Nothing was asked for."""


class NothingFound(BackingRefused):
    """{where} has no such object."""


class CredentialNotTaken(BackingRefused):
    """{where} does not take the credential that {setting} names for this company, so nothing was done.
    Tell an operator: it has to be replaced."""


class NotSetUp(Elsewhere):
    """{where} cannot be asked: what is needed for that is not set up here, so nothing was done.
    Tell an operator: the log says what it is."""


class NoAnswer(Elsewhere):
    """{where} did not answer. Try again in a minute."""


class NotReached(NoAnswer):
    """{where} could not be reached, so nothing was done. Try again in a minute."""


class ActivatedMeanwhile(NotReached):
    """Another policy version came into force meanwhile, so nothing was done."""


class StillUnderWay(NotReached):
    """What was sent may still be under way, so nothing was settled. Try again in a minute."""


class SettledMeanwhile(BackingRefused):
    """It is no longer in doubt: it has {now} meanwhile. Nothing was settled by hand."""


class OnRecordNow(BackingRefused):
    """{where} has it on record by now ({reference}), and that is what counts. Nothing was settled by hand."""


class TryLater(Elsewhere):
    """{where} asks to wait {seconds} s. Try again then."""


# --- decide -----------------------------------------------------------------------------------------------


class MoveRefused(Refusal):
    """This request is already {status}, so it can no longer be {wanted}."""


class SelfApproval(Refusal):
    """You cannot decide this request: {why}. Somebody else has to decide."""


class NotEntitled(Refusal):
    """This request needs a decision by {roles}. Your roles here do not include it."""


class NotYourTurn(Refusal):
    """It is not your turn yet: first {roles} must agree. You can deny it already."""


class PlacesTaken(Refusal):
    """Somebody of your role has agreed already; it still needs {roles}. You can deny it."""


class CountedAlready(Refusal):
    """Somebody who stands or stood in for you, or you for them, has agreed already: together you count once.
    Somebody else has to agree. You can deny it."""


class AlreadyVoted(Refusal):
    """You have already decided on this revision. One person counts once."""


class PageOutdated(Refusal):
    """What you saw is no longer what would be approved: {changed} changed. Nothing was decided.
    Read the request again, then decide."""


class PolicyForbids(Refusal):
    """The policy now refuses this request, so it can only be denied: {because}"""


class BudgetExceeded(Refusal):
    """{budget} Nothing was decided. Decide again when there is room, or deny it."""


class BudgetsBusy(Refusal):
    """Many approvals count towards the same budget at the moment, and this one waited too long for its turn.
    Nothing was decided. Try again in a minute."""


class BudgetsUnknown(Refusal):
    """The policy in force cannot be read, so what its budgets leave is not known, and nothing can be approved.
    Nothing was decided. Tell an operator."""


class RequestAltered(Refusal):
    """This request is not what was filed: {what} does not fit its arguments. It can only be denied.
    Tell an operator."""


class StepUpNeeded(Refusal):
    """This decision needs you to prove once more who you are. Nothing was decided. Prove it, then decide again."""


class ProofRefused(Refusal):
    """You did not prove who you are, so nothing was decided. {why}"""


class ReasonOfADenial(Refusal):
    """You chose a reason to deny it, and pressed Approve. Nothing was decided: take the reason back, or deny it."""


class RemarkNotTaken(Refusal):
    """Your words were not taken. {why}"""


class LookedUpJustNow(Refusal):
    """It was looked up a moment ago. Look at what was found first; you can ask again in ten seconds."""


class ViewNotKept(Refusal):
    """This view of the queue was not kept. {why}"""


class CommentMissing(Refusal):
    """A denial needs a reason of at least 3 characters: whoever asked is told it."""


class CommentTooLong(Refusal):
    """A comment has at most 1,000 characters. Shorten it, so that nothing of it is cut."""


# --- payloads ---------------------------------------------------------------------------------------------


class PayloadUnreadable(Refusal):
    """What this request asks for cannot be opened: no key in PAYLOAD_KEYS fits it. Nothing was changed. Tell whoever
    runs Countersign."""


class PayloadErased(Refusal):
    """What this request asked for was erased, and is no longer there."""


class OpenedWhileOpen(Refusal):
    """This request is {status}: whoever may see it sees all of it, so there is nothing to open."""


class OpenersOnly(Refusal):
    """Only people with the role {role} open a full payload. Your roles here do not include it."""


class OpeningReasonMissing(Refusal):
    """Opening a full payload needs a reason of 10 to 500 characters. Everybody who watches can read it."""


class ErasedWhileOpen(Refusal):
    """{id} is {status}: people decide by its payload, so it can be erased when it is finished."""


class ErasedWhileUndone(Refusal):
    """{id} is to be undone by a request that is still open, {by}: what it asked for is needed until that is over."""


# --- policy -----------------------------------------------------------------------------------------------


class PolicyAuthorsOnly(Refusal):
    """Policy versions are proposed, and asked for, by people with the role operator or policy author. Your roles here
    include neither."""


class PolicyUnreadable(Refusal):
    """Line {line}, column {column}: {problem}"""


class SamePolicy(Refusal):
    """This is, to the letter, version {number}, which is in force."""


class InForceAlready(Refusal):
    """Version {number} is in force already."""


class BecauseMissing(Refusal):
    """Say why, in 10 to 500 characters: whoever decides reads it."""


class TooMuchToCount(Refusal):
    """This draft counts what was not counted before, and more than {most} approvals would have to be read for it here.
    Choose a later day, or use the command "policy backtest", which has no such limit."""


class ReasonNeeded(Refusal):
    """Taking an approval back needs a reason of 3 to 1,000 characters: the agent is told it."""


class LookedAt(Refusal):
    """{who} is looking at this until {until} UTC. Take it over if it cannot wait; you can decide in any case."""


class NothingClaimed(Refusal):
    """You are not looking at this, so there is nothing to give back."""


class DelegationNotTaken(Refusal):
    """This was not written down: {why}"""


class DelegationOver(Refusal):
    """This is over already."""


class ChangesMissing(Refusal):
    """To ask for changes, say in at least 3 characters what should change: the agent is told it."""


class OnlyAgentsRevise(Refusal):
    """Changes are asked for of agents alone. Whoever asked for this files another request: deny this
    one, and say why."""


class UndoingIsExact(Refusal):
    """This request asks for exactly what was before the one that it undoes, so there is nothing to change in it.
    Approve or deny it."""


class FieldUnknown(Refusal):
    """This request has no field {name} that could be changed. Read the request again."""


class FieldTooLong(Refusal):
    """What you say about a field has at most 500 characters. Shorten it, so that nothing of it is cut."""


class NothingChosen(Refusal):
    """Choose at least one request."""


class TooManyAtOnce(Refusal):
    """At most {most} requests are decided together: as many as can be read. Choose fewer."""


class DecidedAlone(Refusal):
    """Only requests of low risk, or whose rule allows it, are decided together. Decide these by themselves: {which}."""


class NotShown(Refusal):
    """These requests were not shown to you on one page within the last hour, so nothing was decided.
    Look at them again."""


# --- what stays in doubt ----------------------------------------------------------------------------------


class OperatorsSettle(Refusal):
    """Only operators ask to settle what is in doubt. Your roles here do not include it."""


class PartOfIt(Refusal):
    """You cannot settle this: {why}. Another operator has to."""


class NothingInDoubt(Refusal):
    """This request is not in doubt: it is {status}."""


class FindingMissing(Refusal):
    """Say what you found: that it happened, or that it never did."""


class ReferenceWrong(Refusal):
    """To say that it happened, give the provider's own reference, one line of at most 200 characters. To say that it
    never did, leave it empty."""


# --- break-glass ------------------------------------------------------------------------------------------


class SecondFactorNeeded(Refusal):
    """This needs your second factor, proved within the last minutes: a password is not enough. Nothing was changed.
    Prove it, then send the form again: the reason that you typed is kept."""


class GlassReasonMissing(Refusal):
    """Pushing a request through alone needs a reason of 20 to 500 characters. Everybody who watches will read it."""


class NotConfirmed(Refusal):
    """To confirm, type exactly what this is about: {what}"""


class NobodyWatches(Refusal):
    """Nobody else here has the role security, so nobody would be told. Nothing was changed.
    Ask whoever runs Countersign to give it to somebody."""


class FourEyesAlways(Refusal):
    """What people ask for here, such as another policy, takes those who have to agree. Nobody pushes it through
    alone."""


class CoolsTooLong(Refusal):
    """The rule lets an approval cool off for longer than a break-glass lasts, so nothing would come of it."""


class WindowShut(Refusal):
    """The rule lets this be carried out at certain hours, and a break-glass ends before they begin. Nothing would come
    of it."""


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


# --- search -----------------------------------------------------------------------------------------------


class NobodyCalled(Refusal):
    """There is no {thing} called {name} here. Write a name, {else_by}, or an id as it stands on the trail."""


class SeveralCalled(Refusal):
    """More than one {thing} fits {name}: {which}. Write more of it, or the id of the one you mean."""


class SearchPageUnknown(Refusal):
    """There is no such page of a search. Begin at the first page."""


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


class NoOperator(Refusal):
    """{email} is no operator in {tenant}, so exercises cannot be theirs. Name one who is: they know of the exercises,
    and cannot decide on them."""


class ExercisesAlready(Refusal):
    """Exercises are {state} in {tenant} already."""


class ExercisesOff(Refusal):
    """Exercises are off in {tenant}, so none was filed. This turns them on: {command}"""


class NoExercise(Refusal):
    """No exercise fits {tenant}: the policy asks nobody about any of them. None was filed."""


class AgentRemoved(Refusal):
    """{name} was removed before, and stays so. Add a new agent instead."""


class NoSecret(Refusal):
    """{name} has no secret here: a person connected it, or another issuer vouches for it."""


class RoleNotHeld(Refusal):
    """{name} does not have the role {role} in {tenant}, so nothing was taken."""


class LastOperator(Refusal):
    """{name} is the last operator of {tenant}: nobody could stop anything there, or agree to a policy.
    Make somebody else an operator first: {command}"""


class WeakPassword(Refusal):
    """This password was not taken: {why}"""


class CodeUnknown(Refusal):
    """This code is not known here, was answered already, or its time is over.
    Look at your terminal: it may show a new one."""


class TooManyCodes(Refusal):
    """You have sent too many codes. Come back in ten minutes."""


class TooManyPrograms(Refusal):
    """You came with too many programs that nobody here had seen before. Come back in {minutes} minutes."""


# --- the auditor's room -----------------------------------------------------------------------------------


class AuditorsOnly(Refusal):
    """The whole trail is for auditors. Your roles here do not include auditor."""


class VerifyingAlready(Refusal):
    """The trail is being verified just now, or waits for that. See how far it has come; another one begins after it."""


class VerifiedJustNow(Refusal):
    """The trail was verified less than {seconds} seconds ago. See what was found, and ask again a little later."""


class SimulatingAlready(Refusal):
    """A draft of a policy is being tried just now, or a trail taken away, and one at a time is enough work.
    Try again in a minute."""


class TakingAlready(Refusal):
    """A trail is being taken away just now, or a draft of a policy tried, and one at a time is enough work.
    Try again in a minute."""


# --- messages ---------------------------------------------------------------------------------------------


class ReceiversByOperators(Refusal):
    """Only operators change who is told. Your roles here do not include it."""


class ReceiverAddedAlready(Refusal):
    """This was added already, and its secret was shown then. If you missed it, renew it on the receiver's page."""


class ReceiverIsOff(Refusal):
    """This receiver is switched off, so nothing is sent to it. Switch it on first."""


class ReceiverStands(Refusal):
    """This receiver is switched {state} already."""


class NoSecretToRenew(Refusal):
    """{name} has no secret of its own: whoever knows the address of a Slack webhook can write to it. Make another one
    in Slack, add it here, and switch this one off."""


class NoTokenToReplace(Refusal):
    """{name} is no Slack app, and has no token."""


class SecretRenewedAlready(Refusal):
    """This secret was renewed already, and the new one was shown then. Nothing was changed. If you missed it, renew
    it again."""


class EarlierSecretCounts(Refusal):
    """An earlier secret still signs as well, until {until} UTC. End it first, then renew this one."""


class SecretEnded(Refusal):
    """This secret has ended already."""


class MailNotChosen(Refusal):
    """This was not written down: {why}"""


class MessageMovedOn(Refusal):
    """This message is on its way again already, or ended anew. Nothing was sent twice for it. Look at it again."""


class TestOnItsWay(Refusal):
    """A test is on its way to this receiver already. Look again in a moment."""

    __test__ = False  # pytest takes the name for that of tests


# --- set-up -----------------------------------------------------------------------------------------------


class SettingMissing(CountersignError):
    """The setting {name} is missing or cannot be used. {hint}"""


class CredentialUnusable(SettingMissing):
    """The file for {tenant} in the folder that {name} names {why}. Write the credential alone into it."""


class ActionUnreadable(CountersignError):
    """{file}, line {line}, column {column}: {problem}"""


# --- the REST API -----------------------------------------------------------------------------------------


class TokenNeverDecides(Refusal):
    """An access token reads and never decides: this takes a person who is signed in in a browser. Nothing was done."""


class NotFromOurPages(Refusal):
    """This takes the CSRF token of your session in the header X-CSRFToken, and an origin of ours. Nothing was done."""


class NoCompany(Refusal):
    """You belong to no company here. Ask whoever runs Countersign in yours."""


class PeopleOnly(Refusal):
    """An agent reads its own requests here, and nothing else. People read this, by their roles."""


class OperatorsOnly(Refusal):
    """This is for operators. Your roles here do not include operator."""


class NothingHere(Refusal):
    """There is nothing at this address. Addresses of the API end with a slash, and /api/v1/schema/ lists them."""


class MethodNotAllowed(Refusal):
    """This address takes {methods}, and no other method."""


class NotAcceptable(Refusal):
    """Answers are JSON alone. Accept application/json, and application/problem+json for what is refused."""


class BodyNotJson(Refusal):
    """Send the body as application/json, in UTF-8 and uncompressed."""


class RequestUnreadable(Refusal):
    """This request cannot be taken: {problem}. Nothing was done."""


class BodyUnreadable(Refusal):
    """The body is no JSON object that can be read: {problem}. Nothing was done."""


class BodyTooLarge(Refusal):
    """The body is longer than {most} bytes. Nothing was done."""


class FieldsWrong(Refusal):
    """This was not taken: {problems}. Nothing was done."""


class BrokenHere(CountersignError):
    """Something broke on our side. If you asked for a change, read again whether it happened."""
