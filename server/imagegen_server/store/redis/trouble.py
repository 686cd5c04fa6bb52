"""Why a Redis cannot be used, in words for whoever sets a server up."""

import ssl

from redis import exceptions

_OTHER_NAME = {62, 64}
"""What OpenSSL calls a certificate for another host, and for another IP address."""

_HANGS_UP = ("Error while reading from ", "Connection closed by server")
"""How the package begins to say so."""

_NO_CERTIFICATE = "if it asks for a certificate, set its `tls-auth-clients no`: imagegen shows none"


def describe_trouble(problem: Exception, url: str) -> str:
    """Say what is wrong and what may be done, as what follows the URL in a sentence. No password is repeated."""
    by_tls = url.startswith("rediss:")
    below = problem.__context__  # the package tells the rest by its text alone
    if isinstance(problem, exceptions.AuthenticationError):
        return f"does not take the user of store.url with store.password: {problem}"
    if isinstance(below, ssl.SSLCertVerificationError):
        return f"has a certificate {_fault(below)}"
    if isinstance(problem, exceptions.TimeoutError | OSError):
        return f"does not answer: {str(problem) or 'no answer in time'}" + ("; without TLS it is redis://" * by_tls)
    if str(problem).startswith(_HANGS_UP):
        hint = _NO_CERTIFICATE if by_tls else "with TLS it is rediss://"
        return f"hangs up: {problem}" + ("" if url.startswith("unix:") else f"; {hint}")
    return f"cannot be used: {problem}"


def _fault(problem: ssl.SSLCertVerificationError) -> str:
    if problem.verify_code in _OTHER_NAME:
        return f"for another host: {problem.verify_message}"
    return f"that is not trusted: {problem.verify_message}; store.ca names who is trusted"
