package io.github.imagegen;

import com.google.rpc.BadRequest.FieldViolation;
import io.github.imagegen.v1.Attempt;
import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.ImageFailure;
import io.github.imagegen.v1.ImageUsage;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A call failed.
 *
 * <p>Every failure that the server, the network or this client reports is one of these; only misuse
 * that is seen before anything is sent is an {@link IllegalArgumentException} or {@link
 * IllegalStateException}. The cause is the {@link io.grpc.StatusRuntimeException} if there was one.
 */
public final class ImageGenException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** All that is known of it. */
  private final ErrorFacts facts;

  ImageGenException(ErrorFacts facts, Throwable cause) {
    super(facts.message(), cause);
    this.facts = facts;
  }

  /** The server's answer does not keep what the API promises; of the money nothing is known. */
  static ImageGenException invalidResponse(String message) {
    return local(message, ErrorReason.ERROR_REASON_INVALID_RESPONSE, Status.Code.INTERNAL);
  }

  /** The call was stopped on this side. */
  static ImageGenException cancelled(String message) {
    return local(message, ErrorReason.ERROR_REASON_CANCELLED, Status.Code.CANCELLED);
  }

  private static ImageGenException local(String message, ErrorReason reason, Status.Code code) {
    return new ImageGenException(ErrorFacts.local(message, reason.name(), code), null);
  }

  /** The same error, to be thrown in this thread: with its stack trace. */
  ImageGenException here() {
    return new ImageGenException(facts, getCause());
  }

  /** The same error, with these ids where it has none. */
  ImageGenException withIds(String generationId, String requestId) {
    return new ImageGenException(facts.withIds(generationId, requestId), getCause());
  }

  /** The same error, of a method that never costs anything. */
  ImageGenException free() {
    return new ImageGenException(facts.withBilled(Billed.BILLED_NO), getCause());
  }

  /** The same error, where a call before this one may have spent what the server does not tell. */
  ImageGenException afterABreak() {
    return isFromServer()
        ? this
        : new ImageGenException(facts.withBilled(Billed.BILLED_UNKNOWN), getCause());
  }

  /** Whether the imagegen server itself said why, not a proxy, the transport or this client. */
  boolean isFromServer() {
    return facts.fromServer();
  }

  /** Whether the transport or a proxy ended the call on its way. */
  boolean isBrokenConnection() {
    return getCause() != null
        && !facts.fromServer()
        && switch (facts.code()) {
          case UNAVAILABLE, INTERNAL, UNKNOWN, CANCELLED -> true;
          default -> false;
        };
  }

  /**
   * The gRPC status code.
   *
   * @return the code; INTERNAL where this client found the answer to be wrong
   */
  public Status.Code code() {
    return facts.code();
  }

  /**
   * Why it failed.
   *
   * @return a value of the API; {@code UNRECOGNIZED} is one that is newer than this client ({@link
   *     #reasonName} has its name; treat it like {@code ERROR_REASON_PROVIDER_ERROR}); {@code
   *     ERROR_REASON_UNSPECIFIED}: nobody told
   */
  public ErrorReason reason() {
    if (facts.reason().isEmpty()) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
    var value = ErrorReason.getDescriptor().findValueByName(facts.reason());
    return value == null ? ErrorReason.UNRECOGNIZED : ErrorReason.forNumber(value.getNumber());
  }

  /**
   * The full name of the reason, such as "ERROR_REASON_RATE_LIMITED".
   *
   * @return the name, also of a reason that is newer than this client; empty: nobody told
   */
  public String reasonName() {
    return facts.reason();
  }

  /**
   * Whether the call was paid for.
   *
   * @return {@code BILLED_NO}, {@code BILLED_UNKNOWN} (it may have been) or {@code BILLED_YES}
   */
  public Billed billed() {
    return facts.billed();
  }

  /**
   * The provider that failed.
   *
   * @return its name in the server's configuration; empty: not told
   */
  public String provider() {
    return facts.metadata().getOrDefault("provider", "");
  }

  /**
   * The model.
   *
   * @return as "provider/model" or as asked for; empty: not told
   */
  public String model() {
    return facts.metadata().getOrDefault("model", "");
  }

  /**
   * How long to wait before the same call can succeed.
   *
   * @return the wait; empty: not known, or waiting does not help
   */
  public Optional<Duration> retryDelay() {
    return Optional.ofNullable(facts.retryDelay());
  }

  /**
   * What is wrong with the request.
   *
   * @return field by field; empty: nothing was told
   */
  public List<FieldViolation> violations() {
    return facts.request().getFieldViolationsList();
  }

  /**
   * The images that did not come.
   *
   * @return one for each, once a provider was called
   */
  public List<ImageFailure> failures() {
    return facts.failure().getFailuresList();
  }

  /**
   * The provider calls that were made.
   *
   * @return the oldest first
   */
  public List<Attempt> attempts() {
    return facts.failure().getAttemptsList();
  }

  /**
   * What is known of use.
   *
   * @return the use; empty: nothing is known
   */
  public Optional<ImageUsage> usage() {
    return facts.failure().hasUsage() ? Optional.of(facts.failure().getUsage()) : Optional.empty();
  }

  /**
   * What else was told: stage, http_status, provider_code, provider_request_id and such.
   *
   * @return the metadata of ErrorInfo
   */
  public Map<String, String> metadata() {
    return facts.metadata();
  }

  /**
   * The generation, for {@code resume}, {@code cancel} and support.
   *
   * @return the server's id; empty: none was made, or it was not told
   */
  public String generationId() {
    return facts.generationId();
  }

  /**
   * The id of the wish.
   *
   * @return as it was given, or made by the server; empty: not told
   */
  public String requestId() {
    return facts.requestId();
  }

  /** Reason, message, and what is wrong by field where the message does not say it. */
  @Override
  @SuppressWarnings("OverrideThrowableToString") // getMessage is the server's own text
  public String toString() {
    String told = getMessage();
    String fields =
        violations().stream()
            .filter(violation -> !told.contains(violation.getDescription()))
            .map(violation -> violation.getField() + ": " + violation.getDescription())
            .collect(Collectors.joining("; "));
    return getClass().getName()
        + ": "
        + (facts.reason().isEmpty() ? facts.code().name() : facts.reason())
        + (told.isEmpty() ? "" : ": " + told)
        + (fields.isEmpty() ? "" : " (" + fields + ")");
  }
}
