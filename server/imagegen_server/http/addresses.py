"""Which addresses may be connected to on behalf of others."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Written out, because what the standard library calls global differs between its versions. IANA's registries of
# special-purpose addresses for IPv4 and IPv6, as of RFC 9780; the shared address at the end is not in them.
_SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; RFC 791
            "10.0.0.0/8",  # private; RFC 1918
            "100.64.0.0/10",  # behind a carrier's NAT; RFC 6598
            "127.0.0.0/8",  # loopback; RFC 1122
            "169.254.0.0/16",  # link-local, and the metadata of most clouds; RFC 3927
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocols; RFC 6890
            "192.0.2.0/24",  # documentation; RFC 5737
            "192.31.196.0/24",  # AS112; RFC 7535
            "192.52.193.0/24",  # AMT; RFC 7450
            "192.88.99.0/24",  # 6to4 relays; RFC 7526
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112; RFC 7534
            "198.18.0.0/15",  # benchmarks; RFC 2544
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast; RFC 5771
            "240.0.0.0/4",  # reserved, and broadcast; RFC 1112
            "168.63.129.16/32",  # the platform behind every machine in Azure
        ),
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")
"""All that has been given out as global unicast (RFC 4291); everything else, known or to come, is refused."""
_SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocols, among them Teredo; RFC 2928, RFC 4380
            "2001:db8::/32",  # documentation; RFC 3849
            "2002::/16",  # 6to4: an IPv4 address inside; RFC 3056
            "2620:4f:8000::/48",  # AS112; RFC 7534
            "3fff::/20",  # documentation; RFC 9637
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
"""Where a network without IPv4 finds every IPv4 address (RFC 6052), the private ones included."""


def plain(address: Address) -> Address:
    """Write an address as what it is on the wire: an IPv4-mapped one (RFC 4291, 2.5.5.2) as IPv4."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet, and to no one machine, network or purpose."""
    address = plain(address)
    if isinstance(address, IPv6Address) and address in _NAT64:
        address = IPv4Address(address.packed[-4:])
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return (
        address.scope_id is None
        and address in _GLOBAL_IPV6
        and not any(address in network for network in _SPECIAL_IPV6)
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host, by its address or name, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
