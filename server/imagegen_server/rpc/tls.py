"""The server's side of TLS."""

from collections.abc import Callable
from typing import cast

import grpc

from imagegen_server.domain.credentials import ServerCertificate

from .watched import Watched


def server_credentials(files: Watched[ServerCertificate]) -> grpc.ServerCredentials:
    """Make credentials that follow the files: a renewed certificate is shown to whoever connects from then on.

    grpc for Python either demands a client's certificate or does not ask for one; it cannot leave it to the client.
    """
    shown = files.current()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        certificate = files.current()
        if certificate is shown:
            return None
        shown = certificate
        return _configuration(certificate)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed),  # None = no change, says its documentation
        require_client_authentication=shown.client_ca is not None,
    )


def _configuration(certificate: ServerCertificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], root_certificates=certificate.client_ca
    )
