package io.github.imagegen;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.GenerationFailure;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.Serializable;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.UnknownHostException;
import java.time.DateTimeException;
import java.time.Duration;
import java.util.Map;
import javax.net.ssl.SSLHandshakeException;

/**
 * All that the end of a call tells. What the server knows stands in the status details; proxies
 * drop or replace those, so two plain trailers repeat what matters most; a status with neither was
 * made by a proxy or the transport. Reading never fails: an error about an error helps nobody.
 *
 * @param message for people
 * @param reason full value name; empty = none
 * @param code of the status
 * @param billed never unspecified
 * @param retryDelay null = not told
 * @param request what is wrong with the request
 * @param failure what the server told of the generation
 * @param info ErrorInfo of our domain, or an empty one
 * @param generationId empty = not told
 * @param requestId empty = not told
 * @param fromServer the server itself said why
 */
record ErrorFacts(
    String message,
    String reason,
    Status.Code code,
    Billed billed,
    Duration retryDelay,
    BadRequest request,
    GenerationFailure failure,
    ErrorInfo info,
    String generationId,
    String requestId,
    boolean fromServer)
    implements Serializable {

  static final Metadata.Key<String> GENERATION_ID = key("imagegen-generation-id");
  static final Metadata.Key<String> REQUEST_ID = key("imagegen-request-id");
  private static final Metadata.Key<String> REASON = key("imagegen-reason");
  private static final Metadata.Key<String> BILLED = key("imagegen-billed");
  private static final String DOMAIN = "imagegen";

  /** What this client itself found. */
  static ErrorFacts local(String message, String reason, Status.Code code) {
    return new ErrorFacts(
        message,
        reason,
        code,
        Billed.BILLED_UNKNOWN,
        null,
        BadRequest.getDefaultInstance(),
        GenerationFailure.getDefaultInstance(),
        ErrorInfo.getDefaultInstance(),
        "",
        "",
        false);
  }

  /**
   * Reads how a call ended.
   *
   * @param headers the initial metadata; null = none came
   * @param free the method never costs anything, so what says nothing of money means "no"
   */
  static ImageGenException read(Status status, Metadata trailers, Metadata headers, boolean free) {
    var details = details(status, trailers);
    var info = detail(details, ErrorInfo.getDefaultInstance());
    if (!info.getDomain().equals(DOMAIN)) {
      info = ErrorInfo.getDefaultInstance();
    }
    String plainReason = first(trailers, REASON);
    var failure = detail(details, GenerationFailure.getDefaultInstance());
    var told = info.getMetadataMap();
    String reason = info.getReason().isEmpty() ? plainReason : info.getReason();
    var billed = billed(told.getOrDefault("billed", ""));
    billed = billed != null ? billed : billed(first(trailers, BILLED));
    if (billed == null) {
      boolean nothingSent = headers == null && neverConnected(status);
      billed = free || nothingSent ? Billed.BILLED_NO : Billed.BILLED_UNKNOWN;
    }
    var facts =
        new ErrorFacts(
            message(status),
            reason.isEmpty() ? bareReason(status.getCode()) : reason,
            status.getCode(),
            billed,
            delay(detail(details, RetryInfo.getDefaultInstance())),
            detail(details, BadRequest.getDefaultInstance()),
            failure,
            info,
            firstOf(
                failure.getGenerationId(),
                told.getOrDefault("generation_id", ""),
                first(headers, GENERATION_ID)),
            firstOf(
                failure.getRequestId(),
                told.getOrDefault("request_id", ""),
                first(headers, REQUEST_ID)),
            !info.getDomain().isEmpty() || !plainReason.isEmpty());
    return new ImageGenException(facts, new StatusRuntimeException(status, trailers));
  }

  Map<String, String> metadata() {
    return info.getMetadataMap();
  }

  ErrorFacts withIds(String generation, String wish) {
    return new ErrorFacts(
        message,
        reason,
        code,
        billed,
        retryDelay,
        request,
        failure,
        info,
        firstOf(generationId, generation),
        firstOf(requestId, wish),
        fromServer);
  }

  ErrorFacts withBilled(Billed told) {
    return new ErrorFacts(
        message,
        reason,
        code,
        told,
        retryDelay,
        request,
        failure,
        info,
        generationId,
        requestId,
        fromServer);
  }

  /** What the status says, and what the transport knows of it: "io exception" says nothing. */
  private static String message(Status status) {
    String told = status.getDescription() == null ? "" : status.getDescription();
    Throwable cause = status.getCause();
    if (cause == null || cause.getMessage() == null || told.contains(cause.getMessage())) {
      return told;
    }
    return told.isEmpty() ? cause.getMessage() : told + ": " + cause.getMessage();
  }

  /** What a bare status can be taken to say. Any other code says nothing about the reason. */
  private static String bareReason(Status.Code code) {
    return switch (code) {
      case CANCELLED -> ErrorReason.ERROR_REASON_CANCELLED.name();
      case DEADLINE_EXCEEDED -> ErrorReason.ERROR_REASON_TIMEOUT.name();
      case UNAVAILABLE -> ErrorReason.ERROR_REASON_NETWORK_ERROR.name();
      case UNAUTHENTICATED -> ErrorReason.ERROR_REASON_CALLER_UNAUTHENTICATED.name();
      case PERMISSION_DENIED -> ErrorReason.ERROR_REASON_CALLER_NOT_ALLOWED.name();
      default -> "";
    };
  }

  /** Whether there never was a connection, so that no request can have left. */
  private static boolean neverConnected(Status status) {
    if (status.getCode() != Status.Code.UNAVAILABLE) {
      return false;
    }
    for (Throwable cause = status.getCause(); cause != null; cause = cause.getCause()) {
      if (cause instanceof ConnectException
          || cause instanceof NoRouteToHostException
          || cause instanceof UnknownHostException
          || cause instanceof SSLHandshakeException) {
        return true;
      }
    }
    return false;
  }

  /** The details, or none if they are missing, garbled, or about another code. */
  private static com.google.rpc.Status details(Status status, Metadata trailers) {
    try {
      var read = StatusProto.fromStatusAndTrailers(status, trailers);
      return read == null ? com.google.rpc.Status.getDefaultInstance() : read;
    } catch (RuntimeException garbled) {
      return com.google.rpc.Status.getDefaultInstance();
    }
  }

  private static <T extends Message> T detail(com.google.rpc.Status status, T empty) {
    @SuppressWarnings("unchecked")
    var type = (Class<T>) empty.getClass();
    for (Any packed : status.getDetailsList()) {
      if (packed.is(type)) {
        try {
          return packed.unpack(type);
        } catch (InvalidProtocolBufferException garbled) {
          return empty;
        }
      }
    }
    return empty;
  }

  private static Duration delay(RetryInfo info) {
    if (!info.hasRetryDelay()) {
      return null;
    }
    try {
      var told = info.getRetryDelay();
      return Duration.ofSeconds(told.getSeconds(), told.getNanos());
    } catch (DateTimeException | ArithmeticException nonsense) {
      return null;
    }
  }

  private static Billed billed(String word) {
    return switch (word) {
      case "no" -> Billed.BILLED_NO;
      case "unknown" -> Billed.BILLED_UNKNOWN;
      case "yes" -> Billed.BILLED_YES;
      default -> null;
    };
  }

  private static String firstOf(String... candidates) {
    for (String candidate : candidates) {
      if (!candidate.isEmpty()) {
        return candidate;
      }
    }
    return "";
  }

  /** The first value of a key; later ones are somebody's addition. */
  static String first(Metadata metadata, Metadata.Key<String> key) {
    if (metadata == null) {
      return "";
    }
    var values = metadata.getAll(key);
    return values == null ? "" : values.iterator().next();
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
