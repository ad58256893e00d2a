"""What the rules say. Pure: no database, no clock, no network.

A caller describes its actions (`signature.signature_of`), reads a document (`documents.load`) and asks for a
verdict (`judge.judge`). The caller also brings the facts and the time, so the same question always gets the
same answer.
"""
