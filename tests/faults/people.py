"""The reviewers of a run, beside those of the demonstration: email address, name and role."""

REVIEWERS = {
    "first-lead@acme.example.com": ("First Lead (demo)", "support_lead"),
    "second-lead@acme.example.com": ("Second Lead (demo)", "support_lead"),
    "third-lead@acme.example.com": ("Third Lead (demo)", "support_lead"),
    "first-books@acme.example.com": ("First Books (demo)", "finance"),
    "second-books@acme.example.com": ("Second Books (demo)", "finance"),
}
