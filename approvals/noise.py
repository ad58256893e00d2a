"""What the log tells more quietly than the library that says it."""

import logging


def everyday_answers(line: logging.LogRecord) -> bool:
    """A logging filter. Django writes a 4xx with the way through its own code, as a warning: to a wrong address, or to
    somebody who is not an auditor, it is the answer that they should get. One line, at INFO; a 5xx stays as it is.
    """
    if line.levelno == logging.WARNING and 400 <= getattr(line, "status_code", 0) < 500:
        line.levelno, line.levelname, line.exc_info = logging.INFO, "INFO", None
    return logging.getLogger().isEnabledFor(line.levelno)
