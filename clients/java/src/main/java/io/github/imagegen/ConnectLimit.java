package io.github.imagegen;

import io.grpc.ConnectivityState;
import io.grpc.LoadBalancer;
import io.grpc.LoadBalancerProvider;
import io.grpc.LoadBalancerRegistry;
import io.grpc.NameResolver.ConfigOrError;
import io.grpc.Status;
import io.grpc.SynchronizationContext.ScheduledHandle;
import io.grpc.util.ForwardingLoadBalancerHelper;
import java.net.ConnectException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * gRPC's pick_first with a limit on connecting. By itself it waits without end for the first words
 * of a server that took the connection, and every call waits with it.
 */
final class ConnectLimit extends LoadBalancerProvider {
  /** For one address; that of gRPC in other languages. */
  static final Duration LIMIT = Duration.ofSeconds(20);

  private static final String POLICY = "imagegen_connect_limit";
  private static final String LIMIT_MS = "limitMs";
  private static final int PRIORITY = 5; // gRPC's own; nobody else has one of this name

  static {
    LoadBalancerRegistry.getDefaultRegistry().register(new ConnectLimit());
  }

  private ConnectLimit() {}

  /** What stands under {@code loadBalancingConfig} in a service config. */
  static Map<String, ?> config(Duration limit) {
    return Map.of(POLICY, Map.of(LIMIT_MS, (double) limit.toMillis()));
  }

  @Override
  public boolean isAvailable() {
    return true;
  }

  @Override
  public int getPriority() {
    return PRIORITY;
  }

  @Override
  public String getPolicyName() {
    return POLICY;
  }

  @Override
  public ConfigOrError parseLoadBalancingPolicyConfig(Map<String, ?> config) {
    return ConfigOrError.fromConfig(((Number) config.get(LIMIT_MS)).longValue());
  }

  @Override
  public LoadBalancer newLoadBalancer(LoadBalancer.Helper helper) {
    return new Limited(helper);
  }

  /** Runs in the channel's synchronization context, as every balancer does. */
  private static final class Limited extends LoadBalancer {
    private final Helper helper;
    private LoadBalancer picking;
    private ResolvedAddresses addresses;
    private long limitMs;
    private ScheduledHandle timer; // null = not connecting
    private boolean gaveUp; // and had no connection since: calls fail at once, as gRPC's do

    Limited(Helper helper) {
      this.helper = helper;
      picking = new Watched().begin();
    }

    @Override
    public Status acceptResolvedAddresses(ResolvedAddresses resolved) {
      int count = resolved.getAddresses().stream().mapToInt(a -> a.getAddresses().size()).sum();
      // One is tried after the other, and which one is at hand is not told.
      limitMs = (Long) resolved.getLoadBalancingPolicyConfig() * Math.max(1, count);
      addresses = resolved.toBuilder().setLoadBalancingPolicyConfig(null).build();
      return picking.acceptResolvedAddresses(addresses);
    }

    @Override
    public void handleNameResolutionError(Status error) {
      picking.handleNameResolutionError(error);
    }

    @Override
    public void requestConnection() {
      picking.requestConnection();
    }

    @Override
    public void shutdown() {
      stopTimer();
      picking.shutdown();
    }

    private void stopTimer() {
      if (timer != null) {
        timer.cancel();
        timer = null;
      }
    }

    private void giveUp() {
      timer = null;
      gaveUp = true;
      picking.shutdown(); // closes the connection that came to nothing
      String what = "the server did not answer a new connection within " + limitMs + " ms";
      var status = Status.UNAVAILABLE.withDescription(what).withCause(new ConnectException(what));
      helper.updateBalancingState(
          ConnectivityState.TRANSIENT_FAILURE, new FixedResultPicker(PickResult.withError(status)));
      picking = new Watched().begin();
      picking.acceptResolvedAddresses(addresses);
      helper.refreshNameResolution();
    }

    /** What one pick_first tells of its connection. */
    private final class Watched extends ForwardingLoadBalancerHelper {
      private LoadBalancer own;

      LoadBalancer begin() {
        own =
            LoadBalancerRegistry.getDefaultRegistry()
                .getProvider("pick_first")
                .newLoadBalancer(this);
        return own;
      }

      @Override
      protected Helper delegate() {
        return helper;
      }

      @Override
      public void updateBalancingState(ConnectivityState state, SubchannelPicker picker) {
        if (own != picking) {
          return; // given up
        }
        if (state != ConnectivityState.CONNECTING) {
          stopTimer();
          gaveUp = false;
        } else if (timer == null) {
          timer =
              getSynchronizationContext()
                  .schedule(
                      Limited.this::giveUp,
                      limitMs,
                      TimeUnit.MILLISECONDS,
                      getScheduledExecutorService());
        }
        if (!gaveUp) {
          super.updateBalancingState(state, picker);
        }
      }
    }
  }
}
