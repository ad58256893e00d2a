"""The pages, by persona. Whoever serves them also keeps the trail of sign-ins."""

from approvals.views import sessions as sessions
