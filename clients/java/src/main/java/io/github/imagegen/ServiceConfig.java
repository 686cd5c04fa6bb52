package io.github.imagegen;

import com.google.protobuf.DescriptorProtos.MethodOptions.IdempotencyLevel;
import com.google.protobuf.Descriptors.FileDescriptor;
import io.github.imagegen.v1.ImageServiceProto;
import io.github.imagegen.v1.ModelServiceProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Retries for the methods that say that they may be called twice, and for no other; and how long
 * connecting may take.
 */
final class ServiceConfig {
  private ServiceConfig() {}

  /** The default service config of a channel. Any method that is not named here may cost money. */
  static Map<String, ?> ofFreeMethods(Duration connectLimit) {
    List<Map<String, String>> free = new ArrayList<>();
    for (FileDescriptor file :
        List.of(ImageServiceProto.getDescriptor(), ModelServiceProto.getDescriptor())) {
      for (var service : file.getServices()) {
        for (var method : service.getMethods()) {
          if (method.getOptions().getIdempotencyLevel() != IdempotencyLevel.IDEMPOTENCY_UNKNOWN) {
            free.add(Map.of("service", service.getFullName(), "method", method.getName()));
          }
        }
      }
    }
    Map<String, ?> policy =
        Map.of(
            "maxAttempts",
            4.0,
            "initialBackoff",
            "0.2s",
            "maxBackoff",
            "2s",
            "backoffMultiplier",
            2.0,
            "retryableStatusCodes",
            List.of("UNAVAILABLE"));
    return Map.of(
        "methodConfig",
        List.of(Map.of("name", free, "retryPolicy", policy)),
        "loadBalancingConfig",
        List.of(ConnectLimit.config(connectLimit)));
  }
}
