"""Several processes that serve on one address, and the one that watches over them.

The supervisor imports neither grpc nor a provider: it is small, starts at once, and never forks what may not be forked.
Each worker is a new interpreter. The two of them are tied together by a link, whose end is the order to stop.
"""
