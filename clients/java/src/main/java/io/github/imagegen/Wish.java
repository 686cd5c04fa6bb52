package io.github.imagegen;

import io.github.imagegen.v1.Delivery;
import io.github.imagegen.v1.DeliveryMode;
import io.github.imagegen.v1.EditRequest;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.ImageInput;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.OnDisconnect;
import io.github.imagegen.v1.RetryPolicy;
import java.util.Objects;
import java.util.UUID;

/** A call's settings, joined from what the model and the call say, as requests carry them. */
final class Wish {
  private final String model;
  private final CallSettings said;
  private final ImageOptions options;
  private final Lifetime lifetime;

  /** Refuses what cannot hold together. */
  Wish(String model, CallSettings said) {
    this(model, said, said.options);
  }

  private Wish(String model, CallSettings said, ImageOptions options) {
    boolean resumable = Boolean.TRUE.equals(said.resumable);
    if (resumable && said.onDisconnect == OnDisconnect.ON_DISCONNECT_CANCEL) {
      throw new IllegalArgumentException(
          "a generation that ends with its connection cannot be resumed: ON_DISCONNECT_CANCEL");
    }
    boolean named = said.requestId != null;
    boolean detached = said.onDisconnect == OnDisconnect.ON_DISCONNECT_DETACH;
    this.model = model;
    this.said = said;
    this.options = options;
    lifetime =
        new Lifetime(
            resumable,
            resumable || named || detached,
            resumable && !named && said.onDisconnect == null);
  }

  /** For a caller who waits for the end only: no previews unless they were asked for. */
  Wish withoutPreviews() {
    return options.hasPreviewCount()
        ? this
        : new Wish(model, said, options.toBuilder().setPreviewCount(0).build());
  }

  Lifetime lifetime() {
    return lifetime;
  }

  /** As it is asked for a stream: with a name if it may run on without its reader. */
  GenerateRequest generate(String prompt) {
    return generate(prompt, name());
  }

  /** As it is asked for a stream: with a name if it may run on without its reader. */
  EditRequest edit(ImageEdit edit) {
    return edit(edit, name());
  }

  /** As it is explained: with no name that the caller did not give. */
  GenerateRequest plainGenerate(String prompt) {
    return generate(prompt, givenName());
  }

  /** As it is explained: with no name that the caller did not give. */
  EditRequest plainEdit(ImageEdit edit) {
    return edit(edit, givenName());
  }

  private GenerateRequest generate(String prompt, String requestId) {
    var request =
        GenerateRequest.newBuilder()
            .setModel(model)
            .setInput(ImageInput.newBuilder().setPrompt(Objects.requireNonNull(prompt, "prompt")))
            .setOptions(options)
            .putAllParams(said.params)
            .setStrict(Boolean.TRUE.equals(said.strict))
            .setDelivery(delivery())
            .setRequestId(requestId);
    if (said.onDisconnect != null) {
      request.setOnDisconnect(said.onDisconnect);
    }
    if (saysRetry()) {
      request.setRetry(retry());
    }
    return request.build();
  }

  private EditRequest edit(ImageEdit edit, String requestId) {
    var request =
        EditRequest.newBuilder()
            .setModel(model)
            .setInput(edit.toProto())
            .setOptions(options)
            .putAllParams(said.params)
            .setStrict(Boolean.TRUE.equals(said.strict))
            .setDelivery(delivery())
            .setRequestId(requestId);
    if (said.onDisconnect != null) {
      request.setOnDisconnect(said.onDisconnect);
    }
    if (saysRetry()) {
      request.setRetry(retry());
    }
    return request.build();
  }

  private String givenName() {
    return Objects.requireNonNullElse(said.requestId, "");
  }

  private String name() {
    if (said.requestId != null) {
      return said.requestId;
    }
    return lifetime.shared() ? UUID.randomUUID().toString() : "";
  }

  private Delivery delivery() {
    return Delivery.newBuilder()
        .setMode(Objects.requireNonNullElse(said.delivery, DeliveryMode.DELIVERY_MODE_INLINE))
        .build();
  }

  private boolean saysRetry() {
    return said.fallbackModels != null
        || said.retryAmbiguous != null
        || said.fallbackOnContentFiltered != null;
  }

  private RetryPolicy retry() {
    var retry =
        RetryPolicy.newBuilder()
            .setRetryAmbiguous(Boolean.TRUE.equals(said.retryAmbiguous))
            .setFallbackOnContentFiltered(Boolean.TRUE.equals(said.fallbackOnContentFiltered));
    if (said.fallbackModels != null) {
      retry.addAllFallbackModels(said.fallbackModels);
    }
    return retry.build();
  }
}
