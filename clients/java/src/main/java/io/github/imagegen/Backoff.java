package io.github.imagegen;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** How long to wait before what broke is tried again; counts since something last arrived. */
final class Backoff {
  private static final long[] DELAYS_MS = {100, 200, 400, 800, 1600, 3200, 5000};

  private int tries;

  /** Something arrived: the next break is a new one. */
  void renew() {
    tries = 0;
  }

  /** How long to wait before the next try. Empty = there were enough. */
  Optional<Duration> next() {
    if (tries == DELAYS_MS.length) {
      return Optional.empty();
    }
    long delay = DELAYS_MS[tries++];
    // Clients whose connections broke at one moment shall not come back at one moment.
    return Optional.of(
        Duration.ofMillis(ThreadLocalRandom.current().nextLong(delay / 2, delay + 1)));
  }
}
