"""The secret scan: what every process of a test run wrote, read once at its end for what none of them may write.

Whoever starts a process hands its output over (`output.keep`, `output.told`); whoever makes a secret registers it
(`known.secret`, `known.environment`); tokens and codes are remembered by the test databases (`issued.remember`).
`plugin` scans at the end of the run, and fails it.
"""
