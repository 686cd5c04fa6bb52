package io.github.imagegen;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** How long to wait before what broke is tried again; counts since something last arrived. */
final class Backoff {
  /** In milliseconds, before each try after a break. With the last one failed the break stands. */
  static final List<Integer> DELAYS = List.of(100, 200, 400, 800, 1600, 3200, 5000);

  private final List<Integer> delays;
  private int tries;

  Backoff(List<Integer> delays) {
    this.delays = delays;
  }

  /** Something arrived: the next break is a new one. */
  void renew() {
    tries = 0;
  }

  /** How long to wait before the next try. Empty = there were enough. */
  Optional<Duration> next() {
    if (tries == delays.size()) {
      return Optional.empty();
    }
    int delay = delays.get(tries++);
    // Clients whose connections broke at one moment shall not come back at one moment.
    return Optional.of(
        Duration.ofMillis(ThreadLocalRandom.current().nextInt(delay / 2, delay + 1)));
  }
}
